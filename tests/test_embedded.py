"""The embedded servers keep their data, ask for a password, leave no process behind, and start after a crash."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from devtools import embedded
from devtools.servers import Server, ServerError

RUN_FOR_EVER = """
import signal, sys
from pathlib import Path
from devtools import embedded
with embedded.run_servers(Path(sys.argv[1])):
    print("running", flush=True)
    signal.pause()
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One folder for all tests, because the first start is slow.

    Not in a folder of pytest, which takes the permission away that `nobody` needs to reach the data.
    """
    with tempfile.TemporaryDirectory(prefix="mediaapp-embedded-") as name:
        yield Path(name) / "data"


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a program that is not an embedded server. It is killed after the test."""
    started: list[subprocess.Popen] = []

    def start_program(*command: str, **identity) -> subprocess.Popen:
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, **identity))
        return started[-1]

    yield start_program
    for program in started:
        program.kill()
        program.wait()


def test_data_survives_a_restart_except_the_cache(folder: Path):
    with embedded.run_servers(folder) as urls:
        with psycopg.connect(urls["DATABASE_URL"]) as database:
            database.execute("CREATE TABLE kept AS SELECT 1 AS one")
        for name in ("BROKER_URL", "LOCKS_URL", "REDIS_URL"):
            redis.from_url(urls[name]).set("kept", name)
    with embedded.run_servers(folder) as urls:
        with psycopg.connect(urls["DATABASE_URL"]) as database:
            assert database.execute("SELECT one FROM kept").fetchone() == (1,)
        assert redis.from_url(urls["BROKER_URL"]).get("kept") == b"BROKER_URL"
        assert redis.from_url(urls["LOCKS_URL"]).get("kept") == b"LOCKS_URL"
        assert redis.from_url(urls["REDIS_URL"]).get("kept") is None


def test_only_the_cache_forgets_when_it_is_full(folder: Path):
    with embedded.run_servers(folder, given={"DATABASE_URL"}) as urls:
        broker, cache = (redis.from_url(urls[name]) for name in ("BROKER_URL", "REDIS_URL"))
        assert broker.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert cache.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert int(cache.config_get("maxmemory")["maxmemory"]) > 0


def test_a_client_without_the_password_is_refused(folder: Path):
    with embedded.run_servers(folder) as urls:
        password = (folder / "password").read_text()
        assert (folder / "password").stat().st_mode & 0o077 == 0
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(urls["DATABASE_URL"].replace(password, "guessed"))
        for name in ("BROKER_URL", "REDIS_URL"):
            with pytest.raises(redis.AuthenticationError):
                redis.from_url(urls[name].replace(f":{password}@", "")).ping()


def test_a_configured_server_is_not_embedded(folder: Path):
    with embedded.run_servers(folder, given={"DATABASE_URL", "REDIS_URL", "BROKER_URL", "LOCKS_URL"}) as urls:
        assert urls == {}
        assert not list(folder.glob("*.pid"))


@pytest.mark.parametrize("given", [{"DATABASE_URL", "BROKER_URL"}, {"DATABASE_URL", "BROKER_URL", "REDIS_URL"}])
def test_with_an_external_broker_locks_are_in_a_server_that_evicts_nothing(folder: Path, given: set[str]):
    with embedded.run_servers(folder, given=given) as urls:
        assert set(urls) == {"LOCKS_URL", "REDIS_URL"} - given
        policy = redis.from_url(urls["LOCKS_URL"]).config_get("maxmemory-policy")
        assert policy == {"maxmemory-policy": "noeviction"}


def test_a_killed_run_leaves_no_server_and_blocks_no_start(folder: Path):
    command = [sys.executable, "-c", RUN_FOR_EVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
        assert run.stdout.readline() == b"running\n"
        servers = psutil.Process(run.pid).children()
        assert len(servers) == 3
        run.send_signal(signal.SIGKILL)
    with embedded.run_servers(folder) as urls:
        assert not any(server.is_running() for server in servers)
        psycopg.connect(urls["DATABASE_URL"]).close()


def test_a_server_that_outlived_its_run_is_ended_by_the_next(tmp_path: Path, start):
    left = start(str(embedded.VALKEY), "--port", "0")
    (tmp_path / "cache.pid").write_text(f"{left.pid} {psutil.Process(left.pid).create_time()}")
    Server(tmp_path / "cache", signal.SIGTERM).stop_leftover()
    assert left.poll() is not None


def test_another_program_with_the_pid_of_an_old_server_keeps_running(tmp_path: Path, start):
    stranger = start(str(embedded.VALKEY), "--port", "0")
    born = psutil.Process(stranger.pid).create_time()
    (tmp_path / "cache.pid").write_text(f"{stranger.pid} {born - 60}")
    Server(tmp_path / "cache", signal.SIGTERM).stop_leftover()
    assert stranger.poll() is None


def test_a_pid_file_with_the_pid_of_another_program_blocks_no_start(folder: Path, start):
    data = folder / "postgres"
    with embedded.run_servers(folder, given={"BROKER_URL", "REDIS_URL"}):
        lines = (data / "postmaster.pid").read_text().splitlines()
    stranger = start("sleep", "600", **embedded.unprivileged_user(data))
    (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
    with embedded.run_servers(folder, given={"BROKER_URL", "REDIS_URL"}) as urls:
        psycopg.connect(urls["DATABASE_URL"]).close()
    assert stranger.poll() is None


def test_a_server_that_cannot_start_says_why(folder: Path):
    with (
        pytest.raises(ServerError, match="no_such_setting"),
        embedded.run_servers(folder, postgres_settings=("no_such_setting=1",)),
    ):
        pytest.fail("it started")
    assert not list(folder.glob("*.pid"))
