"""The site as a platform of dynos runs it: each line of the Procfile in a copy of the code that nobody else has.

A dyno knows nothing but its environment: no .env, no .local, no folder of another dyno. One that is to end hears
SIGTERM in each of its processes, and is killed 30 s later; the next one begins in a new folder.
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
from tests.site import runs
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

    def tell(self, *signals: int) -> None:
        """Sends the signals to every process of the dyno, as a platform does."""
        self.family = [self.process, *self.process.children(recursive=True)]
        for signum in signals:
            for each in self.family:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signum)

    def freeze(self) -> None:
        """Stops its clock: what it is at now, it is still at when it is told something else."""
        self.tell(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of a freeze."""
        self.tell(signal.SIGCONT)

    def ends(self) -> int:
        """Waits for the end of a dyno that was told of it; the exit code, -9 for one that had to be killed."""
        try:
            code = self.process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            self.tell(signal.SIGKILL)
            code = self.process.wait()
        wait_until(lambda: not any(map(runs, self.family)), f"the end of all of {self.folder.name}")
        return code


class Platform:
    """Runs dynos, under `folder`, with `config` as their environment. `dynos`: the last one of each name."""

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
        """What a platform does before the dynos of a new release start."""
        folder = self._copy("release")
        self._once(self.commands["release"], folder, self._environment("release", folder))

    def start(self, name: str, inside: Sequence[str] = ()) -> Dyno:
        """Starts a dyno; from now on it is the one of this name. inside: what its command begins with."""
        folder = self._copy(name)
        command = [*inside, *SHELL, f"exec {self.commands[name]}"]
        dyno = self.dynos[name] = Dyno(command, folder, self._environment(name, folder))
        self.started.append(dyno)
        return dyno

    def replace(self, name: str, signum: int) -> Dyno:
        """Sends the signal to a dyno and starts the next one; the old one, which may still be ending."""
        old = self.dynos[name]
        old.tell(signum, signal.SIGCONT)  # it may be frozen
        self.start(name)
        return old

    def start_all(self) -> None:
        """The whole formation, one dyno of each."""
        for name in self.commands.keys() - {"release"}:
            self.start(name)

    def logs(self) -> str:
        """What every dyno has said."""
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))

    def _copy(self, name: str) -> Path:
        self._copies += 1
        folder = self.folder / f"{name}-{self._copies}"
        # Names of its own for the same files: nobody writes into one that is there.
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
    """A platform without a dyno yet; whatever still runs at the end is killed."""
    running = Platform(folder, config)
    try:
        yield running
    finally:
        for dyno in running.started:
            if dyno.process.poll() is None:
                dyno.tell(signal.SIGKILL)
                dyno.ends()


@contextmanager
def empty_database() -> Iterator[str]:
    """The URL of a new database on the server of the tests."""
    server, name = os.environ["DATABASE_URL"].rpartition("/")[0], f"dynos{os.getpid()}"
    with closing(psycopg.connect(f"{server}/postgres", autocommit=True)) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{server}/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
