"""Polls of a running job, against polls of a result backend, and the library with 25 moving jobs: what they cost."""

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
from bench.servers import bench_site
from bench.urls import result_app
from mediaapp.models import Upload, User
from mediaapp.views.library import PER_PAGE
from workers.models import Job
from workers.practices import progress

CLIENTS, SECONDS, ROUNDS = 8, 0.5, 21
FRESH_SECONDS = 3600  # for which the job seems to report


def measure(*, quick: bool) -> Iterator[Row]:
    """One running job of one user, polled by the site's view and by two views of a result backend."""
    seconds, rounds = (0.1, 1) if quick else (SECONDS, ROUNDS)
    job, browser = create_running_job()
    poll = f"/jobs/{job.pk}/progress.json"
    result_app.backend.store_result(str(job.pk), {"done": 5, "total": 15}, "PROGRESS")
    browser.get(poll)  # sets the cookie for the following ones
    sql, commands = count_queries(browser, poll)
    yield Row("poll of a running job, SQL statements", sql, "", at_most=0)
    yield Row("poll of a running job, commands to the cache", commands, "", at_most=1)
    sql, commands = count_queries(create_moving_jobs(), "/")
    yield Row("library with 25 moving jobs, SQL statements", sql, "", at_most=6)
    yield Row("library with 25 moving jobs, commands to the cache", commands, "", at_most=1)
    paths = [poll, f"/results/{job.pk}/private.json", f"/results/{job.pk}/public.json"]
    with bench_site() as server:
        for path in paths:
            polls_per_second(server.url, path, cookies_of(browser, poll), seconds)  # opens its connections
        rates = [
            [polls_per_second(server.url, path, cookies_of(browser, poll), seconds) for path in paths]
            for _ in range(rounds)
        ]
    ours, private, public = (median(each) for each in zip(*rates, strict=True))
    ratio = median(own / other for own, other, _ in rates)
    note = f"{ours:.0f}/s, AsyncResult with a login {private:.0f}/s"
    yield Row("polls/s, ours / AsyncResult from django-db", ratio, at_least=5, note=note)
    ratio = median(own / other for own, _, other in rates)
    yield Row("polls/s, ours / AsyncResult without a login", ratio, note=f"{public:.0f}/s")


def create_running_job() -> tuple[Job, Client]:
    """A job that has reported, and its owner's browser."""
    owner = create_user("polling")
    job = create_job(owner, Job.State.RUNNING)
    reporter = progress.Progress(job.pk, owner.pk)
    reporter.report(5, 15, "transcoding")
    # Otherwise it would be stale after ten seconds.
    state = cache.get(reporter.key) | {"updated_at": time.time() + FRESH_SECONDS}
    cache.set(reporter.key, state, FRESH_SECONDS)
    return job, log_in(owner)


def create_moving_jobs() -> Client:
    """Returns their owner's browser. Half of the jobs run and have reported."""
    owner = create_user("waiting")
    for number in range(PER_PAGE):
        job = create_job(owner, Job.State.RUNNING if number % 2 else Job.State.QUEUED)
        if number % 2:
            progress.Progress(job.pk, owner.pk).report(5, 15, "transcoding")
    browser = log_in(owner)
    browser.get("/")  # opens its connections
    return browser


def create_user(name: str) -> User:
    return User.objects.get_or_create(username=name, email=f"{name}@example.com")[0]


def create_job(owner: User, state: Job.State) -> Job:
    task = "workers.video.tasks.transcode_video"
    job = Job.objects.create(task=task, queue="video", owner=owner, state=state, queued_at=timezone.now())
    Upload.objects.create(job=job, owner=owner, kind="video", name="clip.mp4", file="none", size=1)
    return job


def log_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def cookies_of(browser: Client, poll: str) -> str:
    """Fresh ones: a poll's cookie ends after a minute, and a page gets the next one with a poll."""
    browser.get(poll)
    return "; ".join(f"{name}={each.value}" for name, each in browser.cookies.items())


def count_queries(browser: Client, path: str) -> tuple[int, int]:
    """SQL statements and cache commands of one request."""
    server = get_redis_connection("default")

    def count_commands() -> int:
        return sum(each["calls"] for name, each in server.info("commandstats").items() if name != "cmdstat_info")

    before = count_commands()
    with CaptureQueriesContext(connection) as captured:
        browser.get(path)
    return len(captured), count_commands() - before


def polls_per_second(site: str, path: str, cookies: str, seconds: float) -> float:
    """Answers to CLIENTS that poll without a pause, over connections that stay open."""
    arguments = (site, path, cookies, time.monotonic() + seconds)
    with ThreadPoolExecutor(CLIENTS) as clients:
        counts = [each.result() for each in [clients.submit(poll_until, *arguments) for _ in range(CLIENTS)]]
    return sum(counts) / seconds


def poll_until(site: str, path: str, cookies: str, deadline: float) -> int:
    """How many answers one client gets. http.client would take more CPU than the site. Raises RuntimeError."""
    url = urlsplit(site)
    request = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nCookie: {cookies}\r\n\r\n".encode()
    count = 0
    with socket.create_connection((url.hostname, url.port), timeout=30) as connected:
        while time.monotonic() < deadline:
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
