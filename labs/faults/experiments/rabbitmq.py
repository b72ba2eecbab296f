"""RabbitMQ: publishes that vanish or hang, queues that block, and messages that come back without end."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from django.conf import settings
from kombu import Queue

from devtools.processes import wait_until
from labs.faults.brokers import RABBITMQ
from labs.faults.experiment import Experiment, Seen
from labs.faults.experiments.publishing import REPORT, outcome_of, site_publishes_to
from labs.faults.project import Project, comes_true, of_site, plain
from workers.brokers.connection import count_ready
from workers.brokers.rabbitmq import management_api
from workers.practices import broker as practice
from workers.runtime import publishing

QUORUM = {"task_default_queue_type": "quorum", "task_acks_late": True, "worker_prefetch_multiplier": 1}
PUBLISH_SECONDS = 6


class RabbitFault(Experiment):
    brokers = (RABBITMQ,)


class Unconfirmed(RabbitFault):
    """A queue has reached its limit, and RabbitMQ refuses each further message. Celery does not ask: `.delay()` returns
    as always, and the tasks are gone."""

    id = "confirms"
    fix, how = "config/celery.py", "`confirm_publish` in `broker_transport_options`"
    reads = "of 8 messages to a queue of 3, {said} are said to be sent, {stored} are there"
    fix_options = ("broker_transport_options",)

    def measure(self, project: Project) -> Seen:
        limit = {"x-max-length": 3, "x-overflow": "reject-publish"}
        app = project.client()
        app.conf.task_queues = [Queue(project.queue, queue_arguments=limit)]
        said = [outcome_of(lambda: app.send_task("work", retry=False)) for _ in range(8)].count("says that it is sent")
        time.sleep(0.5)
        return {"said": said, "stored": project.ready()}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["said"] > seen["stored"])


class MemoryAlarm(RabbitFault):
    """One queue that nobody reads fills RabbitMQ's memory, and it takes no more messages, for any queue. Celery's calls
    succeed all the same. When the web process is replaced, its tasks are gone."""

    id = "memory-alarm-publish"
    fix, how = "workers/brokers/producers.py", "a connection that ends itself when RabbitMQ blocks it"
    reads = "calls that say that it is sent: {said}; messages that arrive: {stored}"

    def without(self) -> Seen:
        with plain(self.broker) as project:
            project.send("work")
            app = project.client()
            return self.publish(lambda: app.send_task("work"), project.queue)

    def with_fix(self) -> Seen:
        with of_site(self.broker) as project:
            practice.prepare_queues()
            return self.publish(lambda: publishing.publish(REPORT, str(uuid4()), project.queue), project.queue)

    def publish(self, publish: Callable[[], object], queue: str) -> Seen:
        before = count_ready(queue)
        said = multiprocessing.get_context("fork").SimpleQueue()
        process = multiprocessing.get_context("fork").Process(target=publish_often, args=(publish, said))
        with self.alarm():
            process.start()
            comes_true(lambda: not said.empty(), 4 * PUBLISH_SECONDS)
            process.kill()  # a web process that is replaced
            process.join()
        time.sleep(2)
        return {"said": 0 if said.empty() else said.get(), "stored": count_ready(queue) - before}

    @contextmanager
    def alarm(self) -> Iterator[None]:
        self.broker.node.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
        wait_until(lambda: management_api().read_state()["alarms"], "the alarm")
        try:
            yield
        finally:
            self.broker.node.ctl("set_vm_memory_high_watermark", "0.4")
            wait_until(lambda: not management_api().read_state()["alarms"], "the end of the alarm")

    def happened(self, seen: Seen) -> bool:
        return bool(seen["said"] > seen["stored"])


def publish_often(publish: Callable[[], object], said: Any) -> None:
    sent, until = 0, time.monotonic() + PUBLISH_SECONDS
    while time.monotonic() < until:
        try:
            publish()
            sent += 1
        except Exception:
            break  # it says that the message is not sent
    said.put(sent)
    time.sleep(60)


class HangingConfirm(MemoryAlarm):
    """The advice against that is `confirm_publish`. With it, `.delay()` hangs for as long as the alarm lasts, and each
    web process with it."""

    id = "confirm-hangs"
    reads = "`.delay()` {outcome}"

    def without(self) -> Seen:
        with plain(self.broker, broker_transport_options={"confirm_publish": True}) as project:
            project.send("work")
            app = project.client()
            with self.alarm():
                return {"outcome": outcome_of(lambda: app.send_task("work"))}

    def with_fix(self) -> Seen:
        with of_site(self.broker) as project, site_publishes_to(settings.BROKER_URL):
            practice.prepare_queues()
            with self.alarm():
                return {"outcome": outcome_of(lambda: publishing.publish(REPORT, str(uuid4()), project.queue))}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["outcome"] == "hangs")


class ChangedArguments(RabbitFault):
    """Somebody gives a queue a limit in its `queue_arguments` and deploys. RabbitMQ refuses a queue that exists with
    other arguments: no publish and no worker gets through until the queue is deleted, with its messages."""

    id = "changed-queue-arguments"
    page = "servers.md"
    fix, how = "workers/brokers/rabbitmq.py", "limits are policies, which change at any time"
    reads = "with a new limit, `.delay()` {outcome}"

    def without(self) -> Seen:
        with plain(self.broker) as project:
            project.send("work")
            app = project.client()
            app.conf.task_queues = [Queue(project.queue, queue_arguments={"x-max-length": 1000})]
            return {"outcome": outcome_of(lambda: app.send_task("work", retry=False))}

    def with_fix(self) -> Seen:
        with plain(self.broker) as project:
            project.send("work")
            management_api().set_policies({project.queue: {"max-length": 1000, "overflow": "reject-publish"}})
            return {"outcome": outcome_of(lambda: project.client().send_task("work", retry=False))}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["outcome"] != "says that it is sent")


class EtaOnQuorum(RabbitFault):
    """One task is sent with a countdown, or is retried later. On a quorum queue with Celery's default exchange, its
    worker does nothing until then, and all tasks behind it wait."""

    id = "eta-on-quorum"
    page = "servers.md"
    fix, how = "workers/brokers/declarations.py", "the queues have a topic exchange on RabbitMQ"
    reads = "beside a task with a countdown of 20 s, the next one {state}"
    options = QUORUM
    is_site = True

    def measure(self, project: Project) -> Seen:
        project.start_worker()
        project.send("work", 0, "later", countdown=20)
        time.sleep(0.5)
        project.send("work", 0, "next")
        return {"state": "runs at once" if project.has("ended next", seconds=7) else "waits"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "waits")


class CountdownOnClassic(EtaOnQuorum):
    """The same on a classic queue, since RabbitMQ 4.0: Celery asks for one message more while one waits for its
    countdown, and RabbitMQ does not give it."""

    id = "countdown-on-rabbitmq-4"
    fix, how = "workers/runtime/shared_prefetch.py", "the consumers of a worker share the channel's prefetch"
    options = {"task_acks_late": True, "worker_prefetch_multiplier": 1}  # noqa: RUF012
    rabbitmq_since = (4, 0)

    def with_fix(self) -> Seen:
        settings.QUEUE_TYPE = os.environ["QUEUE_TYPE"] = "classic"  # for the worker, too
        try:
            return super().with_fix()
        finally:
            settings.QUEUE_TYPE = os.environ["QUEUE_TYPE"] = ""


class PoisonMessage(RabbitFault):
    """A message that no worker can handle goes back to its queue, is delivered again, and goes back. It keeps a worker
    busy for ever; RabbitMQ 4 drops it after 20 times, without a trace."""

    id = "delivery-limit"
    page = "servers.md"
    fix, how = "workers/brokers/declarations.py", "a delivery limit of 50 and a queue of dead letters"
    reads = "after 5 s the message is {state}"
    options = QUORUM
    is_site = True

    def measure(self, project: Project) -> Seen:
        project.start_worker()
        project.send("refuse")
        project.wait_for("begun")
        time.sleep(5)
        runs = project.count("begun")
        time.sleep(1)
        if project.count("begun") > runs:
            return {"state": "delivered again and again"}
        return {"state": "among the dead letters" if count_ready("dead") else "gone, without a trace"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "among the dead letters")


class ConsumerTimeout(RabbitFault):
    """A task takes longer than RabbitMQ's `consumer_timeout` of half an hour. RabbitMQ closes the channel, the worker
    ends, and the task begins again, without end."""

    id = "consumer-timeout"
    page = "servers.md"
    fix, how = "workers/brokers/declarations.py", "each queue has a policy with twice its longest task"
    reads = "a task of 8 s under a timeout of 3 s {state}"
    options = QUORUM
    is_site = True
    rabbitmq_since = (3, 12)

    def measure(self, project: Project) -> Seen:
        self.set_timeout(3000, tick=1000)
        try:
            worker = project.start_worker()
            project.send("work", 8)
            project.wait_for("ended")
            comes_true(lambda: worker.poll() is not None, 4)
            time.sleep(1)
            is_over = worker.poll() is None and not self.broker.count_unacked(project.queue) and not project.ready()
        finally:
            self.set_timeout(1_800_000, tick=60_000)
        return {"state": "ends, and its worker goes on" if is_over else "ends its worker, and comes back"}

    def set_timeout(self, milliseconds: int, tick: int) -> None:
        for name, value in (("consumer_timeout", milliseconds), ("channel_tick_interval", tick)):
            self.broker.node.ctl("eval", f"application:set_env(rabbit, {name}, {value}).")

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "ends, and its worker goes on")


FAULTS: list[type[Experiment]] = [
    Unconfirmed,
    MemoryAlarm,
    HangingConfirm,
    ChangedArguments,
    EtaOnQuorum,
    CountdownOnClassic,
    PoisonMessage,
    ConsumerTimeout,
]
