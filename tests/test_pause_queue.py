"""Staff pause a queue: every worker stops consuming it, also one that starts later, and nothing is lost."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from celery import current_app
from celery.utils import uuid
from django.core.cache import caches
from django.test import Client

from devtools.processes import DEADLINE_SECONDS, wait_until
from devtools.rabbitmq import Node
from mediaapp.models import ActionEntry
from tests.brokers import Broker
from tests.outages import make_unreachable
from workers.brokers.connection import count_ready
from workers.models import Pause
from workers.telemetry import liveness, pause_copy, pauses

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Site:
    """A site on an empty broker of either kind, which this process asks too."""

    environment: dict[str, str]
    broker: Broker | Node

    def send(self, queue: str, *files: Path, task: str = "touch") -> Path:
        """A worker that takes the message makes the first file."""
        message = current_app.amqp.as_task_v2(uuid(), f"tests.tasks.{task}", [str(file) for file in files], {})
        with current_app.connection_for_write(self.broker.url) as connection, connection.Producer() as producer:
            producer.publish(message.body, routing_key=queue, headers=message.headers, **message.properties)
        return files[0]

    def restart_broker(self) -> None:
        """Ends all connections. A node of RabbitMQ would need many seconds more."""
        if isinstance(self.broker, Broker):
            self.broker.kill()
            self.broker.start()
        else:
            vhost = self.broker.url.rpartition("/")[2]
            wait_until(lambda: self.broker.ask("GET", f"/api/vhosts/{vhost}/connections"), "its connections")
            for connection in self.broker.ask("GET", f"/api/vhosts/{vhost}/connections"):
                with suppress(RuntimeError):  # it may have closed by itself
                    self.broker.ask("DELETE", f"/api/connections/{quote(connection['name'])}")


@pytest.fixture(params=["valkey", "rabbitmq"])
def site(request, settings, tmp_path: Path) -> Iterator[Site]:
    tasks = {"CELERY_WORKER_INCLUDE": "tests.tasks", "HEARTBEAT_SECONDS": "0.2"}
    if request.param == "valkey":
        (tmp_path / "broker").mkdir()
        broker = Broker(tmp_path / "broker")
        broker.start()
        settings.BROKER_URL = broker.url
        yield Site({"BROKER_URL": broker.url} | tasks, broker)
        broker.kill()
    else:
        node = request.getfixturevalue("vhost")
        settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = node.url, node.management
        yield Site({"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management} | tasks, node)


def click(client: Client, name: str, action: str) -> str:
    """What the next page says."""
    return client.post(f"/operations/queues/{name}/{action}/", follow=True).content.decode()


def ask_again(worker: liveness.Worker) -> liveness.Worker:
    """After it has asked once more what is paused."""

    def newest() -> liveness.Worker:
        return next(each for each in liveness.read_workers() if each.name == worker.name)

    wait_until(lambda: newest().beat_at > worker.beat_at + 0.3, "its next heartbeats")
    return newest()


def paused_by_workers() -> list[list[str]]:
    """What each worker says that it does not consume."""
    return [load.paused for load in liveness.read_loads(liveness.read_workers()) if load]


def wait_for_pause(*queues: str) -> liveness.Worker:
    """Of the one worker."""
    wait_until(lambda: paused_by_workers() == [[*queues]], f"a pause of {queues}")
    return liveness.read_workers()[0]


def test_workers_stop_consuming_a_paused_queue_and_go_on_with_their_others(
    site: Site, start, as_stella, tmp_path: Path
):
    locks = caches["locks"].client.get_client()
    first = start("highmem", app="tests.fast_app", **site.environment)
    click(as_stella, "highmem", "pause")
    worker = wait_for_pause("highmem")
    held = site.send("highmem", tmp_path / "held")
    wait_until(site.send("imports", tmp_path / "free").exists, "the message of its other queue")
    locks.delete(pause_copy.KEY)  # as after a flush: it keeps what it knows
    ask_again(worker)
    assert paused_by_workers() == [["highmem"]]
    site.restart_broker()
    wait_until(site.send("imports", tmp_path / "after the restart").exists, "the next one, after the restart")

    pauses.refresh_copy()
    first.kill()
    first.wait()
    locks.delete(worker.key)
    start("highmem", app="tests.fast_app", **site.environment)
    wait_for_pause("highmem")
    wait_until(site.send("imports", tmp_path / "of the second").exists, "the second worker")
    assert not held.exists()
    assert count_ready("highmem") == 1
    click(as_stella, "highmem", "resume")
    wait_until(held.exists, "the message that waited")
    wait_for_pause()


def test_a_worker_that_stops_begins_to_consume_nothing(site: Site, start, tmp_path: Path):
    """Its heartbeats, with which it looks for pauses, go on until its task has ended."""
    process = start("highmem", app="tests.fast_app", **site.environment)
    go, begun = tmp_path / "go", tmp_path / "begun"
    wait_until(site.send("imports", begun, go, task="wait_for").exists, "the task to begin")
    process.terminate()
    (worker,) = liveness.read_workers()
    for _ in range(5):  # its loop sees the signal within a second
        worker = ask_again(worker)
    go.touch()
    assert process.wait(DEADLINE_SECONDS) == 0
    assert "Started consuming" not in (tmp_path / "highmem0.log").read_text()


def test_beat_writes_the_copy_that_workers_read(broker, start, stella):
    pauses.pause(Pause.Kind.QUEUE, "video", by="stella")
    start("beat", app="tests.fast_app")
    for _ in range(2):
        wait_until(lambda: "video" in pause_copy.read_or_empty(), "the copy")
        caches["locks"].client.get_client().delete(pause_copy.KEY)
    wait_until(lambda: "video" in pause_copy.read_or_empty(), "it again")
    pauses.resume(Pause.Kind.QUEUE, "video")
    wait_until(lambda: pause_copy.read() == {}, "a copy that names nothing")


def test_a_click_is_logged_once_and_says_what_it_did(as_stella, as_alice):
    assert "The queue video is paused" in click(as_stella, "video", "pause")
    assert "was paused before" in click(as_stella, "video", "pause")
    assert pause_copy.read_or_empty().keys() == {"video"}
    assert "is resumed" in click(as_stella, "video", "resume")
    assert "was not paused" in click(as_stella, "video", "resume")
    assert pause_copy.read() == {}
    entries = ActionEntry.objects.order_by("pk").values_list("actor", "action", "target")
    assert [*entries] == [("stella", "pause_queue", "video"), ("stella", "resume_queue", "video")]


def test_a_click_while_the_server_of_the_locks_is_away_says_when_it_holds(as_stella, settings):
    make_unreachable(settings, "locks")
    told = click(as_stella, "video", "pause")
    assert "its workers stop taking its jobs once the server of the locks answers again" in told
    assert "within 5 s" not in told
    assert "video" in pauses.paused_queues()
    assert "take its jobs again once the server of the locks answers again" in click(as_stella, "video", "resume")
    assert pauses.paused_queues() == {}


def test_only_staff_pause_only_by_post_and_only_what_exists(as_stella, as_alice, client):
    address = "/operations/queues/video/pause/"
    answers = [as_alice.post(address), client.post(address), as_stella.get(address)]
    assert [answer.status_code for answer in answers] == [404, 302, 405]
    assert as_stella.post("/operations/queues/nothing/pause/").status_code == 404
    assert pauses.paused_queues() == {}
