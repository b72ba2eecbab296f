"""The arithmetic of waiting: known values, and what must hold for any load."""

import heapq
import math
from collections.abc import Sequence
from random import Random
from statistics import mean, quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.capacity.queueing import Load, backlog_after, erlang_c, expected_wait

SLEEPS = (0.1, 0.2, 0.6)  # seconds, each as likely

vary = st.just(0.0) | st.floats(0.01, 10)
loads = st.builds(
    Load,
    arrivals_per_second=st.floats(0.001, 10),
    mean_run_seconds=st.floats(0.001, 100),
    arrivals_scv=vary,
    runs_scv=vary,
)
processes = st.integers(1, 200)
bounded = settings(deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("work", "processes", "expected"),
    [
        (0.5, 1, 0.5),  # one process: it is busy for just that share of the time
        (1.0, 2, 1 / 3),  # by hand: (1/2 * 2) / (1 + 1 + 1/2 * 2)
        (2.0, 3, 4 / 9),  # by hand: (8/6 * 3) / (1 + 2 + 2 + 8/6 * 3)
        (8.0, 10, 0.4092),  # the usual table of Erlang's C: 8 Erlangs, 10 agents
    ],
)
def test_the_chance_to_wait_is_that_of_erlangs_table(work, processes, expected):
    assert erlang_c(work, processes) == pytest.approx(expected, abs=5e-4)
    by_definition = math.exp(processes * math.log(work) - math.lgamma(processes + 1)) / (1 - work / processes)
    all_states = sum(work**k / math.factorial(k) for k in range(processes)) + by_definition
    assert erlang_c(work, processes) == pytest.approx(by_definition / all_states)


def test_one_process_waits_as_pollaczek_and_khinchine_say():
    load = Load(arrivals_per_second=0.7, mean_run_seconds=1.0, runs_scv=0.0)  # M/D/1: rho / (2 (1 - rho))
    assert expected_wait(load, 1).mean_seconds == pytest.approx(0.7 / 0.6)
    assert expected_wait(Load(arrivals_per_second=0.7, mean_run_seconds=1.0), 1).mean_seconds == pytest.approx(
        0.7 / 0.3
    )  # M/M/1


def test_half_of_the_waits_of_one_process_are_shorter_than_the_median():
    found = expected_wait(Load(arrivals_per_second=0.8, mean_run_seconds=1.0), 1)
    assert found.quantile(0.5) == pytest.approx(math.log(0.8 / 0.5) / 0.2)  # M/M/1: P(wait > t) = rho e^-(1-rho)t


@bounded
@given(loads, processes)
def test_more_processes_never_make_a_job_wait_longer(load, processes):
    few, more = expected_wait(load, processes), expected_wait(load, processes + 1)
    assert more.mean_seconds <= few.mean_seconds
    assert more.quantile(0.95) <= few.quantile(0.95)


@bounded
@given(loads)
def test_with_processes_without_end_nobody_waits(load):
    plenty = expected_wait(load, math.ceil(load.offered_load) * 10 + 200)
    assert plenty.probability_of_wait == pytest.approx(0, abs=1e-6)
    assert plenty.quantile(0.95) == 0


@bounded
@given(loads, processes)
def test_more_than_can_be_done_waits_without_end_and_all_else_does_not(load, processes):
    found = expected_wait(load, processes)
    too_much = load.offered_load >= processes
    assert math.isinf(found.mean_seconds) is too_much
    assert (backlog_after(load, processes, 3600) > 0) is (load.offered_load > processes)


def test_a_load_like_clockwork_does_not_wait():
    found = expected_wait(Load(arrivals_per_second=0.9, mean_run_seconds=1.0, arrivals_scv=0, runs_scv=0), 1)
    assert (found.mean_seconds, found.quantile(0.95)) == (0, 0)


def test_bursts_wait_longer_than_a_steady_flow():
    steady, bursts = (
        expected_wait(Load(arrivals_per_second=0.8, mean_run_seconds=1.0, arrivals_scv=vary), 1).mean_seconds
        for vary in (1, 9)
    )
    assert bursts == pytest.approx(5 * steady)


def test_without_any_process_there_is_no_answer():
    with pytest.raises(ValueError, match="no process"):
        expected_wait(Load(arrivals_per_second=1.0, mean_run_seconds=1.0), 0)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("busy", [0.5, 0.7, 0.9])
def test_a_line_of_jobs_waits_about_as_the_arithmetic_says(count, busy):
    """Jobs that come at random, of three lengths, the same ones each time."""
    chance, now, run = Random(1), 0.0, sum(SLEEPS) / len(SLEEPS)
    arrivals = busy * count / run
    arrived = [now := now + chance.expovariate(arrivals) for _ in range(100_000)]
    waits = replay(arrived, [chance.choice(SLEEPS) for _ in arrived], count)
    vary = sum(sleep**2 for sleep in SLEEPS) / len(SLEEPS) / run**2 - 1
    said = expected_wait(Load(arrivals, run, arrivals_scv=1.0, runs_scv=vary), count)
    assert said.mean_seconds == pytest.approx(mean(waits), rel=0.15)
    assert said.quantile(0.95) == pytest.approx(quantiles(waits, n=20)[-1], rel=0.2)


def replay(arrived: Sequence[float], ran: Sequence[float], processes: int) -> list[float]:
    """Seconds that each job waits for the first free process: first come, first served."""
    free, waits = [0.0] * processes, []
    for moment, seconds in zip(arrived, ran, strict=True):
        begins = max(moment, heapq.heappop(free))
        heapq.heappush(free, begins + seconds)
        waits.append(begins - moment)
    return waits
