"""When each release first ran. Charts mark it, and alarms wait while it starts everything anew."""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from workers.models import Deploy

log = logging.getLogger(__name__)


class ReleaseRecorder:
    """Records once in a process that its release began, or came back after another one: a rollback.

    In a deploy that is half done, beats of both releases run and restart. So a release comes back only in a process
    that began after the newest deploy, and once that one is no longer young.
    """

    def __init__(self) -> None:
        self.is_done, self.began_at = False, time.monotonic()

    def record(self) -> None:
        """Call it in a claimed round, so that two processes do not record one release. Raises DatabaseError."""
        if self.is_done or not settings.RELEASE:
            return
        newest = Deploy.objects.order_by("-began_at").first()
        if newest is None or newest.release != settings.RELEASE:
            is_known = Deploy.objects.filter(release=settings.RELEASE).exists()
            if is_known and _has_begun_within(max(time.monotonic() - self.began_at, settings.ALERT_DEPLOY_SECONDS)):
                return
            Deploy.objects.create(release=settings.RELEASE, began_at=Now())
            log.info("release_began release=%r", settings.RELEASE)
        self.is_done = True


def _has_begun_within(seconds: float) -> bool:
    return Deploy.objects.filter(began_at__gt=Now() - timedelta(seconds=seconds)).exists()


def is_young(now: datetime) -> bool:
    """Whether the newest release may still be starting. Raises DatabaseError."""
    first = now - timedelta(seconds=settings.ALERT_DEPLOY_SECONDS)
    return Deploy.objects.filter(began_at__range=(first, now)).exists()


def delete_old_deploys() -> int:
    return Deploy.objects.filter(began_at__lt=timezone.now() - timedelta(days=settings.KEEP_HOURS_DAYS)).delete()[0]
