"""The lab that lets jobs come to real workers prints what was foretold of their waits beside what was measured."""

import json

from labs.arrivals import replay
from tests import programs
from tests.conftest import environment
from tests.servers import NO_SERVERS


def test_what_was_foretold_stands_beside_what_was_measured():
    done = programs.run("labs.forecast", "2", "3", env=environment(**NO_SERVERS))
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    *table, figures = done.stdout.splitlines()
    rows = json.loads(figures)
    assert {row["workers"] for row in rows} == {1, 2, 3}
    assert all(row["measured"] >= 0 and row["replayed"] >= 0 for row in rows)
    assert any("predicted" in line and "measured" in line for line in table)
    said = [row["predicted"] for row in rows if row["what"] == "mean wait"]  # in the order of the workers
    assert said == sorted(said, reverse=True)


def test_jobs_wait_for_the_first_process_that_is_free():
    arrived, ran = [0.0, 1.0, 2.0, 20.0], [5.0, 5.0, 5.0, 1.0]
    assert replay(arrived, ran, 1) == [0, 4, 8, 0]
    assert replay(arrived, ran, 2) == [0, 0, 3, 0]
    assert replay(arrived, ran, 4) == [0, 0, 0, 0]
