"""Polls of a running job: what one costs, and how many a site answers beside polls of a result backend."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from urllib.parse import urlsplit

from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_redis import get_redis_connection

from bench.rows import Row
from bench.urls import asked
from devtools.processes import web
from mediaapp.models import Upload, User
from workers.models import Job
from workers.practices import progress

CLIENTS, SECONDS, ROUNDS = 8, 0.5, 21
LATER = 3600  # seconds for which the job seems to report


def measure(*, quick: bool) -> Iterator[Row]:
    """One running job of one user, asked for in three ways: the site's own, and two of a result backend."""
    seconds, rounds = (0.1, 1) if quick else (SECONDS, ROUNDS)
    job, browser = running_job()
    poll = f"/jobs/{job.pk}/progress.json"
    asked.backend.store_result(str(job.pk), {"done": 5, "total": 15}, "PROGRESS")
    browser.get(poll)  # the first one leaves the cookie for the others
    sql, commands = cost(browser, poll)
    yield Row("poll of a running job, SQL statements", sql, "", at_most=0)
    yield Row("poll of a running job, commands to the cache", commands, "", at_most=1)
    cookies = "; ".join(f"{name}={each.value}" for name, each in browser.cookies.items())
    addresses = [poll, f"/asked/{job.pk}/signed-in.json", f"/asked/{job.pk}/anybody.json"]
    with web(app="bench") as server:
        site = server.url
        for address in addresses:
            rate(site, address, cookies, seconds)  # to open its connections
        rates = [[rate(site, address, cookies, seconds) for address in addresses] for _ in range(rounds)]
    ours, signed_in, anybody = (median(each) for each in zip(*rates, strict=True))
    ratio = median(mine / other for mine, other, _ in rates)
    note = f"{ours:.0f}/s, AsyncResult for the signed-in {signed_in:.0f}/s"
    yield Row("polls/s, ours / AsyncResult from django-db", ratio, at_least=5, note=note)
    ratio = median(mine / other for mine, _, other in rates)
    note = f"{anybody:.0f}/s: without asking who asks"
    yield Row("polls/s, ours / AsyncResult that answers anybody", ratio, note=note)


def running_job() -> tuple[Job, Client]:
    """A job that has reported, and its owner's browser."""
    owner, _ = User.objects.get_or_create(username="polling", email="polling@example.com")
    now = timezone.now()
    task = "workers.video.tasks.transcode_video"
    job = Job.objects.create(task=task, queue="video", owner=owner, state=Job.State.RUNNING, queued_at=now)
    Upload.objects.create(job=job, owner=owner, kind="video", name="clip.mp4", file="none", size=1)
    told = progress.Progress(job.pk, owner.pk)
    told.report(5, 15, "transcoding")
    # Else it would be old news after ten seconds.
    cache.set(told.key, cache.get(told.key) | {"updated_at": time.time() + LATER}, LATER)
    browser = Client()
    browser.force_login(owner)
    return job, browser


def cost(browser: Client, address: str) -> tuple[int, int]:
    """SQL statements and commands to the cache of one poll."""
    server = get_redis_connection("default")

    def commands() -> int:
        return sum(each["calls"] for name, each in server.info("commandstats").items() if name != "cmdstat_info")

    before = commands()
    with CaptureQueriesContext(connection) as captured:
        browser.get(address)
    return len(captured), commands() - before


def rate(site: str, address: str, cookies: str, seconds: float) -> float:
    """Answers per second to CLIENTS that each ask again at once, over connections that stay open."""
    asking = (site, address, cookies, time.monotonic() + seconds)
    with ThreadPoolExecutor(CLIENTS) as clients:
        counts = [each.result() for each in [clients.submit(ask, *asking) for _ in range(CLIENTS)]]
    return sum(counts) / seconds


def ask(site: str, address: str, cookies: str, until: float) -> int:
    """How many answers one client got. Not http.client: it would take more of the processors than the site."""
    where = urlsplit(site)
    request = f"GET {address} HTTP/1.1\r\nHost: {where.netloc}\r\nCookie: {cookies}\r\n\r\n".encode()
    count = 0
    with socket.create_connection((where.hostname, where.port), timeout=30) as connected:
        while time.monotonic() < until:
            connected.sendall(request)
            answer = connected.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            head, _, body = answer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connected.recv(65536)
            count += 1
    return count
