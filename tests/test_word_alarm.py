"""An alarm says what is wrong, and what it means for users."""

import pytest
from django.utils import timezone

from workers.alarms import incidents, texts
from workers.models import AlarmMessage, Incident
from workers.practices import Finding


def test_a_missing_worker_at_the_broker_loses_no_work(db):
    incidents.update(1, Finding(False, "1 message", "Nobody consumes video, where 1 message waits."), timezone.now())
    meaning = texts.make_notice(AlarmMessage(incident=Incident.objects.get(number=1), kind="alarm")).meaning
    assert meaning.startswith("Messages pile up at the broker. A full one refuses new work; uploads stay safe")
    assert "lost" not in meaning


@pytest.mark.parametrize(
    ("reason", "subject"),
    [
        ("No worker takes jobs from video. Is the video worker up?", "No worker takes jobs from video"),
        ("Is beat up? No.", "Is beat up"),
        (f"a\r\nBcc: eve@example.com {'word ' * 20}.", "a Bcc: eve@example.com word word word word word word word …"),
    ],
)
def test_the_subject_says_what_is_wrong_in_one_short_line(db, reason, subject):
    incidents.update(8, Finding(False, "", reason), timezone.now())
    incident = Incident.objects.get(number=8)
    said = texts.make_notice(AlarmMessage(incident=incident, kind="alarm")).subject
    assert said == f"[testserver] Backlog does not hold: {subject}"
    incident.ended_at = timezone.now()
    assert (
        texts.make_notice(AlarmMessage(incident=incident, kind="recovery")).subject
        == "[testserver] Backlog holds again"
    )
