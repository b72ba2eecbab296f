"""The expected wait for a free process, from arrivals and run times.

Allen and Cunneen's approximation for GI/G/c: the wait of M/M/c (Erlang's C) times half the sum of the two squared
coefficients of variation (A. O. Allen, Probability, Statistics, and Queueing Theory, 2nd ed. 1990, section 5.3.5). The
tail is assumed to be exponential.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """arrivals_scv, runs_scv: squared coefficients of variation of the times between arrivals and of the run times.

    0: constant. 1: exponential.
    """

    arrivals_per_second: float
    mean_run_seconds: float
    arrivals_scv: float = 1.0
    runs_scv: float = 1.0

    @property
    def offered_load(self) -> float:
        """Erlangs: seconds of work that arrive in a second."""
        return self.arrivals_per_second * self.mean_run_seconds


@dataclass(frozen=True)
class Wait:
    """mean_seconds: infinite where the load exceeds the processes."""

    utilization: float
    probability_of_wait: float
    mean_seconds: float

    def quantile(self, share: float) -> float:
        """Seconds. share: 0.95 for the p95."""
        if math.isinf(self.mean_seconds):
            return math.inf
        if self.probability_of_wait <= 1 - share:
            return 0.0
        return self.mean_seconds / self.probability_of_wait * math.log(self.probability_of_wait / (1 - share))


def expected_wait(load: Load, processes: int) -> Wait:
    """Raises ValueError for no process."""
    if processes < 1:
        raise ValueError("no process reads it")
    utilization = load.offered_load / processes
    if utilization >= 1:
        return Wait(utilization, 1.0, math.inf)
    probability = erlang_c(load.offered_load, processes)
    markovian = probability * load.mean_run_seconds / (processes * (1 - utilization))
    return Wait(utilization, probability, markovian * (load.arrivals_scv + load.runs_scv) / 2)


def erlang_c(offered_load: float, processes: int) -> float:
    """The probability that a job of an M/M/c queue finds all processes busy. offered_load: below `processes`.

    By the recursion of Erlang's B formula, which no factorial overflows.
    """
    blocked = 1.0
    for count in range(1, processes + 1):
        blocked = offered_load * blocked / (count + offered_load * blocked)
    return blocked / (1 - offered_load / processes * (1 - blocked))


def backlog_after(load: Load, processes: int, seconds: float) -> float:
    """The jobs that wait; 0 for a load that the processes can serve."""
    surplus = load.offered_load - processes
    return max(0.0, surplus * seconds / load.mean_run_seconds) if load.mean_run_seconds else 0.0
