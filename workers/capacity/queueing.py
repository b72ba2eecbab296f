"""The expected wait for a free process, from the rate of arrivals and the run times. Pure arithmetic.

Processes that serve one queue are a GI/G/c station, for which no exact formula is known. This is the approximation of
Allen and Cunneen: the wait of M/M/c (Erlang's C, exact) times half the sum of the two squared coefficients of variation
(A. O. Allen, Probability, Statistics, and Queueing Theory, 2nd ed. 1990, section 5.3.5). It is exact for M/M/c. For one
process it is Kingman's formula (1961), and with Poisson arrivals that of Pollaczek and Khinchine, which is exact. The
tail is assumed to be exponential, as in M/M/c.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """The load of a worker.

    arrivals_scv, runs_scv: squared coefficients of variation (variance / mean^2) of the times between arrivals and of
    the run times. 0: constant. 1: Poisson arrivals, exponential run times. Above 1: bursts.
    """

    arrivals_per_second: float
    mean_run_seconds: float
    arrivals_scv: float = 1.0
    runs_scv: float = 1.0

    @property
    def offered_load(self) -> float:
        """Seconds of work that arrive in a second (Erlangs): the processes that are busy on average, at least."""
        return self.arrivals_per_second * self.mean_run_seconds


@dataclass(frozen=True)
class Wait:
    """The wait of a load at a number of processes. mean_seconds is infinite where the load exceeds the processes."""

    utilization: float
    probability_of_wait: float
    mean_seconds: float

    def quantile(self, share: float) -> float:
        """The seconds that a `share` of the jobs does not exceed: 0.95 for the p95."""
        if math.isinf(self.mean_seconds):
            return math.inf
        if self.probability_of_wait <= 1 - share:
            return 0.0
        return self.mean_seconds / self.probability_of_wait * math.log(self.probability_of_wait / (1 - share))


def expected_wait(load: Load, processes: int) -> Wait:
    """The wait for the first free one of these processes. Raises ValueError for none."""
    if processes < 1:
        raise ValueError("no process reads it")
    utilization = load.offered_load / processes
    if utilization >= 1:
        return Wait(utilization, 1.0, math.inf)
    probability = erlang_c(load.offered_load, processes)
    markovian = probability * load.mean_run_seconds / (processes * (1 - utilization))
    return Wait(utilization, probability, markovian * (load.arrivals_scv + load.runs_scv) / 2)


def erlang_c(offered_load: float, processes: int) -> float:
    """The probability that a job of an M/M/c queue finds all processes busy. offered_load: Erlangs, below `processes`.

    By the recursion of Erlang's B formula, which no factorial overflows: B(0) = 1, 1 / B(c) = 1 + c / (load B(c - 1)),
    and C = B / (1 - load / c (1 - B)). See G. Zeng, Two common properties of the Erlang-B function, Erlang-C function,
    and Engset blocking function, Mathematical and Computer Modelling 37 (2003), 1287-1296.
    """
    blocked = 1.0
    for count in range(1, processes + 1):
        blocked = offered_load * blocked / (count + offered_load * blocked)
    return blocked / (1 - offered_load / processes * (1 - blocked))


def backlog_after(load: Load, processes: int, seconds: float) -> float:
    """The jobs that wait after `seconds` of a load that exceeds the processes; 0 for a smaller load."""
    surplus = load.offered_load - processes
    return max(0.0, surplus * seconds / load.mean_run_seconds) if load.mean_run_seconds else 0.0
