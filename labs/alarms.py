"""Does each practice ring once, and once when it is over? `python -m labs [--rabbitmq] alarms [seconds of quiet]`.

Breaks the nine practices one after another, for real, while beat's monitor watches with the times of production; keeps
them broken for ten minutes more; mends them; then kills beat. About 25 minutes. Printed for each: the seconds until
PracticeState shows it, until its mail, and from its mending until its recovery, and how many mails and calls of the
webhook it sent. Exit code 1 unless each is shown within 40 s, mailed once within its time and a minute, and told to be
over once, and unless the calls of HEARTBEAT_URL end with beat.
"""

import json
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise

from django.conf import settings
from django.db import connection

from devtools.http_receiver import fresh_http_receiver
from devtools.mail_server import MailServer, fresh_mail_server
from devtools.processes import wait_until
from labs.alarms_faults import Fault, Workers, faults
from workers.models import PracticeState
from workers.practices.registry import PRACTICES

ADMIN = "oncall@example.com"
SEEN_BAR, MAIL_BAR, QUIET = 40, 60, 600  # seconds
ROW = "{number:<3}{title:<16}{fault:<62}{seen:>6}{mail:>7}{over:>7}{alarms:>8}{recoveries:>12}{calls:>7}"


@dataclass
class Outcome:
    """Seconds after the fault; `over`: after its mending."""

    fault: Fault
    began: float
    mended: float = 0.0
    seen: float | None = None
    was_broken: bool = False
    mails: list[float] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    calls: int = 0

    @property
    def holds(self) -> bool:
        """Whether each bar is kept. A fault that another one shows too has no figure of its own."""
        is_seen = self.was_broken or (self.seen is not None and self.seen <= SEEN_BAR)
        limit = settings.ALERT_AFTER_SECONDS[self.fault.number] + MAIL_BAR
        is_told = len(self.mails) == 1 and (self.was_broken or self.mails[0] - self.began <= limit)
        return is_seen and is_told and len(self.recoveries) == 1 and self.calls == 2


def is_holding(number: int) -> bool:
    with suppress(Exception):  # the database answers in a moment
        return bool(PracticeState.objects.filter(number=number, ok=True).exists())
    connection.close()
    return False


def break_all(found: dict[int, Fault]) -> list[Outcome]:
    outcomes = []
    for fault in found.values():
        time.sleep(random.uniform(0, settings.MONITOR_SECONDS))  # at any moment between two rounds
        outcome = Outcome(fault, time.monotonic(), was_broken=not is_holding(fault.number))
        fault.inject()
        with suppress(TimeoutError):
            wait_until(lambda: not is_holding(fault.number), seconds=3 * SEEN_BAR, interval=0.2)  # noqa: B023
            outcome.seen = time.monotonic() - outcome.began
        print(f"  {fault.number} {fault.name}: shown after {outcome.seen}", flush=True)
        outcomes.append(outcome)
    return outcomes


def sort_mails(smtp: MailServer, outcomes: list[Outcome]) -> None:
    """Gives each outcome the times of its mails."""
    titles = {practice.title: practice.number for practice in PRACTICES}
    by_number = {outcome.fault.number: outcome for outcome in outcomes}
    for outcome in outcomes:
        outcome.mails, outcome.recoveries = [], []
    for mail, at in zip(smtp.mails, list(smtp.arrivals.queue), strict=False):
        title = next(title for title in titles if f"] {title} " in str(mail["Subject"]))
        is_over = str(mail["Subject"]).endswith("holds again")
        (by_number[titles[title]].recoveries if is_over else by_number[titles[title]].mails).append(at)


def wait_for_mails(smtp: MailServer, outcomes: list[Outcome], is_told: Callable[[Outcome], object]) -> None:
    def are_all_told() -> bool:
        sort_mails(smtp, outcomes)
        return all(is_told(outcome) for outcome in outcomes)

    with suppress(TimeoutError):
        wait_until(are_all_told, seconds=400, interval=1)


def main() -> int:
    quiet = int(sys.argv[1]) if len(sys.argv) > 1 else QUIET
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        smtp = stack.enter_context(fresh_mail_server())
        receiver = stack.enter_context(fresh_http_receiver())
        alarms = {"ADMINS": ADMIN, "EMAIL_URL": smtp.url, "SITE_URL": "http://drill.example.com"}
        alarms |= {"ALERT_WEBHOOK_URL": f"{receiver.url}/hook", "ALERT_WEBHOOK_SECRET": "drill"}
        workers = Workers(stack, alarms | {"HEARTBEAT_URL": f"{receiver.url}/ping"})
        wait_until(lambda: all(is_holding(each.number) for each in PRACTICES), "all nine", seconds=300)
        print("All nine hold.", flush=True)
        outcomes = break_all(faults(workers))
        wait_for_mails(smtp, outcomes, lambda outcome: outcome.mails)
        print(f"All alarms: {len(smtp.mails)} mails. Quiet for {quiet} s.", flush=True)
        time.sleep(quiet)
        for outcome in reversed(outcomes):
            outcome.fault.mend()
            outcome.mended = time.monotonic()
        wait_for_mails(smtp, outcomes, lambda outcome: outcome.recoveries)
        time.sleep(SEEN_BAR)
        sort_mails(smtp, outcomes)
        for outcome in outcomes:
            numbers = [
                json.loads(each.body)["practice"]["number"] for each in receiver.received if each.path == "/hook"
            ]
            outcome.calls = numbers.count(outcome.fault.number)
        killed_at = workers.kill("beat")
        time.sleep(90)
        pings = [each.at for each in receiver.received if each.path == "/ping"]
    return report(outcomes, pings, killed_at)


def report(outcomes: list[Outcome], pings: list[float], killed_at: float) -> int:
    words = {"number": "", "title": "practice", "fault": "fault", "seen": "shown", "mail": "mail", "over": "over"}
    print(ROW.format(**words, alarms="alarms", recoveries="recoveries", calls="calls"))
    for each in sorted(outcomes, key=lambda outcome: outcome.fault.number):
        title = next(practice.title for practice in PRACTICES if practice.number == each.fault.number)
        shown = "before" if each.was_broken else f"{each.seen:.0f} s" if each.seen else "never"
        mail = f"{each.mails[0] - each.began:.0f} s" if each.mails else "never"
        over = f"{each.recoveries[0] - each.mended:.0f} s" if each.recoveries else "never"
        cells = {"number": each.fault.number, "title": title, "fault": each.fault.name, "seen": shown, "mail": mail}
        counts = {"alarms": len(each.mails), "recoveries": len(each.recoveries), "calls": each.calls}
        print(ROW.format(**cells, over=over, **counts))
    gaps = [after - before for before, after in pairwise(pings)]
    late = [at for at in pings if at > killed_at + 60]
    sums = {
        "held": sum(each.holds for each in outcomes),
        "shown": round(max((each.seen or 0 for each in outcomes if not each.was_broken), default=0)),
        "mails": sum(len(each.mails) + len(each.recoveries) for each in outcomes),
        "pings": len(pings),
        "longest_gap": round(max(gaps, default=0)),
        "pings_after_death": len(late),
    }
    print(json.dumps(sums))
    return int(sums["held"] < len(PRACTICES) or bool(late) or not pings)


if __name__ == "__main__":
    sys.exit(main())
