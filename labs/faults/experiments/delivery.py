"""Messages: lost with their worker, delivered twice, or kept by a worker that does not work on them."""

import time

from labs.faults.brokers import VALKEY
from labs.faults.experiment import Experiment, Seen
from labs.faults.project import Project, children

FAST_REDELIVERY = {"visibility_timeout": 2, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
DEATH_SECONDS = 8  # a pool notices within 5 that a process died, and one more is for a busy machine


class KilledChild(Experiment):
    """The kernel kills a process of the pool for its memory. The log says WorkerLostError, and the task is gone: Celery
    acknowledged its message before it ran."""

    id = "killed-child"
    fix, how = "config/celery.py", "`task_acks_late`, `task_reject_on_worker_lost`"
    reads = "{ended} of 1 task ends"
    fix_options = ("task_acks_late", "task_reject_on_worker_lost")

    def measure(self, project: Project) -> Seen:
        worker = project.start_worker()
        project.send("work", 0.5)
        project.wait_for("begun")
        children(worker)[0].kill()
        return {"ended": int(project.has("ended", seconds=DEATH_SECONDS))}

    def happened(self, seen: Seen) -> bool:
        return not seen["ended"]


class LateAcknowledgementAlone(KilledChild):
    """`acks_late=True`, as many articles advise, does not help here. When a process dies, Celery acknowledges its
    message all the same."""

    id = "late-acknowledgement-alone"
    how = "`task_reject_on_worker_lost`"
    options = {"task_acks_late": True}  # noqa: RUF012
    fix_options = ("task_reject_on_worker_lost",)


class VisibilityTimeout(Experiment):
    """A task takes longer than Redis' visibility timeout (an hour by default). Redis delivers its message again: the
    task runs several times, side by side."""

    id = "visibility-timeout"
    fix, how = "workers/runtime/visibility_timeout.py", "a worker renews the timeout of each message that it has"
    reads = "a task of 6 s under a timeout of 2 s is begun {begun} x"
    brokers = (VALKEY,)
    options = {"task_acks_late": True, "broker_transport_options": FAST_REDELIVERY}  # noqa: RUF012
    is_site = True

    def measure(self, project: Project) -> Seen:
        project.start_worker(concurrency=3)
        project.send("work", 6)
        project.wait_for("ended")
        return {"begun": project.count("begun")}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["begun"] > 1)


class CountdownRedelivered(VisibilityTimeout):
    """`apply_async(countdown=...)` for later than the visibility timeout: a mail that is due tomorrow is sent
    several times. The worker keeps the message until then, and Redis takes that for a dead worker."""

    id = "countdown-redelivered"
    reads = "a task with a countdown of 6 s under a timeout of 2 s runs {begun} x"

    def measure(self, project: Project) -> Seen:
        project.start_worker(concurrency=3)
        project.send("work", 0, countdown=6)
        project.wait_for("ended")
        time.sleep(1.5)
        return {"begun": project.count("begun")}


class Prefetch(Experiment):
    """A worker takes four messages a process before it needs them. They wait behind its long task, while another
    worker has nothing to do, and the queue looks empty."""

    id = "prefetch"
    fix, how = "config/celery.py", "`worker_prefetch_multiplier=1` with `task_acks_late`"
    reads = "{ended} of 3 short tasks end while the first worker is busy"
    fix_options = ("worker_prefetch_multiplier", "task_acks_late")

    def measure(self, project: Project) -> Seen:
        project.start_worker()
        project.send("work", 60, "long")
        project.wait_for("begun")
        for _ in range(3):
            project.send("work", 0, "short")
        time.sleep(1)
        project.start_worker()
        project.has("ended", 3, seconds=4)
        return {"ended": project.count("ended")}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["ended"] < 3)


class MemoryErrorEndsWorker(Experiment):
    """One task raises MemoryError, and its whole worker ends. With late acknowledgement the message comes back and
    ends the next worker."""

    id = "memory-error"
    fix, how = "workers/runtime/task.py", "the base of all tasks raises another error instead"
    reads = "the worker {state}"
    options = {"task_acks_late": True}  # noqa: RUF012
    is_site = True

    def measure(self, project: Project) -> Seen:
        worker = project.start_worker()
        project.send("exhaust_memory")
        project.wait_for("begun")
        project.send("work")
        project.has("ended", seconds=4)
        time.sleep(1)
        code = worker.poll()
        return {"state": "goes on" if code is None and project.count("ended") else f"ends with exit code {code}"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "goes on")


class SystemExitComesBack(Experiment):
    """A library calls `sys.exit()` in a task. Celery takes it for a lost process, and the message comes back for
    ever."""

    id = "system-exit"
    fix, how = "workers/runtime/task.py", "the base of all tasks raises another error instead"
    reads = "the task runs {runs}"
    options = {"task_acks_late": True, "task_reject_on_worker_lost": True}  # noqa: RUF012
    is_site = True

    def measure(self, project: Project) -> Seen:
        project.start_worker()
        project.send("leave")
        project.has("begun", 2, seconds=DEATH_SECONDS)
        runs = project.count("begun")
        return {"runs": "once" if runs == 1 else "again and again"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["runs"] != "once")


FAULTS: list[type[Experiment]] = [
    KilledChild,
    LateAcknowledgementAlone,
    VisibilityTimeout,
    CountdownRedelivered,
    Prefetch,
    MemoryErrorEndsWorker,
    SystemExitComesBack,
]
