"""How long a job waits for a free process, from how often jobs come and how long they run. Nothing but arithmetic.

Processes that share one line are a GI/G/c station. No exact answer is known for it; the approximation here is that of
Allen and Cunneen: the wait of M/M/c, which Erlang's C formula gives exactly, times half the sum of the two squared
coefficients of variation (A. O. Allen, Probability, Statistics, and Queueing Theory, 2nd ed. 1990, section 5.3.5). It
is exact for M/M/c; for one process it is what is known as Kingman's approximation (J. F. C. Kingman, The single server
queue in heavy traffic, 1961), and with Poisson arrivals the formula of Pollaczek and Khinchine, which is exact. The
tail is taken as exponential, as it is in M/M/c.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What comes to a worker. arrivals: a second. run: mean seconds.

    arrivals_vary, runs_vary: squared coefficients of variation, variance / mean^2, of the time between two arrivals and
    of the run times. 0: like clockwork. 1: Poisson arrivals, exponential run times. Above: in bursts.
    """

    arrivals: float
    run: float
    arrivals_vary: float = 1.0
    runs_vary: float = 1.0

    @property
    def work(self) -> float:
        """Seconds of work that come in a second: so many processes are busy on average, at least (Erlangs)."""
        return self.arrivals * self.run


@dataclass(frozen=True)
class Wait:
    """How long a load waits for so many processes. busy: the share of their time in which they work.

    waits: the share of jobs that find no process free. mean: seconds, infinite where more comes than can be done.
    """

    busy: float
    waits: float
    mean: float

    def longest_of(self, share: float) -> float:
        """Seconds that this share of jobs does not exceed."""
        if math.isinf(self.mean):
            return math.inf
        if self.waits <= 1 - share:
            return 0.0
        return self.mean / self.waits * math.log(self.waits / (1 - share))


def wait_for(load: Load, processes: int) -> Wait:
    """How a load waits for the first of so many processes to be free. Raises ValueError for none."""
    if processes < 1:
        raise ValueError("no process reads it")
    busy = load.work / processes
    if busy >= 1:
        return Wait(busy, 1.0, math.inf)
    waits = erlang_c(load.work, processes)
    mean = waits * load.run / (processes * (1 - busy)) * (load.arrivals_vary + load.runs_vary) / 2
    return Wait(busy, waits, mean)


def erlang_c(work: float, processes: int) -> float:
    """The probability that a job of an M/M/c line finds all processes busy; work in Erlangs, below `processes`.

    By the recursion of Erlang's B formula, which no factorial overflows: B(0) = 1, 1 / B(c) = 1 + c / (work B(c - 1)),
    and C = B / (1 - busy (1 - B)). See G. Zeng, Two common properties of the Erlang-B function, Erlang-C function, and
    Engset blocking function, Mathematical and Computer Modelling 37 (2003), 1287-1296.
    """
    blocked = 1.0
    for count in range(1, processes + 1):
        blocked = work * blocked / (count + work * blocked)
    return blocked / (1 - work / processes * (1 - blocked))


def left_behind(load: Load, processes: int, seconds: float) -> float:
    """Jobs that wait after `seconds` of a load that is too much; 0 for one that is not."""
    surplus = load.work - processes
    return max(0.0, surplus * seconds / load.run) if load.run else 0.0
