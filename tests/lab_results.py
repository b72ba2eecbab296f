"""Results of a lab, as it saves them."""

from datetime import UTC, datetime, timedelta

from devtools.lab.contract import Figure
from devtools.lab.result import ArmResult, Measured, Result


def result(broker: str, wait: float, *, age: timedelta) -> Result:
    waits = {"one <queue>": (False, [1000 * wait]), "two queues": (True, [wait / 2, wait, wait])}
    return Result(
        lab=3,
        question="How long?",
        command="python -m labs 3",
        date=(datetime.now(UTC) - age).isoformat(timespec="seconds"),
        broker=broker,
        seed=1,
        rounds=3,
        sizes={},
        stated_seconds=20,
        took_seconds=21.5,
        machine={"cores": 2, "load": 0.25, "versions": {"celery": "5.7.0"}},
        figures=[Figure("median wait", "s")],
        arms=[ArmResult(n, right, "", {"median wait": Measured.of(w)}) for n, (right, w) in waits.items()],
        sentence=f"It waits {wait} s on {broker}.",
    )
