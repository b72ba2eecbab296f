import uuid

import pytest

from workers.practices import progress


@pytest.fixture
def writes():
    """Reports every tenth of a second of its own clock, and gives the moments at which the key was written."""
    job, now = uuid.uuid4(), [1000.0]
    reporter = progress.Progress(job, None, clock=lambda: now[0])

    def report(seconds, done_at):
        found = []
        for step in range(int(seconds * 10)):
            progress.clear(job)
            reporter.report(done_at(step / 10), 1_000_000, "reading")
            if progress.read_many([job]):
                found.append(step / 10)
            now[0] += 0.1
        return found

    yield report
    progress.clear(job)


def test_slow_work_gives_a_sign_of_life(writes):
    """Work whose number does not change is written again before a reader takes it for silent."""
    found = writes(30, lambda _: 5)
    gaps = [later - earlier for earlier, later in zip(found, [*found[1:], 30], strict=True)]
    assert max(gaps) < progress.STALE_AFTER / 2, f"Nothing was written for {max(gaps):.1f} s of work that reports."


def test_steps_that_are_too_small_to_see_are_a_sign_of_life_too(writes):
    """Work that moves by a millionth at a time is no dead work."""
    found = writes(30, lambda second: int(second * 10))
    gaps = [later - earlier for earlier, later in zip(found, [*found[1:], 30], strict=True)]
    assert max(gaps) < progress.STALE_AFTER / 2, f"Nothing was written for {max(gaps):.1f} s of work that reports."


def test_quick_work_writes_a_few_times_a_second_at_most(writes):
    """An import of a million rows in ten seconds does not write for each report."""
    found = writes(10, lambda second: int(second * 100_000))
    assert len(found) <= 30, f"It was written {len(found)} times in 10 s."
    assert len(found) >= 10, f"It was written only {len(found)} times in 10 s: the bar jumps."
