"""When each release first ran. Charts mark it, and alarms wait while it starts everything anew."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from workers.models import Deploy

log = logging.getLogger(__name__)


class ReleaseRecorder:
    """Records once in a process: the beat of an older release, which still runs, must not record itself again."""

    def __init__(self) -> None:
        self.is_done = False

    def record(self) -> None:
        """Call it in a claimed round, so that two processes do not record one release. Raises DatabaseError."""
        if self.is_done or not settings.RELEASE:
            return
        newest = Deploy.objects.order_by("-began_at").first()
        if newest is None or newest.release != settings.RELEASE:
            Deploy.objects.create(release=settings.RELEASE, began_at=timezone.now())
            log.info("release_began release=%r", settings.RELEASE)
        self.is_done = True


def is_young(now: datetime) -> bool:
    """Whether the newest release may still be starting. Raises DatabaseError."""
    return Deploy.objects.filter(began_at__gt=now - timedelta(seconds=settings.ALERT_DEPLOY_SECONDS)).exists()


def delete_old_deploys() -> int:
    return Deploy.objects.filter(began_at__lt=timezone.now() - timedelta(days=settings.KEEP_HOURS_DAYS)).delete()[0]
