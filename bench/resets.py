"""Password resets, from the request to the mail server, with nothing else to do and beside a backlog.

Real processes: the site, the three workers, a mail server. Videos and imports run beside the resets on the same
processors, so a third state tells the two causes apart: nothing waits, and a bare ffmpeg takes as much as it gets.
"""

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

import imageio_ffmpeg
from django.conf import settings
from django_redis import get_redis_connection

from bench.mail_sink import Arrivals, mail_sink
from bench.processes import PATIENCE, wait_until, web, worker
from bench.rows import Row
from bench.transcode import film
from mediaapp.models import CatalogueItem, User
from workers import jobs
from workers.models import Job
from workers.run_stream import STREAM
from workers.video.ffmpeg import FILM

RESETS, ROUNDS, VIDEOS, IMPORTS, ROWS = 40, 3, 200, 5, 300_000
ADDRESS = "forgetful@example.com"
TOKEN = "x" * 32  # the site takes any that comes twice
FORM = urlencode({"email": ADDRESS, "csrfmiddlewaretoken": TOKEN})
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={TOKEN}"}
UNLIMITED = {"TRIES_PER_ADDRESS": "100000/1m", "TRIES_PER_CLIENT": "100000/1m"}


def measure(*, quick: bool) -> Iterator[Row]:
    """Rounds of the three states in turn; the p95 of all resets in each state."""
    resets, rounds, videos, rows = (3, 1, 3, 100) if quick else (RESETS, ROUNDS, VIDEOS, ROWS)
    User.objects.create_user("forgetful", ADDRESS, "never typed")
    owner = User.objects.create_user("busy", "busy@example.com", "never typed")
    clip, table = prepare_files(rows)
    states: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "idle": nothing,
        "backlog": partial(backlog, owner, clip, table, videos),
        "ffmpeg": bare_ffmpeg,
    }
    took: dict[str, list[float]] = {state: [] for state in states}
    waits: dict[str, list[float]] = {state: [] for state in states}
    with ExitStack() as processes:
        mails, arrivals = processes.enter_context(mail_sink())
        for name in ("default", "video", "highmem"):
            processes.enter_context(worker(name, EMAIL_URL=mails))
        site = processes.enter_context(web(app="bench", **UNLIMITED))
        reset(site, arrivals)  # to open its connections
        for _ in range(rounds):
            for state, begin in states.items():
                with begin():
                    get_redis_connection("locks").delete(STREAM)
                    took[state] += [reset(site, arrivals) for _ in range(resets)]
                    waits[state] += urgent_waits()
    p95 = {state: 1000 * quantiles(each, n=20)[-1] for state, each in took.items()}
    p95_wait = {state: 1000 * quantiles(each, n=20)[-1] for state, each in waits.items()}
    note = f"{p95['backlog']:.0f} ms, idle {p95['idle']:.0f} ms; medians "
    note += " and ".join(f"{1000 * median(took[state]):.0f}" for state in ("backlog", "idle"))
    yield Row(
        f"reset to SMTP, p95, {videos} videos + import / idle", p95["backlog"] / p95["idle"], at_most=1.2, note=note
    )
    note = f"{p95['ffmpeg']:.0f} ms: what the processors alone cost"
    yield Row("reset to SMTP, p95, bare ffmpeg beside it / idle", p95["ffmpeg"] / p95["idle"], note=note)
    note = f"idle {p95_wait['idle']:.1f} ms, bare ffmpeg {p95_wait['ffmpeg']:.1f} ms"
    yield Row("wait in the urgent queue, p95, with the backlog", p95_wait["backlog"], "ms", note=note)


def reset(site: str, arrivals: Arrivals) -> float:
    """Seconds from the request until the mail server has the mail."""
    connection = http.client.HTTPConnection(site.removeprefix("http://"), timeout=30)
    began = time.monotonic()
    connection.request("POST", "/accounts/password_reset/", FORM, HEADERS)
    if (status := connection.getresponse().status) != http.client.FOUND:
        raise RuntimeError(f"the reset form answered {status}")
    connection.close()
    return arrivals.get(timeout=PATIENCE) - began


def urgent_waits() -> list[float]:
    """Seconds between publication and start of the resets, as practice 7 noted them; of the last ones, not all yet."""
    notes = [json.loads(fields[b"run"]) for _, fields in get_redis_connection("locks").xrange(STREAM)]
    return [note["wait_seconds"] for note in notes if note["queue"] == "urgent"]


@contextmanager
def nothing() -> Iterator[None]:
    """The site is idle."""
    yield


@contextmanager
def backlog(owner: User, clip: str, table: str, videos: int) -> Iterator[None]:
    """So many videos and some imports, one of each running and the others waiting; afterwards none is left."""
    for _ in range(videos):
        jobs.create("workers.video.tasks.transcode_video", owner_id=owner.pk, arguments={"source": clip})
    for _ in range(IMPORTS):
        arguments = {"source": table, "table": CatalogueItem._meta.label}
        jobs.create("workers.highmem.tasks.import_catalogue", owner_id=owner.pk, arguments=arguments)
    wait_until(Job.objects.filter(queue="video", state=Job.State.RUNNING).exists, "the first video")
    try:
        yield
    finally:
        left = Job.objects.filter(owner=owner).exclude(state__in=Job.FINAL)
        for job in left.all():
            jobs.cancel(job)
        wait_until(lambda: not left.exists(), "the end of the backlog")


@contextmanager
def bare_ffmpeg() -> Iterator[None]:
    """Encodes a picture that never ends."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720"]
    with subprocess.Popen([*command, *FILM, "-y", "/dev/null"]) as ffmpeg:  # noqa: S603 - nothing from outside
        try:
            yield
        finally:
            ffmpeg.kill()


def prepare_files(rows: int) -> tuple[str, str]:
    """Names in the storage: a video of a few seconds, and a CSV."""
    folder = Path(settings.MEDIA_ROOT, "backlog")
    folder.mkdir(parents=True)
    film(folder / "source", 3, "640x360")
    with (folder / "table.csv").open("w") as table:
        table.write("external_id,title,creator,category,price,stock\n")
        table.writelines(f"item-{each},Title {each},Somebody,books,9.99,{each}\n" for each in range(rows))
    return "backlog/source", "backlog/table.csv"
