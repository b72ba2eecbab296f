"""A platform restarts each process of the Procfile in the middle of its work: nothing is lost, nothing is done twice.

Every process has a folder of its own, the environment of production, and its packages.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from devtools.mail_server import MailServer, fresh_mail_server
from devtools.processes import wait_until
from devtools.rabbitmq import Node
from tests import dynos
from tests.browsing import NEW_PASSWORD
from tests.dyno_visitor import HOST, DynoVisitor
from tests.dynos import Platform, empty_database
from tests.videos import make_video, repeat_video

FEW, MANY, BAD = 1_000, 200_000, 10  # rows
RESET = "/accounts/password_reset/"


@pytest.fixture
def database() -> Iterator[str]:
    with empty_database() as url:
        yield url


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with fresh_mail_server() as server:
        yield server


@pytest.fixture
def platform(
    tmp_path: Path, database: str, mails: MailServer, vhost: Node, bucket: dict[str, str]
) -> Iterator[Platform]:
    config = {
        "SECRET_KEY": "of-the-tests-and-of-nobody-else-" * 2,
        "SITE_URL": f"https://{HOST}",
        "ALLOWED_HOSTS": HOST,
        "PROXIES": "1",
        "DATABASE_URL": database,
        "REDIS_URL": os.environ["REDIS_URL"],
        "LOCKS_URL": os.environ["LOCKS_URL"],
        "BROKER_URL": vhost.url,
        "BROKER_MANAGEMENT_URL": vhost.management,
        "JOB_LEASE": "10",
        "EMAIL_URL": mails.url,
        **bucket,
    }
    with dynos.platform(tmp_path / "dynos", config) as platform:
        yield platform
    print(platform.logs())  # noqa: T201 - pytest shows it when the test has failed


def catalogue(folder: Path, prefix: str, rows: int) -> Path:
    path = folder / f"{prefix}.csv"
    with path.open("w") as file:
        file.write("external_id,title,price\n")
        for row in range(rows):
            price = "dear" if row % (rows // BAD) == 3 else f"{row % 500}.50"
            file.write(f"{prefix}-{row},Title {row},{price}\n")
    return path


def select_row(platform: Platform, select: str, *values: object) -> tuple[Any, ...]:
    with closing(psycopg.connect(platform.environment["DATABASE_URL"])) as connection:
        return connection.execute(select, values).fetchone()


class UserJourney:
    """Upload a video and a catalogue, wait for their jobs, and reset the password."""

    def __init__(self, visitor: DynoVisitor, mails: MailServer, video: Path, csv: Path) -> None:
        self.visitor, self.mails = visitor, mails
        self.files = {"video": video, "highmem": csv}
        self.rows = csv.read_text().count("\n") - 1
        self.mailed = len(mails.mails_to(visitor.address))
        self.jobs = {}

    def upload(self, worker: str) -> None:
        """Upload the file that this worker processes."""
        self.jobs[worker] = self.visitor.upload(self.files[worker])

    def row(self, worker: str) -> tuple[str, int]:
        """State and attempt of the job."""
        select = "SELECT state, attempt FROM workers_job WHERE id = %s"
        return select_row(self.visitor.platform, select, self.jobs[worker].split("/")[2])

    def request_reset(self) -> None:
        self.visitor.submit_form(RESET, email=self.visitor.address)

    def run(self) -> None:
        """The whole journey without an interruption."""
        self.upload("video")
        self.upload("highmem")
        self.request_reset()
        self.wait_until_done()

    def wait_until_done(self) -> None:
        visitor, mails = self.visitor, self.mails
        visitor.wait_until_done(self.jobs["video"])
        assert visitor.download(f"{self.jobs['video']}video.mp4")[4:8] == b"ftyp"
        result = visitor.wait_until_done(self.jobs["highmem"])
        assert [result["rows"], result["created"] + result["unchanged"]] == [self.rows, self.rows - BAD]
        assert visitor.download(f"{self.jobs['highmem']}rejected.csv").count(b"\n") == BAD + 1
        wait_until(lambda: len(mails.mails_to(visitor.address)) > self.mailed, "the mail")
        (text,) = mails.mails_to(visitor.address)[self.mailed :]
        link = visitor.request("GET", re.search(r"https://\S+/accounts/reset/\S+", text)[0]).headers["Location"]
        visitor.submit_form(link, new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
        visitor.log_in(NEW_PASSWORD)


def freeze_at_work(platform: Platform, journey: UserJourney, worker: str) -> None:
    """Upload a file and freeze the worker in the middle of its job. If the job has ended by then, try again."""
    dyno, visitor = platform.dynos[worker], journey.visitor

    def has_started() -> bool:
        state = visitor.read_state(journey.jobs[worker])
        return state["done"] > 0 or state["state"] not in ("queued", "running")

    while True:
        journey.upload(worker)
        wait_until(has_started, f"the {worker} dyno to begin")
        dyno.freeze()
        if journey.row(worker)[0] == "running":
            return
        dyno.resume()


def restart_every_process(platform: Platform, journey: UserJourney, signum: int) -> None:
    """Replace each dyno, with the signal, in the middle of its part of the journey."""
    visitor, mails = journey.visitor, journey.mails
    stopped = [platform.replace("beat", signum)]
    for worker in ("video", "highmem"):
        freeze_at_work(platform, journey, worker)
        stopped.append(platform.replace(worker, signum))
    with visitor.submitting_form_slowly(RESET, email=visitor.address) as send_last_byte:
        stopped.append(platform.replace("web", signum))
        mails.stall()
        if signum == signal.SIGTERM:
            assert b" 302 " in send_last_byte()
    if signum == signal.SIGKILL:
        visitor.wait_for_site()
        journey.request_reset()
    wait_until(mails.connected.is_set, "the default dyno to call the mail server")
    stopped.append(platform.replace("default", signum))
    mails.may_answer.set()
    codes = {dyno.folder.name: dyno.wait_for_exit() for dyno in stopped}
    assert set(codes.values()) == {0 if signum == signal.SIGTERM else -signal.SIGKILL}, codes
    visitor.wait_for_site()


def test_each_process_is_restarted_in_the_middle_of_its_work(platform: Platform, mails: MailServer, tmp_path: Path):
    short = make_video(tmp_path / "short.mp4", seconds=3, size="640x360", rate=25)
    long = repeat_video(short, 20, tmp_path / "long.mp4")
    platform.release()
    platform.start_all()
    alice = DynoVisitor(platform, "alice")
    alice.wait_for_site()
    alice.sign_up()
    UserJourney(alice, mails, short, catalogue(tmp_path, "A", FEW)).run()
    for prefix, signum in (("B", signal.SIGTERM), ("C", signal.SIGKILL)):
        journey = UserJourney(alice, mails, long, catalogue(tmp_path, prefix, MANY))
        restart_every_process(platform, journey, signum)
        journey.wait_until_done()
        assert min(journey.row(worker)[1] for worker in journey.jobs) > 1, "nothing was interrupted"
    bob = DynoVisitor(platform, "bob")  # alice has had her three mails of an hour
    bob.sign_up()
    UserJourney(bob, mails, short, catalogue(tmp_path, "D", FEW)).run()
    (rows,) = select_row(platform, "SELECT count(*) FROM mediaapp_catalogueitem")
    assert rows == 2 * (FEW - BAD) + 2 * (MANY - BAD)
