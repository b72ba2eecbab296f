"""`manage.py up`: the whole site on one machine, with embedded servers for those whose variables are not set.

While it runs, `.local/env` has the addresses for other terminals. The exit code is 0 after Ctrl-C and SIGTERM, and 1 if
a process or a server ends.
"""

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environ
import psutil
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from devtools import embedded
from devtools.ports import LAST_PORT, find_listener, is_free
from devtools.servers import Server, ServerError
from devtools.stack import Stack, read_procfile

# What another terminal needs to work with the running site.
SHARED = (
    "DEBUG",
    "SECRET_KEY",
    "PORT",
    "SITE_URL",
    "DATABASE_URL",
    "REDIS_URL",
    "LOCKS_URL",
    "BROKER_URL",
    "EMAIL_URL",
    "MEDIA_ROOT",
    "JOB_LEASE",
)


class Command(BaseCommand):
    help = "Run the whole site on this machine; Ctrl-C stops it."
    requires_system_checks = ()
    skip_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--skip-checks", action="store_true", help="Start although a rule is broken.")

    def handle(self, *, skip_checks: bool, **_: object) -> None:
        self.skip_checks = ("--skip-checks",) if skip_checks else ()
        if not settings.DEBUG:
            raise CommandError("`up` is for development: use `make run`, or set DEBUG=true.")
        # A closed terminal (SIGHUP) and a stopped container (SIGTERM) stop it as Ctrl-C does.
        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.default_int_handler)
        os.chdir(settings.BASE_DIR)
        try:
            self.start(settings.LOCAL_DIR)
        except ServerError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            pass
        self.write_line("Stopped. The data stays; the next start goes on from here.")

    def start(self, local: Path) -> None:
        given = read_user_environment()
        with exclusive_lock(local / "up.pid"):
            check_port(given["PORT"])
            self.write_line("Starting the servers ...")
            with embedded.run_servers(local, given=given) as urls:
                secret_key = embedded.read_or_create_secret(local / "secret_key")
                environment = process_environment({"SECRET_KEY": secret_key} | given | urls, local / "ready")
                with published_environment(environment, local / "env"):
                    self.run_procfile(environment)

    def run_procfile(self, environment: dict[str, str]) -> None:
        """Leaves out the release line, which checks what only a deployment must have."""
        processes = read_procfile(Path("Procfile"))
        del processes["release"]
        for command in ("python manage.py migrate --noinput", "python manage.py create_demo_user"):
            words = [*shlex.split(command), *self.skip_checks]
            # In a session of its own, because this process handles Ctrl-C.
            done = subprocess.run(words, env=environment, start_new_session=True, check=False)  # noqa: S603
            if done.returncode:
                raise CommandError(f"`{command}` failed; the reason stands above.")
        stack = Stack(environment, when_ready=lambda: self.write_ready_line(environment["PORT"]))
        for name, command in processes.items():
            stack.add(name, command)
        stack.run()
        if stack.exited:
            words = [f"Last words of {server.data.name}:\n{server.log_tail()}" for server in Server.exited()]
            reason = "\n".join(words) or "The reason stands above."
            raise CommandError(f"{' and '.join(stack.exited)} fell, so everything was stopped. {reason}")

    def write_ready_line(self, port: str) -> None:
        site = f"http://127.0.0.1:{port}/"
        has_page = "django_mail_preview" in settings.INSTALLED_APPS
        mails = f"mails {site}dev/mail/" if has_page else "mails by EMAIL_URL"
        line = f"Ready: {site}  login demo / demo  {mails}  stop with Ctrl-C"
        self.write_line(self.style.SUCCESS(line))

    def write_line(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def read_user_environment() -> dict[str, str]:
    """The environment at the start of this process, then .env.

    Not os.environ: the settings have read `.local/env` into it, where a killed run leaves addresses of dead servers.
    """

    class Given(environ.Env):  # type: ignore[misc]
        ENVIRON = psutil.Process().environ()

    if Path(".env").exists():
        Given.read_env(".env")
    given = {name: value for name, value in Given.ENVIRON.items() if value}
    return {"PORT": "8000"} | given | {"DEBUG": "true"}


def check_port(value: str) -> None:
    if not (value.isdecimal() and 0 < int(value) <= LAST_PORT):
        raise CommandError(f"PORT={value} is no port: take a number from 1 to {LAST_PORT}, as in make run PORT=8001")
    port = int(value)
    if not is_free(port):
        way_out = f"Stop that, or take another: make run PORT={port + 1}"
        raise CommandError(f"Port {port} is taken by {find_listener(port)}. {way_out}")


def process_environment(environment: dict[str, str], ready: Path) -> dict[str, str]:
    shutil.rmtree(ready, ignore_errors=True)
    ready.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    return environment | {"PATH": path, "PYTHONUNBUFFERED": "1", "READY_DIR": str(ready)}


@contextmanager
def exclusive_lock(pid_file: Path) -> Iterator[None]:
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    with pid_file.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = pid_file.read_text()
            raise CommandError(f"This site is up already (pid {pid}). Stop that one first.") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@contextmanager
def published_environment(environment: dict[str, str], file: Path) -> Iterator[None]:
    """Only its owner can read the file."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    shared = (name for name in SHARED if name in environment)
    file.write_text("".join(f"{name}={environment[name]}\n" for name in shared))
    try:
        yield
    finally:
        file.unlink()
