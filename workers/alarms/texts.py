"""What an alarm and a recovery say."""

import re
import textwrap
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings

from workers.alarms.silent_servers import find_silent_server
from workers.clock_format import exact_duration, exact_time
from workers.models import AlarmMessage, PracticeState
from workers.practices.registry import PRACTICES, Practice

# What it means for users, by the practice's number.
MEANINGS = {
    1: "Messages pile up at the broker. A full one refuses new work; uploads stay safe in the database and wait.",
    2: "The same work may run twice at once, or a job may wait for ever for a lock.",
    3: "People wait too long for what should be quick, such as a mail to reset a password.",
    4: "Imports slow each other down, and everybody's takes longer.",
    5: "Recurring work is late or does not run: lost jobs are not found, and old data stays.",
    6: "Progress bars stand still, although the work may go on.",
    7: "Tasks take longer than usual, so results come later.",
    8: "Work waits longer than its users accept, or nobody takes it.",
    9: "A worker may run out of memory and be killed. Its jobs begin again, or fail.",
}
MAX_CAUSE = 60  # characters of a reason in a subject


@dataclass(frozen=True)
class Notice:
    """key: the same at each try to send it. figure: empty in a recovery that comes when it does not hold any more."""

    key: str
    kind: str
    practice: Practice
    subject: str
    sentence: str
    meaning: str
    figure: str
    reason: str
    began_at: datetime
    ended_at: datetime | None
    runbook: str
    page: str

    @property
    def body(self) -> str:
        """For a mail."""
        facts = [f"What it means for users: {self.meaning}"]
        facts += [f"Figure: {self.figure}"] if self.figure else []
        if self.kind == AlarmMessage.Kind.RECOVERY:
            closing, why = "Nothing to do. How to prevent it:", "It was: "
        else:
            closing, why = "What to do:", "Why: "
        facts += [f"{why}{self.reason}"] if self.reason else []
        links = f"{closing} {self.runbook}\nThe practice: {self.page}\nAll: {settings.SITE_URL}/operations/"
        return "\n\n".join([self.sentence, *facts, links, self._promise]) + "\n"

    @property
    def _promise(self) -> str:
        if self.kind == AlarmMessage.Kind.RECOVERY:
            return "This incident sends no more mail."
        return "You get one more mail when it is over."


def make_notice(message: AlarmMessage) -> Notice:
    """Raises DatabaseError."""
    incident = message.incident
    practice = next(each for each in PRACTICES if each.number == incident.number)
    state = PracticeState.objects.filter(number=practice.number).first()
    is_recovery = message.kind == AlarmMessage.Kind.RECOVERY
    name, since = f"Practice {practice.number}, {practice.title},", exact_time(incident.began_at)
    if is_recovery and incident.ended_at:
        lasted = exact_duration(incident.ended_at - incident.began_at)
        title, sentence = "holds again", f"{name} holds again. It did not hold for {lasted}, from {since} on."
    elif incident.ok is None:
        server = find_silent_server(incident.reason)
        why = f": {server} does not answer" if server else ""
        title, sentence = f"cannot be measured{why}", f"{name} cannot be measured since {since}{why}."
    else:
        title, sentence = f"does not hold{_cause(incident.reason)}", f"{name} does not hold since {since}."
    summary_now = state.summary if state and state.ok else ""  # new trouble has an incident of its own
    return Notice(
        key=message.key,
        kind=message.kind,
        practice=practice,
        subject=f"[{urlsplit(settings.SITE_URL).hostname}] {practice.title} {title}",
        sentence=sentence,
        meaning=MEANINGS[practice.number],
        figure=summary_now if is_recovery else incident.summary,
        reason=incident.reason,
        began_at=incident.began_at,
        ended_at=incident.ended_at if is_recovery else None,
        runbook=f"{settings.SITE_URL}/operations/runbooks/{practice.slug}/",
        page=f"{settings.SITE_URL}/practices/{practice.number}/",
    )


def _cause(reason: str) -> str:
    """Its first sentence for a subject, in one line: a header with a new line is refused."""
    first = re.split(r"[.?] ", " ".join(reason.split()))[0].rstrip(".?")
    return f": {textwrap.shorten(first, MAX_CAUSE, placeholder=' …')}" if first else ""
