"""The processes of a worker's pool: hung, dead, grown, or without a limit."""

import re
import time
from typing import Any

import psutil
from celery import current_app
from django_redis import get_redis_connection

from devtools.processes import ROOT
from labs.faults.brokers import VALKEY
from labs.faults.experiment import Experiment, Seen
from labs.faults.project import SITE, Project, children, plain

MB = 1 << 20
LIMIT_KB = 200_000  # the Procfile's, of the default worker


class HungIdleProcess(Experiment):
    """An idle process of the pool hangs, in a deadlock or in a paused container. The worker gives it the next message,
    and no time limit runs: the task never begins, and the queue looks empty."""

    id = "hung-idle-process"
    fix, how = "workers/runtime/hung_processes.py", "a worker kills a process that does not begin its message"
    reads = "the next task {state}"
    options = {"task_acks_late": True, "worker_prefetch_multiplier": 1}  # noqa: RUF012
    is_site = True

    def measure(self, project: Project) -> Seen:
        worker = project.start_worker()
        project.send("work", 0, "first")
        project.wait_for("ended first")
        (child,) = children(worker)
        child.suspend()
        project.send("work", 0, "next")
        is_run = project.has("ended next", seconds=12)
        if child.is_running():
            child.resume()
        return {"state": "runs" if is_run else "does not begin"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "runs")


class LostPoolProcess(Experiment):
    """A process dies while its task holds a lock. The message comes back at once, but a dead process holds the lock:
    the run is skipped, or waits until the lock's timeout."""

    id = "lost-pool-process"
    fix, how = "workers/runtime/lost_child.py", "the worker releases the locks of a process that died"
    reads = "the next run {state}"
    options = {"task_acks_late": True, "task_reject_on_worker_lost": True}  # noqa: RUF012
    is_site = True

    def measure(self, project: Project) -> Seen:
        get_redis_connection("locks").flushdb()
        worker = project.start_worker()
        project.send("hold_site_lock" if project.module == SITE else "hold_lock", 60)
        project.wait_for("begun")
        children(worker)[0].kill()
        project.has("busy", seconds=1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and len(project.events()) < 2:
            time.sleep(0.1)
        return {"state": "gets the lock" if project.count("begun") > 1 else "finds the lock held"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "gets the lock")


class GrownProcess(Experiment):
    """One task reads a large file. Its process keeps that memory until the worker is restarted. So each process grows
    to the largest task that it has ever run, and the machine swaps."""

    id = "max-memory-per-child"
    fix, how = "Procfile", "`--max-memory-per-child`, which replaces such a process after its task"
    reads = "after a large task, the pool {state}"
    brokers = (VALKEY,)

    def with_fix(self) -> Seen:
        line = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("default:"))
        found = re.search(r"--max-memory-per-child (\d+)", line)
        with plain(self.broker, worker_max_memory_per_child=int(found[1]) if found else None) as project:
            return self.measure(project)

    def measure(self, project: Project) -> Seen:
        worker = project.start_worker()
        project.send("allocate", 3_000_000)
        project.wait_for("pid")
        pid = int(project.events()[0].split()[1])
        time.sleep(3)  # a process takes a second to end
        kept = psutil.pid_exists(pid) and psutil.Process(pid).memory_info().rss // MB
        return (
            {"state": f"keeps {round(kept, -1)} MB in one process" if kept else "has a new process"} if worker else {}
        )

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "has a new process")


class HardLimit(Experiment):
    """`time_limit=1` beside a longer soft limit, such as the app's own: nothing happens after a second. The clock of
    the hard limit starts when the soft one has gone off."""

    id = "hard-limit"
    fix, how = "workers/practices/timing.py", "rule `practices.E703` asks for a soft limit below the hard one"
    reads = "a task of 4 s with a limit of 1 s {state}"
    brokers = (VALKEY,)
    limits: dict[str, Any] = {"time_limit": 1, "soft_time_limit": 6}  # noqa: RUF012
    pool = "prefork"

    def with_fix(self) -> Seen:
        self.limits, self.pool = {"time_limit": 2, "soft_time_limit": 1}, "prefork"
        return self.without()

    def measure(self, project: Project) -> Seen:
        project.start_worker("--pool", self.pool)
        project.send("work", 4, **self.limits)
        project.wait_for("begun")
        is_whole = project.has("ended", seconds=6)
        return {"state": "runs to its end" if is_whole else "is stopped"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "is stopped")


class LimitsOfThreads(HardLimit):
    """A worker of threads (`--pool threads`) ignores all time limits. One hung call to an API keeps its thread for
    ever."""

    id = "limits-of-threads"
    fix, how = "Procfile", "workers of processes, which is the default of `--pool`"
    limits = {"time_limit": 2, "soft_time_limit": 1}  # noqa: RUF012
    pool = "threads"


class ConnectionsPerWorker(Experiment):
    """A small plan of Redis has 20 connections, and two workers use them up: each takes ten, whatever its
    concurrency."""

    id = "connections-per-worker"
    fix, how = "workers/runtime/quiet_consumer.py", "no gossip, mingle and heartbeat, and no remote control"
    reads = "a worker has {connections} connections to the broker"
    brokers = (VALKEY,)
    is_site = True

    def measure(self, project: Project) -> Seen:
        before = self.count()
        project.start_worker()
        time.sleep(2)
        return {"connections": self.count() - before}

    def count(self) -> int:
        """To the broker's database: the locks have another one of the same server."""
        return sum(client["db"] == "0" for client in self.broker.client.client_list())

    def happened(self, seen: Seen) -> bool:
        return bool(seen["connections"] > 5)


class ResultKeys(Experiment):
    """A result backend in Redis, as each tutorial has it: every task leaves a key for a day. The server fills up with
    results that nobody reads."""

    id = "result-keys"
    fix, how = "config/celery.py", "`task_ignore_result=True`: the state of a job is a row"
    reads = "20 tasks leave {keys} keys"
    brokers = (VALKEY,)
    fix_options = ("task_ignore_result",)

    def measure(self, project: Project) -> Seen:
        project.options["result_backend"] = current_app.conf.broker_url
        project.start_worker()
        for _ in range(20):
            project.send("work")
        project.wait_for("ended", 20)
        time.sleep(0.5)
        return {"keys": len(self.broker.client.keys("celery-task-meta-*"))}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["keys"] > 0)


FAULTS: list[type[Experiment]] = [
    HungIdleProcess,
    LostPoolProcess,
    GrownProcess,
    HardLimit,
    LimitsOfThreads,
    ConnectionsPerWorker,
    ResultKeys,
]
