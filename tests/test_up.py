"""`manage.py up` as a newcomer meets it: a copy of the site in a deep folder, a clean environment."""

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
from devtools.servers import Server, ServerError, on_a_free_port
from tests.site import Up, runs

# What a fresh clone does not have, and what does not run.
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "staticfiles", "tests", "docs", "labs")
# Longer than a Unix socket's path may be, which is what deep folders break.
DEEP = Path(*["a folder in a deep path"] * 9)


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A copy of the site. Not in pytest's folder: see the fixture in test_embedded.py."""
    with tempfile.TemporaryDirectory(prefix="mediaapp-up-") as name:
        folder = Path(name) / DEEP
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        yield folder


@pytest.fixture(scope="module")
def other(clone: Path) -> str:
    """A second LOCAL_DIR: another site on the same code."""
    return str(clone / "other")


@pytest.fixture(scope="module")
def site(clone: Path) -> Iterator[Up]:
    """The site up and ready, for all the tests that only look at it."""
    up = Up(clone, free_port())
    yield up.until("Ready: ")
    up.end(signal.SIGTERM)


def test_one_line_says_where_to_go(site: Up):
    (line,) = [line for line in site.output.splitlines() if "Ready: " in line]
    address = f"http://127.0.0.1:{site.port}/"
    for part in (address, "demo / demo", f"{address}dev/mail/", "Ctrl-C"):
        assert part in line
    with urllib.request.urlopen(f"{address}readyz") as answer:
        assert answer.status == 200


def test_every_process_of_the_procfile_runs(site: Up):
    for name in ("web", "default", "video", "highmem", "beat"):
        assert f"{name} started" in site.output
    assert "release started" not in site.output


def test_another_terminal_needs_no_variables(site: Up):
    find = "from mediaapp.models import User; print(User.objects.get(username='demo').email)"
    assert site.manage("shell", "--command", find).splitlines()[-1] == "demo@example.com"
    assert (site.folder / ".local" / "env").stat().st_mode & 0o077 == 0


def test_a_second_up_in_the_same_folder_names_the_first(site: Up):
    second = Up(site.folder, free_port())
    assert second.process.wait() == 1
    assert f"up already (pid {site.process.pid})" in second.output
    assert "Traceback" not in second.output


def test_a_taken_port_is_a_sentence_with_the_way_out(clone: Path, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(clone, port, LOCAL_DIR=str(tmp_path))
        assert up.process.wait() == 1
    assert f"Port {port} is taken by " in up.output
    assert f"make run PORT={port + 1}" in up.output
    assert "Traceback" not in up.output
    assert "Starting" not in up.output


@pytest.mark.parametrize("port", ["0", "80000", "abc"])
def test_a_port_that_cannot_be_is_a_sentence_with_the_way_out(clone: Path, tmp_path: Path, port: str):
    up = Up(clone, port, LOCAL_DIR=str(tmp_path))
    assert up.process.wait() == 1
    assert f"PORT={port} is no port" in up.output
    assert "Traceback" not in up.output
    assert "Starting" not in up.output


def test_two_sites_share_nothing_and_a_stopped_one_goes_on_where_it_ended(site: Up, other: str):
    media = str(Path(other, "elsewhere"))
    neighbour = Up(site.folder, free_port(), LOCAL_DIR=other, MEDIA_ROOT=media, JOB_LEASE="77").until("Ready: ")
    make = "from mediaapp.models import User; User.objects.create(username='neighbour')"
    find = "from mediaapp.models import User; print(User.objects.filter(username='neighbour'))"
    neighbour.manage("shell", "--command", make)
    assert "<User: neighbour>" in neighbour.manage("shell", "--command", find)
    assert "<User: neighbour>" not in site.manage("shell", "--command", find)
    look = "from django.conf import settings; print(settings.MEDIA_ROOT, settings.JOB_LEASE)"
    assert neighbour.manage("shell", "--command", look).splitlines()[-1] == f"{media} 77"
    assert neighbour.end(signal.SIGTERM) == 0
    assert "Traceback" not in neighbour.output
    assert site.process.poll() is None

    # A killed run would leave such a file: nobody listens at its address any more.
    assert not Path(other, "env").exists()
    Path(other, "env").write_text("DATABASE_URL=postgres://127.0.0.1:1/gone\n")
    again = Up(site.folder, free_port(), LOCAL_DIR=other).until("Ready: ")
    assert "<User: neighbour>" in again.manage("shell", "--command", find)
    assert again.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_signal_in_the_middle_of_the_start_leaves_nothing(clone: Path, other: str, signum: int, code: int):
    up = Up(clone, free_port(), LOCAL_DIR=other).until("beat started")
    assert up.end(signum) == code
    assert "Traceback" not in up.output


def test_a_process_that_falls_stops_everything_and_is_named(clone: Path, other: str):
    up = Up(clone, free_port(), LOCAL_DIR=other).until("beat started")
    family = up.process.children(recursive=True)
    beat = int(re.search(r"beat started \(pid=(\d+)\)", up.output)[1])
    psutil.Process(beat).kill()
    assert up.process.wait() == 1
    assert "beat fell" in up.output
    assert not any(map(runs, family))


def test_an_embedded_server_that_falls_stops_everything_and_is_named(clone: Path, other: str):
    up = Up(clone, free_port(), LOCAL_DIR=other).until("Ready: ")
    family = up.process.children(recursive=True)
    psutil.Process(int(Path(other, "broker.pid").read_text().split()[0])).kill()
    assert up.process.wait(DEADLINE_SECONDS) == 1
    assert "broker fell, so everything was stopped. Last words of broker:" in up.output
    assert "Ready to accept connections" in up.output.split("Last words of broker:")[1]
    wait_until(lambda: not any(map(runs, family)), "the end of every process")


@pytest.fixture
def snatched() -> Iterator[Callable[[int], None]]:
    """Takes ports, as another program that is quicker."""
    with ExitStack() as rivals:
        yield lambda port: rivals.enter_context(socket.create_server(("127.0.0.1", port)))


@pytest.mark.parametrize("rivals", [0, 2, 3])
def test_a_server_whose_port_is_snatched_tries_two_others(tmp_path: Path, snatched, rivals: int):
    server, tried = Server(tmp_path / "cache", signal.SIGTERM), []

    def start(port: int) -> str:
        tried.append(port)
        if len(tried) <= rivals:
            snatched(port)
        server.start([str(VALKEY), "--bind", "127.0.0.1", "--port", str(port), "--save", ""])
        with redis.Redis(port=port, socket_timeout=1, retry=NO_RETRY) as client:
            server.wait_for(client.ping, redis.RedisError)
        return str(port)

    if rivals < 3:
        assert on_a_free_port(server, start) == str(tried[rivals])
    else:
        with pytest.raises(ServerError, match="Address already in use"):
            on_a_free_port(server, start)
        assert len(tried) == 3
    server.stop()
    assert server not in Server.running
