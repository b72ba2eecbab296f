"""A release that begins is a deploy, and so is a rollback. A beat of a deploy that is half done records nothing."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from workers.alarms.deploys import ReleaseRecorder, is_young
from workers.models import Deploy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def deploy_seconds(settings) -> None:
    settings.ALERT_DEPLOY_SECONDS = 180


def begin(settings, *releases: str) -> list[str]:
    """A beat process of each begins. Returns what is recorded."""
    for settings.RELEASE in releases:
        ReleaseRecorder().record()
    return list(Deploy.objects.order_by("pk").values_list("release", flat=True))


def pass_seconds(seconds: float) -> None:
    Deploy.objects.update(began_at=F("began_at") - timedelta(seconds=seconds))


def test_a_rollback_is_a_deploy_that_keeps_alarms_silent(settings):
    begin(settings, "v42", "v43")
    pass_seconds(181)
    assert not is_young(timezone.now())
    assert begin(settings, "v42", "v42") == ["v42", "v43", "v42"]
    assert is_young(timezone.now())


def test_a_restart_in_a_deploy_that_is_half_done_is_no_deploy(settings):
    begin(settings, "v42")
    pass_seconds(90_000)
    assert begin(settings, "v43", "v42", "v43") == ["v42", "v43"]


def test_a_rollback_minutes_after_the_deploy_is_recorded_once_that_one_is_old(settings):
    begin(settings, "v42", "v43")
    settings.RELEASE = "v42"
    beat = ReleaseRecorder()
    beat.record()
    assert Deploy.objects.count() == 2
    pass_seconds(181)
    for _ in range(2):
        beat.record()
    assert begin(settings, "v42") == ["v42", "v43", "v42"]


@pytest.mark.parametrize("has_recorded", [True, False])
def test_a_beat_of_the_older_release_that_still_runs_does_not_record_it_again(settings, has_recorded):
    """Of two beats, one may claim no round for long."""
    begin(settings, "v42")
    older = ReleaseRecorder()
    if has_recorded:
        older.record()
    begin(settings, "v43")
    pass_seconds(181)
    older.began_at -= 200  # 19 s before the second release
    settings.RELEASE = "v42"
    older.record()
    assert begin(settings, "v43") == ["v42", "v43"]
