"""What large files cost the web server: an upload that arrives as fast as it can, and downloads that nobody reads."""

import http.client
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from bench.attackers import Attacker, cookie_header
from bench.rows import Row
from bench.servers import bench_site
from bench.slow_clients import VARIABLES, create_user, log_in, memory
from mediaapp.models import Upload, User
from workers.models import Job

UPLOAD_BYTES, DOWNLOAD_BYTES, READERS = 1_990_000_000, 300_000_000, 32
PIECE = bytes(1_000_000)
SAMPLE_SECONDS, READ_SECONDS = 0.1, 5
FILM = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"  # the beginning of one


def measure(*, quick: bool) -> Iterator[Row]:
    upload_bytes, download_bytes, readers = (
        (10_000_000,) * 2 + (2,) if quick else (UPLOAD_BYTES, DOWNLOAD_BYTES, READERS)
    )
    owner = create_user()
    with bench_site(**VARIABLES) as site:
        cookies = log_in(site.port)
        began = time.monotonic()
        added = memory_added(site.process.pid, lambda: upload(site.port, cookies, upload_bytes))
        note = f"{time.monotonic() - began:.1f} s"
        yield Row(f"memory that an upload of {upload_bytes / 1e9:g} GB adds", added, "MB", note=note)
        path = create_film(owner, download_bytes)
        added = memory_added(site.process.pid, lambda: open_downloads(site.port, cookies, path, readers))
        label = f"memory that {readers} downloads of {download_bytes / 1e6:g} MB add, which nobody reads"
        yield Row(label, added, "MB")


def memory_added(pid: int, work: Callable[[], object]) -> float:
    """The most, in megabytes, while `work` goes on."""
    before = most = memory(pid)
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work)
        while not working.done():
            most = max(most, memory(pid))
            time.sleep(SAMPLE_SECONDS)
    working.result()
    return most - before


def upload(port: int, cookies: dict[str, str], size: int) -> None:
    """Raises RuntimeError unless it arrives whole. The site then refuses it, because a film has an index at its end."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="film.mp4"\r\n\r\n' + FILM
    tail = b"\r\n--x--\r\n"
    headers = {
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(len(head) + size + len(tail)),
        "Cookie": cookie_header(cookies),
        "X-CSRFToken": cookies["csrftoken"],
        "Accept": "application/json",
    }
    pieces = (PIECE for _ in range(size // len(PIECE)))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/uploads/", (part for part in (head, *pieces, tail)), headers)
    answer = connection.getresponse()
    if answer.status != http.client.UNPROCESSABLE_ENTITY:
        raise RuntimeError(f"the upload got {answer.status}: {answer.read()!r}")
    connection.close()


def create_film(owner: User, size: int) -> str:
    """The path of a film that is done: a file with a hole."""
    now, task = timezone.now(), "workers.video.tasks.transcode_video"
    times = {"queued_at": now, "started_at": now, "finished_at": now}
    job = Job.objects.create(task=task, queue="video", owner=owner, state=Job.State.DONE, **times)
    film = Upload.objects.create(
        job=job, owner=owner, kind="video", name="film.mp4", file=f"uploads/{job.pk}/source", size=1
    )
    file = Path(settings.MEDIA_ROOT, film.storage_name("video.mp4"))
    file.parent.mkdir(parents=True)
    with file.open("wb") as content:
        content.truncate(size)
    return f"/jobs/{job.pk}/video.mp4"


def open_downloads(port: int, cookies: dict[str, str], path: str, readers: int) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie_header(cookies)}\r\n\r\n"
    with ExitStack() as connections:
        for _ in range(readers):
            connections.enter_context(Attacker(request.encode()).connect(port))
        time.sleep(READ_SECONDS)
