"""`manage.py up` in a copy of the site in a deep folder, with an empty environment."""

import re
import shutil
import signal
import socket
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import redis

from devtools.embedded import NO_RETRY, VALKEY
from devtools.ports import free_port
from devtools.processes import DEADLINE_SECONDS, ROOT, wait_until
from devtools.servers import Server, ServerError, start_on_free_port
from tests.site import UpCommand, is_alive

# What a fresh clone does not have, and what `up` does not need.
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "staticfiles", "tests", "docs", "labs")
# Longer than the path of a Unix socket may be.
DEEP = Path(*["a folder in a deep path"] * 9)


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A copy of the site. Not in a folder of pytest: see the fixture in test_embedded.py."""
    with tempfile.TemporaryDirectory(prefix="mediaapp-up-") as name:
        folder = Path(name) / DEEP
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        yield folder


@pytest.fixture(scope="module")
def other(clone: Path) -> str:
    """A second LOCAL_DIR: another site on the same code."""
    return str(clone / "other")


@pytest.fixture(scope="module")
def site(clone: Path) -> Iterator[UpCommand]:
    """The running site, for the tests that do not change it."""
    up = UpCommand(clone, free_port())
    yield up.wait_for_output("Ready: ")
    up.stop(signal.SIGTERM)


def test_one_line_says_where_to_go(site: UpCommand):
    (line,) = [line for line in site.output.splitlines() if "Ready: " in line]
    address = f"http://127.0.0.1:{site.port}/"
    for part in (address, "demo / demo", f"{address}dev/mail/", "Ctrl-C"):
        assert part in line
    with urllib.request.urlopen(f"{address}readyz") as answer:
        assert answer.status == 200


def test_every_process_of_the_procfile_runs(site: UpCommand):
    for name in ("web", "default", "video", "highmem", "beat"):
        assert f"{name} started" in site.output
    assert "release started" not in site.output


def test_another_terminal_needs_no_variables(site: UpCommand):
    find = "from mediaapp.models import User; print(User.objects.get(username='demo').email)"
    assert site.manage("shell", "--command", find).splitlines()[-1] == "demo@example.com"
    assert (site.folder / ".local" / "env").stat().st_mode & 0o077 == 0


def test_a_second_up_in_the_same_folder_names_the_first(site: UpCommand):
    second = UpCommand(site.folder, free_port())
    assert second.process.wait() == 1
    assert f"up already (pid {site.process.pid})" in second.output
    assert "Traceback" not in second.output


def test_a_taken_port_is_an_error_that_names_another_one(clone: Path, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = UpCommand(clone, port, LOCAL_DIR=str(tmp_path))
        assert up.process.wait() == 1
    assert f"Port {port} is taken by " in up.output
    assert f"make run PORT={port + 1}" in up.output
    assert "Traceback" not in up.output
    assert "Starting" not in up.output


@pytest.mark.parametrize("port", ["0", "80000", "abc"])
def test_an_invalid_port_is_an_error_that_names_a_valid_one(clone: Path, tmp_path: Path, port: str):
    up = UpCommand(clone, port, LOCAL_DIR=str(tmp_path))
    assert up.process.wait() == 1
    assert f"PORT={port} is no port" in up.output
    assert "Traceback" not in up.output
    assert "Starting" not in up.output


def test_two_sites_share_nothing_and_a_stopped_one_keeps_its_data(site: UpCommand, other: str):
    media = str(Path(other, "elsewhere"))
    neighbour = UpCommand(site.folder, free_port(), LOCAL_DIR=other, MEDIA_ROOT=media, JOB_LEASE="77").wait_for_output(
        "Ready: "
    )
    make = "from mediaapp.models import User; User.objects.create(username='neighbour')"
    find = "from mediaapp.models import User; print(User.objects.filter(username='neighbour'))"
    neighbour.manage("shell", "--command", make)
    assert "<User: neighbour>" in neighbour.manage("shell", "--command", find)
    assert "<User: neighbour>" not in site.manage("shell", "--command", find)
    show = "from django.conf import settings; print(settings.MEDIA_ROOT, settings.JOB_LEASE)"
    assert neighbour.manage("shell", "--command", show).splitlines()[-1] == f"{media} 77"
    assert neighbour.stop(signal.SIGTERM) == 0
    assert "Traceback" not in neighbour.output
    assert site.process.poll() is None

    # As after a killed run: no server listens at the address in its file.
    assert not Path(other, "env").exists()
    Path(other, "env").write_text("DATABASE_URL=postgres://127.0.0.1:1/gone\n")
    again = UpCommand(site.folder, free_port(), LOCAL_DIR=other).wait_for_output("Ready: ")
    assert "<User: neighbour>" in again.manage("shell", "--command", find)
    assert again.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_signal_in_the_middle_of_the_start_leaves_nothing(clone: Path, other: str, signum: int, code: int):
    up = UpCommand(clone, free_port(), LOCAL_DIR=other).wait_for_output("beat started")
    assert up.stop(signum) == code
    assert "Traceback" not in up.output


def test_a_process_that_ends_stops_everything_and_is_named(clone: Path, other: str):
    up = UpCommand(clone, free_port(), LOCAL_DIR=other).wait_for_output("beat started")
    family = up.process.children(recursive=True)
    beat = int(re.search(r"beat started \(pid=(\d+)\)", up.output)[1])
    psutil.Process(beat).kill()
    assert up.process.wait() == 1
    assert "beat fell" in up.output
    wait_until(lambda: not any(map(is_alive, family)), "the end of every process")


def test_an_embedded_server_that_ends_stops_everything_and_is_named(clone: Path, other: str):
    up = UpCommand(clone, free_port(), LOCAL_DIR=other).wait_for_output("Ready: ")
    family = up.process.children(recursive=True)
    psutil.Process(int(Path(other, "broker.pid").read_text().split()[0])).kill()
    assert up.process.wait(DEADLINE_SECONDS) == 1
    assert "broker fell, so everything was stopped. Last words of broker:" in up.output
    assert "Ready to accept connections" in up.output.split("Last words of broker:")[1]
    wait_until(lambda: not any(map(is_alive, family)), "the end of every process")


@pytest.fixture
def take_port() -> Iterator[Callable[[int], None]]:
    """Listens at a port, as another program would that takes it first."""
    with ExitStack() as rivals:
        yield lambda port: rivals.enter_context(socket.create_server(("127.0.0.1", port)))


@pytest.mark.parametrize("rivals", [0, 2, 3])
def test_a_server_whose_port_is_taken_tries_two_others(tmp_path: Path, take_port, rivals: int):
    server, tried = Server(tmp_path / "cache", signal.SIGTERM), []

    def start(port: int) -> str:
        tried.append(port)
        if len(tried) <= rivals:
            take_port(port)
        server.start([str(VALKEY), "--bind", "127.0.0.1", "--port", str(port), "--save", ""])
        with redis.Redis(port=port, socket_timeout=1, retry=NO_RETRY) as client:
            server.wait_for(client.ping, redis.RedisError)
        return str(port)

    if rivals < 3:
        assert start_on_free_port(server, start) == str(tried[rivals])
    else:
        with pytest.raises(ServerError, match="Address already in use"):
            start_on_free_port(server, start)
        assert len(tried) == 3
    server.stop()
    assert server not in Server.running
