"""The site as a platform of dynos runs it: each line of the Procfile in a copy of the code of its own.

A dyno has only its environment and the packages of production: no .env, no .local, no folder of another dyno. To stop
it, each of its processes gets SIGTERM, and SIGKILL 30 s later. The next one starts in a new folder.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from devtools.ports import free_port
from devtools.processes import ROOT, wait_until
from devtools.stack import read_procfile
from tests import image
from tests.site import is_alive
from workers.child_process import die_with_parent

STOP_SECONDS = 30  # from SIGTERM to SIGKILL, as Heroku says
SHELL = ("sh", "-c")
BUILD = "python manage.py collectstatic --noinput"


class Dyno:
    """A running line of the Procfile."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.port = folder, int(environment["PORT"])
        self.log = folder.with_suffix(".log")
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGKILL),
            )

    def send_signals(self, *signals: int) -> None:
        """Send the signals to every process of the dyno, as a platform does."""
        self.processes = [self.process, *self.process.children(recursive=True)]
        for signum in signals:
            for each in self.processes:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signum)

    def freeze(self) -> None:
        """SIGSTOP for every process: the dyno stays in the middle of its work."""
        self.send_signals(signal.SIGSTOP)

    def resume(self) -> None:
        self.send_signals(signal.SIGCONT)

    def wait_for_exit(self) -> int:
        """The exit code of a dyno that has got a signal; -9 if it must be killed after STOP_SECONDS."""
        try:
            code = self.process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            self.send_signals(signal.SIGKILL)
            code = self.process.wait()
        wait_until(lambda: not any(map(is_alive, self.processes)), f"the end of all of {self.folder.name}")
        return code


class Platform:
    """Runs dynos in `folder` with `config` as their environment. dynos: the last one of each name."""

    def __init__(self, folder: Path, config: Mapping[str, str]) -> None:
        self.folder, self.dynos, self.started = folder, dict[str, Dyno](), list[Dyno]()
        system = {"PATH": f"{image.make_virtualenv(folder / 'venv')}:/usr/bin:/bin", "LANG": "C.UTF-8"}
        self.environment = {**config, **system}
        self.commands = read_procfile(ROOT / "Procfile")
        self.slug = folder / "slug"
        image.copy_code(self.slug)
        self._copies = 0
        self._once(BUILD, self.slug, system)  # a build has no secrets

    def release(self) -> None:
        """Run the release line."""
        folder = self._copy("release")
        self._once(self.commands["release"], folder, self._environment("release", folder))

    def start(self, name: str, prefix: Sequence[str] = ()) -> Dyno:
        """Start a dyno, which `dynos` has by this name. prefix: of its command."""
        folder = self._copy(name)
        command = [*prefix, *SHELL, f"exec {self.commands[name]}"]
        dyno = self.dynos[name] = Dyno(command, folder, self._environment(name, folder))
        self.started.append(dyno)
        return dyno

    def replace(self, name: str, signum: int) -> Dyno:
        """Send the signal to a dyno and start the next one. Returns the old one, which may still run."""
        old = self.dynos[name]
        old.send_signals(signum, signal.SIGCONT)  # it may be frozen
        self.start(name)
        return old

    def start_all(self) -> None:
        """Start one dyno of each line but the release."""
        for name in self.commands.keys() - {"release"}:
            self.start(name)

    def logs(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))

    def _copy(self, name: str) -> Path:
        self._copies += 1
        folder = self.folder / f"{name}-{self._copies}"
        # Hard links: no process writes into an existing file.
        shutil.copytree(self.slug, folder, copy_function=os.link)
        (folder / "tmp").mkdir()
        return folder

    def _environment(self, name: str, folder: Path) -> dict[str, str]:
        own = {"DYNO": f"{name}.1", "PORT": str(free_port()), "HOME": str(folder), "TMPDIR": str(folder / "tmp")}
        return self.environment | own

    def _once(self, command: str, folder: Path, env: Mapping[str, str]) -> None:
        done = subprocess.run([*SHELL, command], cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@contextmanager
def platform(folder: Path, config: Mapping[str, str]) -> Iterator[Platform]:
    """A platform without a dyno. Dynos that run at the end of the block are killed."""
    running = Platform(folder, config)
    try:
        yield running
    finally:
        for dyno in running.started:
            if dyno.process.poll() is None:
                dyno.send_signals(signal.SIGKILL)
                dyno.wait_for_exit()


@contextmanager
def empty_database() -> Iterator[str]:
    """The URL of a new database on the server of the tests."""
    server, name = os.environ["DATABASE_URL"].rpartition("/")[0], f"dynos{os.getpid()}"
    with closing(psycopg.connect(f"{server}/postgres", autocommit=True)) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{server}/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
