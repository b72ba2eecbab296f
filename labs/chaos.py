"""What do users lose while anything dies? `python -m labs chaos [rounds] [longest freeze in seconds]`.

In each round (20 to 80 s) three users upload a video and a CSV file by HTTP, and one random fault hits one process or
server (labs/chaos_faults.py). All files must then be ready, once, without anybody's help. Printed, by fault: rounds,
files lost (failed), doubled (rows that went in twice), stuck (not ready after STUCK_SECONDS), held up (ready more than
HELD_UP_SECONDS later than the round began and the fault lasted), false deaths (a job that was taken from a worker that
the fault did not hit), and the longest time to readiness. Exit code 1 if one of these counts is not 0.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imageio_ffmpeg
import urllib3
from django.db import connection
from django.utils import timezone

from devtools.visitor import Visitor
from labs.chaos_faults import LONG_SECONDS, Fault, faults
from labs.site import WITH_POOL, Site
from workers.models import Job

STUCK_SECONDS, HELD_UP_SECONDS = 300, 60
ROWS = 20_000
PASSWORD = "a long enough secret"  # noqa: S105 - of users who live for a minute
FAULT_LINE = "{fault:<28}{rounds:>7}{lost:>6}{doubled:>9}{stuck:>7}{held_up:>9}{false_deaths:>14}{longest:>10}"
FIGURES = ("rounds", "lost", "doubled", "stuck", "held_up", "false_deaths")


class User(Visitor):
    """Speaks HTTP only, and tries again as long as the site does not answer."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port)
        self.name = name
        self.http = urllib3.PoolManager(retries=False, timeout=LONG_SECONDS[1] + 30)
        self.is_stopped = False

    def until_answered(self, action: Callable[[], Any]) -> Any:
        """Raises TimeoutError."""
        deadline = time.monotonic() + STUCK_SECONDS
        while time.monotonic() < deadline and not self.is_stopped:
            try:
                if (answer := action()) is not None:
                    return answer
            except (urllib3.exceptions.HTTPError, ValueError):
                pass
            time.sleep(0.5)
        raise TimeoutError(self.name)

    def sign_up(self) -> None:
        self.get("/accounts/signup/")
        fields = {
            "username": self.name,
            "email": f"{self.name}@example.com",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        answer = self.request("POST", "/accounts/signup/", fields=fields)
        if answer.status != 302:
            raise RuntimeError(f"sign-up answered {answer.status}: {answer.data[-500:]!r}")

    def upload(self, name: str, data: bytes) -> str:
        """Returns the path of the job's state."""

        def send() -> str | None:
            answer = self.request(
                "POST", "/uploads/", fields={"file": (name, data)}, headers={"Accept": "application/json"}
            )
            return str(answer.json()["progress"]) if answer.status == 201 else None

        return str(self.until_answered(send))

    def state(self, path: str) -> dict[str, Any] | None:
        """None while the job has not ended."""
        answer = self.request("GET", path)
        state: dict[str, Any] = answer.json() if answer.status == 200 else {}
        return state if state.get("state") in ("done", "failed", "cancelled") else None


def run_round(site: Site, users: list[User], video: bytes, fault: Fault, number: int) -> Counter[str]:
    began_at, began = timezone.now(), time.monotonic()
    others = [worker for worker in WITH_POOL if worker != fault.worker]
    lost_before = count_lost_attempts(site, others)
    found = Counter(rounds=1)
    with ThreadPoolExecutor(len(users)) as pool:
        ends = [pool.submit(follow_files, user, video, number) for user in users]
        time.sleep(random.uniform(0, 4))
        # In the main thread, because a process that it starts ends with the thread (workers/child_process.py).
        fault_began = time.monotonic()
        fault.inject()
        found["fault_seconds"] = round(time.monotonic() - fault_began)
        try:
            for end in ends:
                found += end.result()
        except KeyboardInterrupt:
            for user in users:
                user.is_stopped = True
            raise
    found["longest"] = round(time.monotonic() - began)
    found["held_up"] = int(found["longest"] > HELD_UP_SECONDS + found["fault_seconds"])
    found["false_deaths"] = count_lost_attempts(site, others) - lost_before
    if not fault.ends_attempts:
        found["false_deaths"] = max(found["false_deaths"], count_begun_again(began_at, others))
    return found


def count_lost_attempts(site: Site, workers: list[str]) -> int:
    """Of living workers, which found that another one had taken their job."""
    return sum(site.count_in_logs("job_attempt_lost", worker) for worker in workers)


def count_begun_again(since: datetime, workers: list[str]) -> int:
    """Jobs of this round with more than one attempt, on these workers."""
    connection.close()  # the fault may have broken it
    begun_again = Job.objects.filter(created_at__gte=since, attempt__gt=1).values_list("worker", flat=True)
    return sum(worker.partition("@")[0] in workers for worker in begun_again)


def follow_files(user: User, video: bytes, number: int) -> Counter[str]:
    """Uploads two files and follows them to their end."""
    keys = (f"{number}-{row},Title {row},{row % 500}.50\n" for row in range(ROWS))
    csv = ("external_id,title,price\n" + "".join(keys)).encode()
    found: Counter[str] = Counter()
    try:
        paths = [user.upload("film.mp4", video), user.upload("items.csv", csv)]
        film, items = (user.until_answered(partial(user.state, path)) for path in paths)
    except TimeoutError:
        return Counter(stuck=1)
    found["lost"] = (film["state"] != "done") + (items["state"] != "done")
    # A user whose connection broke sends the file again: then all rows are there, and none is created.
    written = sum(items["result"].get(count, 0) for count in ("created", "updated", "unchanged"))
    found["doubled"] = int(items["state"] == "done" and written != ROWS)
    if found["lost"]:
        print(f"  {user.name}: {film['state']} {film['message']!r}, {items['state']} {items['message']!r}", flush=True)
    return found


def make_video(folder: Path) -> bytes:
    path, source = folder / "film.mp4", "testsrc2=size=640x360:rate=25"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source, "-t", "6", str(path)]
    subprocess.run(command, check=True)  # noqa: S603 - ours
    return path.read_bytes()


def main() -> int:
    """Print the table, and the sums as JSON."""
    given = [int(value) for value in sys.argv[1:]]
    rounds, max_seconds = given + [100, LONG_SECONDS[1]][len(given) :]
    table: dict[str, Counter[str]] = {}
    with TemporaryDirectory(prefix="chaos-") as folder, Site(Path(folder), LOG_LEVEL="WARNING").running() as site:
        video, users = make_video(Path(folder)), [User(site.port, name) for name in ("anna", "ben", "cleo")]
        for user in users:
            user.sign_up()
        for number in range(rounds):
            fault = random.choice(faults(site, max_seconds))
            found = run_round(site, users, video, fault, number)
            seconds, row = found.pop("longest"), table.get(fault.name, Counter())
            table[fault.name] = row + found
            table[fault.name]["longest"] = max(row["longest"], seconds)
            print(f"{number + 1}: {fault.name}, {dict(found)}, ready after {seconds} s", flush=True)
    print(FAULT_LINE.format(fault="fault", longest="longest", **{figure: figure for figure in FIGURES}))
    for name, row in sorted(table.items()):
        figures = {figure: row[figure] for figure in FIGURES}
        print(FAULT_LINE.format(fault=name, longest=f"{row['longest']} s", **figures))
    sums = {figure: sum(row[figure] for row in table.values()) for figure in FIGURES}
    print(json.dumps(sums | {"longest": max(row["longest"] for row in table.values())}))
    return int(any(sums[figure] for figure in FIGURES if figure != "rounds"))
