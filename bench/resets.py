"""Password resets, from the request to the mail server, on an idle site and with a backlog.

Real processes: the site, the three workers, a mail server. The backlog: videos, imports, and deletions of files whose
storage is silent. On one machine, videos and imports also take processors from the resets. So in a third state their
workers are pinned to the last processor.
"""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode
from uuid import uuid4

from django.conf import settings
from django_redis import get_redis_connection

from bench.pinning import pin_to_last_processor
from bench.rows import Row
from bench.silent_storage import silent_storage
from bench.transcode import write_video
from devtools.mail_server import MailServer, fresh_mail_server
from devtools.processes import DEADLINE_SECONDS, wait_until, web, worker
from mediaapp.models import CatalogueItem, User
from workers import jobs
from workers.models import Job
from workers.telemetry.recorder import STREAM

RESETS, ROUNDS, VIDEOS, IMPORTS, ROWS, DELETIONS = 40, 3, 200, 5, 300_000, 1000
DELETE_TASK = "workers.highmem.tasks.delete_files"
WARM_UP = 8  # resets, so that each process of the pool has opened its connections
TOKEN = "x" * 32  # the site accepts any, if cookie and form have the same one
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={TOKEN}"}
Times = dict[str, list[float]]
STATES = ("idle", "backlog", "pinned")
UNLIMITED = {"TRIES_PER_ADDRESS": "100000/1m", "TRIES_PER_CLIENT": "100000/1m"}


def measure(*, quick: bool) -> Iterator[Row]:
    """The p95 of all resets in each state, in milliseconds."""
    resets, rounds, videos, rows, deletions = (2, 1, 1, 100, 2) if quick else (RESETS, ROUNDS, VIDEOS, ROWS, DELETIONS)
    seconds, waits = measure_states(resets, rounds, videos, rows, deletions, warm_up=1 if quick else WARM_UP)
    p95, p95_waits = ({state: p95_ms(each) for state, each in figures.items()} for figures in (seconds, waits))
    note = f"{p95['backlog']:.0f} ms, idle {p95['idle']:.0f} ms; medians "
    note += " and ".join(f"{1000 * median(seconds[state]):.0f}" for state in ("backlog", "idle"))
    ratio = p95["backlog"] / p95["idle"]
    yield Row(f"reset to SMTP, p95, {videos} videos + import / idle", ratio, at_most=1.2, note=note)
    note = f"{p95['pinned']:.0f} ms: closer to machines of their own"
    yield Row("the same, videos and imports on one processor / idle", p95["pinned"] / p95["idle"], note=note)
    note = (
        f"{p95_waits['backlog']:.1f} ms, idle {p95_waits['idle']:.1f} ms, {deletions} deletions with a silent storage"
    )
    above = p95_waits["backlog"] - p95_waits["idle"]
    yield Row("wait in the urgent queue, p95, above idle", above, "ms", at_most=50, note=note)
    above = p95_waits["pinned"] - p95_waits["idle"]
    yield Row("the same, videos and imports on one processor", above, "ms")


def measure_states(
    resets: int, rounds: int, videos: int, rows: int, deletions: int, *, warm_up: int
) -> tuple[Times, Times]:
    """Seconds of all resets, and of their waits in the queue, by state. Rounds of the three states in turn."""
    owner = User.objects.create_user("busy", "busy@example.com", "never typed")
    clip, table = prepare_files(rows)
    seconds: Times = {state: [] for state in STATES}
    waits: Times = {state: [] for state in STATES}
    with ExitStack() as processes:
        mails = processes.enter_context(fresh_mail_server())
        storage = processes.enter_context(silent_storage(Path(settings.MEDIA_ROOT, table)))
        environments = {"default": storage, "video": {}, "highmem": storage}
        _, *busy = [
            processes.enter_context(worker(name, EMAIL_URL=mails.url, **own)) for name, own in environments.items()
        ]
        site = processes.enter_context(web(UNLIMITED, app="bench")).url
        for _ in range(warm_up):
            request_reset(site, mails)
        for _ in range(rounds):
            for state in STATES:
                pin_to_last_processor([process.pid for process in busy], is_pinned=state == "pinned")
                with nullcontext() if state == "idle" else backlog(owner, clip, table, videos, deletions):
                    get_redis_connection("locks").delete(STREAM)
                    seconds[state] += [request_reset(site, mails) for _ in range(resets)]
                    wait_until(lambda: len(urgent_waits()) >= resets, "the records of the resets")
                    waits[state] += urgent_waits()
    return seconds, waits


def p95_ms(seconds: list[float]) -> float:
    return 1000 * quantiles(seconds, n=20)[-1]


def request_reset(site: str, mails: MailServer) -> float:
    """Seconds from the request until the mail server has the mail. Of a new user: one gets three mails an hour."""
    name = f"forgetful-{uuid4()}"
    user = User.objects.create_user(name, f"{name}@example.com", "never typed")
    form = urlencode({"email": user.email, "csrfmiddlewaretoken": TOKEN})
    connection = http.client.HTTPConnection(site.removeprefix("http://"), timeout=30)
    began = time.monotonic()
    connection.request("POST", "/accounts/password_reset/", form, HEADERS)
    if (status := connection.getresponse().status) != http.client.FOUND:
        raise RuntimeError(f"the reset form answered {status}")
    connection.close()
    return mails.arrivals.get(timeout=DEADLINE_SECONDS) - began


def urgent_waits() -> list[float]:
    """Seconds between publication and start of the resets, as practice 7 has recorded them so far."""
    runs = [json.loads(fields[b"run"]) for _, fields in get_redis_connection("locks").xrange(STREAM)]
    return [run["wait_seconds"] for run in runs if run["queue"] == "urgent"]


@contextmanager
def backlog(owner: User, clip: str, table: str, videos: int, deletions: int) -> Iterator[None]:
    """Videos, IMPORTS imports and deletions. They outlast the block, and none remains after it."""
    for _ in range(videos):
        jobs.create("workers.video.tasks.transcode_video", owner_id=owner.pk, arguments={"source": clip})
    for _ in range(IMPORTS):
        arguments = {"source": table, "table": CatalogueItem._meta.label}
        jobs.create("workers.highmem.tasks.import_catalogue", owner_id=owner.pk, arguments=arguments)
    for number in range(deletions):
        jobs.create(DELETE_TASK, owner_id=owner.pk, arguments={"folder": f"uploads/{number}"})
    wait_until(Job.objects.filter(queue="video", state=Job.State.RUNNING).exists, "the first video")
    wait_until(Job.objects.filter(task=DELETE_TASK, state=Job.State.RUNNING).exists, "the first deletion")
    try:
        yield
    finally:
        remaining = Job.objects.filter(owner=owner).exclude(state__in=Job.FINAL)

        def is_cancelled() -> bool:  # a deletion that runs ends in the queue again
            return not [jobs.cancel(job) for job in remaining.all()]

        wait_until(is_cancelled, "the end of the backlog")


def prepare_files(rows: int) -> tuple[str, str]:
    """Storage names of a video of three seconds and of a CSV."""
    folder = Path(settings.MEDIA_ROOT, "backlog")
    folder.mkdir(parents=True)
    write_video(folder / "source", 3, "640x360")
    with (folder / "table.csv").open("w") as table:
        table.write("external_id,title,creator,category,price,stock\n")
        table.writelines(f"item-{each},Title {each},Somebody,books,9.99,{each}\n" for each in range(rows))
    return "backlog/source", "backlog/table.csv"
