"""A broker that restarts, or a connection that breaks, while a worker is at work."""

import time
from typing import Any

from labs.faults.brokers import RABBITMQ, VALKEY
from labs.faults.experiment import Experiment, Seen
from labs.faults.project import Project

LATE = {"task_acks_late": True, "task_reject_on_worker_lost": True, "worker_prefetch_multiplier": 1}
QUIET = {"worker_enable_remote_control": False}


class LostAcknowledgement(Experiment):
    """Redis is away for a moment, and a task ends meanwhile. A worker without gossip, mingle and heartbeat, as small
    plans need it, is connected again, but takes no message until somebody restarts it."""

    id = "lost-acknowledgement"
    fix, how = "workers/runtime/acknowledgement.py", "a worker that counts a message too many connects again"
    reads = "after the outage, the worker {state}"
    brokers = (VALKEY,)
    options = LATE | QUIET
    is_site = True

    def measure(self, project: Project) -> Seen:
        project.start_worker("--without-gossip", "--without-mingle", "--without-heartbeat")
        project.send("work", 2, "first")
        project.wait_for("begun")
        with self.broker.outage():
            project.wait_for("ended")
            time.sleep(1)
        project.send("work", 0, "second")
        is_taken = project.has("ended second", seconds=15)
        return {"state": "takes the next message" if is_taken else "takes no message"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "takes no message")


class CancelOnConnectionLoss(Experiment):
    """A worker loses its connection to RabbitMQ for a moment. RabbitMQ delivers the message again at once: the same
    worker runs the task twice, side by side."""

    id = "cancel-on-connection-loss"
    fix, how = "config/celery.py", "`worker_cancel_long_running_tasks_on_connection_loss=True` on RabbitMQ"
    reads = "runs of the task that end: {ended}"
    brokers = (RABBITMQ,)
    options = LATE | QUIET
    fix_options: Any = ("worker_cancel_long_running_tasks_on_connection_loss",)

    def measure(self, project: Project) -> Seen:
        project.start_worker(concurrency=2)
        project.send("work", 5)
        project.wait_for("begun")
        self.break_connection()
        project.wait_for("ended")
        project.has("ended", 2, seconds=6)
        return {"ended": project.count("ended")}

    def break_connection(self) -> None:
        time.sleep(1)  # RabbitMQ lists a new connection a second late
        self.broker.drop_connections()

    def happened(self, seen: Seen) -> bool:
        return bool(seen["ended"] != 1)


class StrandedByCancel(CancelOnConnectionLoss):
    """The same option, which will be the default of Celery 6, on Redis: the connection breaks, the task is killed, and
    its message comes back only after the visibility timeout of an hour."""

    id = "stranded-by-cancel"
    how = "the option is off on Redis"
    brokers = (VALKEY,)
    options = LATE | QUIET | {"worker_cancel_long_running_tasks_on_connection_loss": True}

    def measure(self, project: Project) -> Seen:
        project.start_worker()
        project.send("work", 4)
        project.wait_for("begun")
        with self.broker.outage():
            time.sleep(1)
        project.has("ended", seconds=9)
        return {"ended": project.count("ended")}


FAULTS: list[type[Experiment]] = [LostAcknowledgement, CancelOnConnectionLoss, StrandedByCancel]
