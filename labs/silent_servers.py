"""Does any page hang while a server is silent? `python -m labs silent_servers [seconds between two pages]` (minutes).

Each server is suspended (SIGSTOP) in turn: it keeps its connections, accepts new ones, and answers nothing. Meanwhile
a user and a member of staff ask for every page and send every form. Between two of them the site forgets that the
server is away, so that each meets its silence. At the end, 16 libraries stay open while somebody logs in.
"""

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psutil
import urllib3
from django.conf import settings
from django.test import Client
from django.utils import timezone

from devtools.processes import DEADLINE_SECONDS, Web, wait_until, web
from devtools.s3 import fresh_s3_server
from devtools.servers import Server, suspended
from mediaapp.models import Upload, User
from mediaapp.uploads.receive import TASK_BY_KIND
from mediaapp.views.library import POLL_AFTER
from workers.models import Job
from workers.practices import progress
from workers.queues import table

BAR_SECONDS = 2  # above the time of the same page while all servers answer, because this machine may be busy
FORGET_SECONDS = 3.2  # after which the site tries a silent server again
LIBRARIES = 16
PASSWORD = "a long enough secret"  # noqa: S105 - of this lab
TOKEN = "x" * 32  # the site accepts any, if cookie and header have the same one
CSV = b"external_id,title\n1,The Silent Sea\n"
HTTP_OK, SERVER_ERROR = 200, 500
READY = ("GET", "/readyz", {})
STAFF_PAGES = [
    ("GET", path, {})
    for path in ("/operations/", "/operations/capacity/", "/practices/1/", "/admin/", "/admin/mediaapp/user/")
]
FOR_VISITORS = [f"/accounts/{name}/" for name in ("login", "signup", "password_reset")]
LOG_IN = ("POST", "/accounts/login/", {"username": "user", "password": PASSWORD})
Question = tuple[str, str, dict[str, Any]]


def main() -> int:
    """Print a line for each slow page, and the sums as JSON. Returns 1 for a 500, or if silence added BAR_SECONDS."""
    pause = float(sys.argv[1]) if sys.argv[1:] else FORGET_SECONDS
    user, staff = create_user("user"), create_user("staff", is_staff=True, is_superuser=True)
    jobs = [create_upload(user, "video", Job.State.RUNNING) for _ in range(25)]
    job, unmapped = jobs[0], create_upload(user, "csv", Job.State.NEEDS_MAPPING)
    with ExitStack() as stack:
        storage = stack.enter_context(fresh_s3_server())
        site = stack.enter_context(web(storage | {"S3_BUCKET": "ready", "LOG_LEVEL": "ERROR"}))
        servers = processes_of_servers()
        cookies = {each: cookies_of(each) for each in (user, staff)}
        ask_all(site, cookies[user])
        asked = [(user, each) for each in questions(job, unmapped)] + [(staff, each) for each in STAFF_PAGES]
        healthy = [timed(site, question, cookies[who])[0] for who, question in asked]
        found = []
        for name, process in servers.items():
            with suspended(process):
                for (who, question), usual in zip(asked, healthy, strict=True):
                    time.sleep(pause)
                    seconds, status = timed(site, question, cookies[who])
                    found.append((seconds, seconds - usual, status))
                    if seconds > BAR_SECONDS / 2 or status == SERVER_ERROR:
                        words = f"{status}  {who.username} {' '.join(question[:2])}"
                        print(f"{name:<9} {seconds:5.2f} s, {usual:.2f} s while all answer  {words}", flush=True)
            wait_until(lambda: timed(site, READY, "")[1] == HTTP_OK, "the site to see that it answers")
            ask_all(site, cookies[user])
        usual_log_in = log_in_beside_libraries(site, cookies[user])
        with suspended(servers["cache"]):
            log_in = log_in_beside_libraries(site, cookies[user])
    longest, most_added = max(each[0] for each in found), max(each[1] for each in found)
    wrong = [status for *_, status in found if status == SERVER_ERROR]
    figures = {"asked": len(found), "wrong": len(wrong), "longest": longest, "added": round(most_added, 2)}
    figures |= {"log_in": log_in, "usual_log_in": usual_log_in}
    print(json.dumps({"servers": ", ".join(servers)} | figures))
    return int(bool(wrong or most_added > BAR_SECONDS or log_in - usual_log_in > BAR_SECONDS))


