"""What the formation opens at most is counted before a deploy, and real processes open no more than that."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from django.conf import settings as site
from django.db import connection

from devtools.ports import free_port
from devtools.processes import ROOT, wait_until
from devtools.visitor import Visitor
from tests import in_subprocess
from tests.connections import count
from tests.videos import make_video
from tests.web import give_password, serving
from workers.capacity import connections
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "staple tractor violin"
UPLOAD = """
from pathlib import Path
from django.core.files.base import ContentFile
from mediaapp.models import User
from mediaapp.uploads.receive import store_upload
for path in {paths!r}:
    store_upload(User.objects.get(username="alice"), ContentFile(Path(path).read_bytes(), name=Path(path).name))
"""


@pytest.fixture
def counted(settings) -> Callable[[str], Counter[tuple[str, str]]]:
    """What the budget says, by process type and server, for one web process."""

    def of(broker_url: str) -> Counter[tuple[str, str]]:
        settings.WEB_CONCURRENCY, settings.BROKER_URL = 1, broker_url
        rows = connections.connections_by_process()
        return Counter({(row.name, server): each for row in rows for server, each in row.counts.items()})

    return of


@pytest.mark.parametrize("kind", ["valkey", "rabbitmq"])
def test_real_processes_under_work_open_no_more_than_is_counted(
    kind, request, start, broker, alice, stella, tmp_path, counted
):
    node = request.getfixturevalue("vhost") if kind == "rabbitmq" else None
    given = {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management} if node else {}
    pids = {name: start(name, **given).pid for name in ("default", "video", "highmem", "beat")}
    video = make_video(tmp_path / "film.mp4", seconds=5, size="320x240", rate=25)
    table = tmp_path / "table.csv"
    table.write_text("external_id,title\n" + "".join(f"A{number},A title\n" for number in range(20_000)))
    most: Counter[tuple[str, str]] = Counter()
    give_password(stella, PASSWORD)
    many = {"TRIES_PER_ADDRESS": "10000/10m", "TRIES_PER_CLIENT": "10000/10m"}
    with serving(tmp_path, WEB_CONCURRENCY="1", **given, **many) as web, people(web.port, alice.email):
        pids["web"] = web.process.pid
        in_subprocess.run(f"exec({UPLOAD.format(paths=[str(video), str(table)])!r})", **given)

        def is_all_done() -> bool:
            nonlocal most
            most |= count(pids, node)
            if not all(most[name, "broker"] for name in pids):
                return False  # RabbitMQ lists a connection up to two seconds after it was opened
            mails = Job.objects.filter(queue="urgent", state=Job.State.DONE).count()
            return mails > 8 and not Job.objects.exclude(queue="urgent").exclude(state=Job.State.DONE).exists()

        wait_until(is_all_done, "a count of every process's connections, the mails, the video and the table")
    allowed = counted(given.get("BROKER_URL", site.BROKER_URL))
    assert {key: (each, allowed[key]) for key, each in most.items() if each > allowed[key]} == {}
    assert most["web", "database"] >= 2  # something was counted at all


HOLD = """
import socket, sys, time
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
client.bind(("127.0.0.1", int(sys.argv[1])))
client.connect(("127.0.0.1", int(sys.argv[2])))
print("connected", flush=True)
time.sleep(600)
"""


def test_two_processes_that_connect_from_one_port_are_told_apart():
    """The kernel gives one local port to connections that lead to different servers."""
    local_port = str(free_port())
    servers = {"one": urlsplit(site.REDIS_URL).port, "other": connection.settings_dict["PORT"]}
    with ExitStack() as stack:
        pids = {}
        for name, server_port in servers.items():
            command = [sys.executable, "-c", HOLD, local_port, str(server_port)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            assert process.stdout.readline()
            pids[name] = process.pid
        assert count(pids) == {("one", "cache"): 1}


@contextmanager
def people(port: int, email: str) -> Iterator[None]:
    """Nine of the staff, one more than threads, reload pages and ask for passwords for as long as the block runs."""
    enough = threading.Event()
    with ThreadPoolExecutor(9) as each:
        visits = [each.submit(visit, Visitor(port), email, enough, probes=number == 0) for number in range(9)]
        try:
            yield
        finally:
            enough.set()
    seen = [one.result() for one in visits]  # raises what went wrong there
    assert any(seen), "nobody saw what only staff may see"


def visit(visitor: Visitor, email: str, enough: threading.Event, *, probes: bool) -> bool:
    """True once it has seen what only staff may see: a busy database may be late. One of them is a platform's probe."""
    visitor.post("/accounts/login/", username="stella", password=PASSWORD)
    seen = False
    while not enough.wait(0.5):
        seen |= 'id="queues"' in visitor.get("/operations/").data.decode()
        visitor.get("/readyz" if probes else "/")
        visitor.post("/accounts/password_reset/", email=email)
    return seen


def test_more_dynos_open_more(settings):
    before = {budget.server: budget.opened for budget in connections.connection_budgets()}
    settings.FORMATION = "web=2,default=3,beat=0"
    after = {budget.server: budget.opened for budget in connections.connection_budgets()}
    assert after["database"] == before["database"] + settings.WEB_CONCURRENCY * 20 + 2 * 4 - 9
    assert all(after[server] > before[server] for server in before)


def test_a_process_type_that_does_not_run_opens_none(settings):
    settings.FORMATION = "video=0"
    assert "video" not in {row.name for row in connections.connections_by_process()}


def test_the_shipped_formation_fits_into_the_shipped_plans(settings):
    variables = json.loads((ROOT / "app.json").read_text())["env"]
    settings.WEB_CONCURRENCY, settings.BROKER_URL = (
        int(variables["WEB_CONCURRENCY"]["value"]),
        "amqps://cow.example.com",
    )
    names = {"database": "DATABASE", "cache": "REDIS", "locks": "LOCKS", "broker": "BROKER"}
    settings.CONNECTIONS = {each: int(variables[f"{name}_CONNECTIONS"]["value"]) for each, name in names.items()}
    assert [budget for budget in connections.connection_budgets() if budget.is_over] == []


def test_a_server_whose_plan_is_unknown_is_never_over():
    assert not connections.ConnectionBudget("cache", 10_000, None).is_over


def test_the_gateway_starts_the_threads_that_are_counted():
    code = "from config.asgi import application; print(application.threads._max_workers)"
    assert int(in_subprocess.run(code)) == site.WEB_THREADS


def test_staff_see_who_opens_how_many(as_stella, settings):
    settings.CONNECTIONS = settings.CONNECTIONS | {"database": 3}
    page = as_stella.get("/operations/capacity/").content.decode()
    section = page[page.index('id="connections"') :]
    opened = {budget.server: budget.opened for budget in connections.connection_budgets()}
    assert f'<span class="tag bad">{opened["database"]}</span>' in section
    assert f'<td class="number">{opened["locks"]}</td>' in " ".join(section.split()).replace("> ", ">").replace(
        " <", "<"
    )


def test_nobody_else_does(as_alice):
    assert as_alice.get("/operations/capacity/").status_code == 404


def test_they_see_that_a_formation_cannot_be_read(as_stella, settings):
    settings.FORMATION = "web=many"
    assert "Nobody knows what runs" in as_stella.get("/operations/capacity/").content.decode()
