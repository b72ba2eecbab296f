"""When each release first ran. Charts mark it, and alarms wait while it starts everything anew."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from workers.models import Deploy

log = logging.getLogger(__name__)

MIN_GAP = timedelta(days=1)  # between two deploys of one release


class ReleaseRecorder:
    """Records once in a process: the beat of an older release, which still runs, must not record itself again.

    A release counts again after a day, as a rollback. In a deploy that is half done, beats of both releases restart.
    """

    def __init__(self) -> None:
        self.is_done = False

    def record(self) -> None:
        """Call it in a claimed round, so that two processes do not record one release. Raises DatabaseError."""
        if self.is_done or not settings.RELEASE:
            return
        newest = Deploy.objects.order_by("-began_at").first()
        is_newest = newest is not None and newest.release == settings.RELEASE
        recent = Deploy.objects.filter(release=settings.RELEASE, began_at__gt=Now() - MIN_GAP)
        if not is_newest and not recent.exists():
            Deploy.objects.create(release=settings.RELEASE, began_at=Now())
            log.info("release_began release=%r", settings.RELEASE)
        self.is_done = True


def is_young(now: datetime) -> bool:
    """Whether the newest release may still be starting. Raises DatabaseError."""
    first = now - timedelta(seconds=settings.ALERT_DEPLOY_SECONDS)
    return Deploy.objects.filter(began_at__range=(first, now)).exists()


def delete_old_deploys() -> int:
    return Deploy.objects.filter(began_at__lt=timezone.now() - timedelta(days=settings.KEEP_HOURS_DAYS)).delete()[0]