def questions(job: Job, unmapped: Job) -> Iterator[Question]:
    """Method, path and form of every page and form, without those that end what the next ones need."""
    for path in ("/", "/catalogue/", "/practices/", "/nowhere/", "/readyz", "/healthz"):
        yield "GET", path, {}
    for name in ("login", "signup", "password_reset", "password_change"):
        yield "GET", f"/accounts/{name}/", {}
    for part in ("", "progress", "progress.json", "video.mp4"):
        yield "GET", f"/jobs/{job.pk}/{part}", {}
    yield "GET", f"/jobs/{unmapped.pk}/mapping/", {}
    yield LOG_IN
    yield "POST", "/accounts/password_reset/", {"email": "user@example.com"}
    new = f"new{time.monotonic_ns()}"
    yield "POST", "/accounts/signup/", {"email": f"{new}@example.com", "password1": PASSWORD, "password2": PASSWORD}
    yield "POST", f"/jobs/{job.pk}/cancel/", {}
    yield "POST", f"/jobs/{unmapped.pk}/mapping/confirm/", {}
    yield "POST", "/catalogue/report/", {}
    yield "POST", "/uploads/", {"file": ("books.csv", CSV)}
    yield "POST", "/uploads/open/", {"name": "clip.mp4", "size": str(20_000_000), "last_modified": new[3:15]}


def timed(site: Web, question: Question, cookies: str) -> tuple[float, int]:
    method, path, form = question
    # Whoever logs in has no session yet.
    cookies = f"csrftoken={TOKEN}" if path in FOR_VISITORS else cookies
    headers = {"Cookie": cookies, "X-CSRFToken": TOKEN}
    began = time.monotonic()
    with urllib3.PoolManager(retries=False, timeout=DEADLINE_SECONDS) as http:
        options = {"fields": form, "encode_multipart": "file" in form} if method == "POST" else {}
        answer = http.request(method, site.url + path, headers=headers, redirect=False, **options)
    return round(time.monotonic() - began, 2), answer.status


def ask_all(site: Web, cookies: str) -> None:
    """Every thread of the site opens its connections."""
    with ThreadPoolExecutor(LIBRARIES) as browsers:
        list(browsers.map(lambda _: timed(site, ("GET", "/", {}), cookies), range(4 * LIBRARIES)))


def log_in_beside_libraries(site: Web, cookies: str) -> float:
    """The longest of some log-ins while LIBRARIES pages poll, all of them at the same moments."""
    longest, stop_at = 0.0, time.monotonic() + 5 * FORGET_SECONDS

    def keep_asking(_: int) -> None:
        while time.monotonic() < stop_at:
            timed(site, ("GET", "/", {}), cookies)
            time.sleep(POLL_AFTER)

    with ThreadPoolExecutor(LIBRARIES) as browsers:
        asking = browsers.map(keep_asking, range(LIBRARIES))
        while time.monotonic() < stop_at:
            longest = max(longest, timed(site, LOG_IN, "")[0])
            time.sleep(0.5)
        list(asking)
    return longest


def processes_of_servers() -> dict[str, psutil.Process]:
    """By name. The embedded broker has the locks, too."""
    found = {server.data.name: server.process for server in Server.running}
    for child in psutil.Process().children(recursive=True):
        if child.name() in ("weed", "beam.smp"):
            found["storage" if child.name() == "weed" else "rabbitmq"] = child
    return found


def create_user(name: str, **fields: bool) -> User:
    return User.objects.create_user(name, f"{name}@example.com", PASSWORD, **fields)


def create_upload(owner: User, kind: str, state: Job.State) -> Job:
    now, task = timezone.now(), TASK_BY_KIND[Upload.Kind(kind)]
    job = Job.objects.create(
        task=task, queue=table().queue_of(task), owner=owner, state=state, queued_at=now, started_at=now
    )
    Upload.objects.create(job=job, owner=owner, kind=kind, name=f"file.{kind}", file=f"uploads/{job.pk}/source", size=1)
    progress.Progress(job.pk, owner.pk).report(5, 15, "transcoding")
    return job


def cookies_of(user: User) -> str:
    browser = Client()
    browser.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}; csrftoken={TOKEN}"
