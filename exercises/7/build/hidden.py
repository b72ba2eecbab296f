from datetime import timedelta
from io import StringIO

from django.core.management import call_command
from django.utils import timezone

from workers.models import TaskRun
from workers.telemetry import releases

TASK = "exercise.tasks.fetch_price"


def add_runs(release, seconds, *, hours_ago=1, task=TASK, outcome="succeeded"):
    first = (1 << 62) + TaskRun.objects.filter(pk__gte=1 << 62).count()
    ended_at = timezone.now() - timedelta(hours=hours_ago)
    TaskRun.objects.bulk_create(
        TaskRun(
            id=first + number, task=task, release=release, outcome=outcome, ended_at=ended_at, run_seconds=run_seconds
        )
        for number, run_seconds in enumerate(seconds)
    )


def by_name():
    return {each.release: each for each in releases.compare_releases(TASK)}


def test_each_release_has_its_runs_and_its_p95(db):
    """Each release has the number of its runs, and their p95."""
    add_runs("v9", [0.1 + number / 1000 for number in range(100)], hours_ago=30)
    add_runs("v10", [0.3 + number / 1000 for number in range(40)])
    found = by_name()
    assert {name: each.runs for name, each in found.items()} == {"v9": 100, "v10": 40}, "The counts are others."
    assert 0.19 < found["v9"].p95_seconds < 0.2, f"The p95 of v9 is {found['v9'].p95_seconds}."
    assert 0.33 < found["v10"].p95_seconds < 0.34, f"The p95 of v10 is {found['v10'].p95_seconds}."


def test_releases_come_in_the_order_of_their_first_runs(db):
    """The oldest release comes first, whatever the names are, and whichever ran last."""
    add_runs("v9", [0.1] * 20, hours_ago=30)
    add_runs("v10", [0.3] * 20, hours_ago=20)
    add_runs("v9", [0.1] * 20, hours_ago=1)  # a rollback
    order = [each.release for each in releases.compare_releases(TASK)]
    assert order == ["v9", "v10"], f"They come as {', '.join(order) or 'nothing'}."


def test_one_run_that_hung_does_not_make_a_release_slow(db):
    """One run of a hundred that took a minute does not move the figure."""
    add_runs("v9", [0.1] * 99 + [60])
    found = by_name()
    assert found, "There is no release."
    assert found["v9"].p95_seconds < 0.2, f"The figure is {found['v9'].p95_seconds}."


def test_few_runs_say_nothing(db):
    """Of 19 runs there is a count and no p95, of 20 there are both."""
    add_runs("v9", [0.1] * 19)
    add_runs("v10", [0.1] * 20)
    found = by_name()
    assert set(found) == {"v9", "v10"}, f"There are {sorted(found)}."
    assert found["v9"].p95_seconds is None, f"19 runs have a p95 of {found['v9'].p95_seconds}."
    assert found["v10"].p95_seconds is not None, "20 runs have none."


def test_only_runs_that_went_to_their_end_count(db):
    """A run that failed counts. One that was lost, handed back, refused, cancelled or expired does not."""
    add_runs("v9", [0.1] * 30)
    add_runs("v9", [0.1] * 10, outcome="failed")
    add_runs("v9", [9.0] * 10, outcome="lost")
    add_runs("v9", [0.0] * 10, outcome="refused")
    for outcome in ("retried", "cancelled", "expired"):
        add_runs("v9", [None] * 10, outcome=outcome)
    found = by_name()
    assert found, "There is no release."
    assert found["v9"].runs == 40, f"It counts {found['v9'].runs} runs."
    assert found["v9"].p95_seconds < 0.2, f"The p95 is {found['v9'].p95_seconds}."


def test_other_tasks_and_older_runs_do_not_count(db):
    """Only runs of this task count, and only those of the last seven days."""
    add_runs("v9", [0.1] * 20)
    add_runs("v9", [5.0] * 20, task=f"{TASK}s")
    add_runs("v8", [5.0] * 20, hours_ago=8 * 24)
    found = by_name()
    assert set(found) == {"v9"}, f"There are {sorted(found)}."
    assert found["v9"].runs == 20, f"It counts {found['v9'].runs} runs."


def test_the_command_prints_a_line_for_each(db):
    """`manage.py compare_releases TASK` prints a line for each release."""
    add_runs("v9", [0.1] * 20, hours_ago=30)
    add_runs("v10", [0.3] * 20)
    printed = StringIO()
    call_command("compare_releases", TASK, stdout=printed)
    names = [line.split()[0] for line in printed.getvalue().splitlines()[1:]]
    assert names == ["v9", "v10"], f"It prints {printed.getvalue()!r}."
