"""What do users lose while anything dies? `python -m labs chaos [rounds]` (about 20 s a round).

In each round three users upload a video and a CSV file by HTTP, and one random fault hits one process or server: it is
killed, stopped, frozen, or its data are flushed. All files must then be ready, once, without anybody's help. Printed:
a table by fault: rounds, files lost (failed), doubled (rows written twice), stuck (not ready after STUCK_SECONDS), held
up (ready after more than HELD_UP_SECONDS), false deaths (a job that was taken from a living worker), and the longest
time to readiness.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imageio_ffmpeg
import psutil
import urllib3
from django_redis import get_redis_connection

from devtools.rabbitmq import CTL
from devtools.servers import Server
from devtools.visitor import Visitor
from labs.site import NAMES, WITH_POOL, Site
from workers.brokers.connection import is_amqp

STUCK_SECONDS, HELD_UP_SECONDS = 300, 60
FROZEN_SECONDS = (1, 8)
ROWS = 20_000
PASSWORD = "a long enough secret"  # noqa: S105 - of users who live for a minute
FAULT_LINE = "{fault:<28}{rounds:>7}{lost:>6}{doubled:>9}{stuck:>7}{held_up:>9}{false_deaths:>14}{longest:>10}"
FIGURES = ("rounds", "lost", "doubled", "stuck", "held_up", "false_deaths")


class User(Visitor):
    """Speaks HTTP only, and tries again as long as the site does not answer."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port)
        self.name = name
        self.http = urllib3.PoolManager(retries=False, timeout=30)
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


def faults(site: Site) -> dict[str, Callable[[], object]]:
    seconds = random.uniform(*FROZEN_SECONDS)
    found: dict[str, Callable[[], object]] = {}
    for name in NAMES:
        found |= {f"{name} killed": partial(site.kill, name), f"{name} stopped": partial(site.stop, name)}
        found[f"{name} frozen"] = partial(site.freeze, name, seconds)
    for name in WITH_POOL:
        found[f"{name}'s child killed"] = partial(site.kill_child, name)
        found[f"{name}'s child frozen"] = partial(site.freeze_child, name, seconds)
    for server in list(Server.running):
        found[f"{server.data.name} killed"] = server.crash
        found[f"{server.data.name} frozen"] = partial(freeze_server, server, seconds)
    if is_amqp():
        found["rabbitmq restarted"] = restart_rabbitmq
    found["cache flushed"] = lambda: get_redis_connection("default").flushdb()
    found["locks flushed"] = lambda: get_redis_connection("locks").flushdb()
    return found


def freeze_server(server: Server, seconds: float) -> None:
    """PostgreSQL's processes for its clients, too."""
    processes = [server.process, *psutil.Process(server.process.pid).children()]
    for process in processes:
        process.suspend()
    time.sleep(seconds)
    for process in processes:
        if process.is_running():
            process.resume()


def restart_rabbitmq() -> None:
    """Its node; `python -m labs --rabbitmq` gives this process the node's environment."""
    for command in ("stop_app", "start_app"):
        subprocess.run([str(CTL), "--quiet", command], check=True)  # noqa: S603 - ours


def run_round(site: Site, users: list[User], video: bytes, fault: Callable[[], object], number: int) -> Counter[str]:
    deaths, began = site.count_in_logs("orphaned_jobs_requeued"), time.monotonic()
    found = Counter(rounds=1)
    with ThreadPoolExecutor(len(users)) as pool:
        ends = [pool.submit(follow_files, user, video, number) for user in users]
        time.sleep(random.uniform(0, 4))
        fault()  # in the main thread, because a process that it starts ends with the thread (workers/child_process.py)
        try:
            for end in ends:
                found += end.result()
        except KeyboardInterrupt:
            for user in users:
                user.is_stopped = True
            raise
    found["longest"] = round(time.monotonic() - began)
    found["held_up"] = int(found["longest"] > HELD_UP_SECONDS)
    found["false_deaths"] = site.count_in_logs("orphaned_jobs_requeued") - deaths
    return found


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
    found["doubled"] = int(items["state"] == "done" and items["result"]["created"] != ROWS)
    if found["lost"]:
        print(f"  {user.name}: {film['state']} {film['message']!r}, {items['state']} {items['message']!r}", flush=True)
    return found


def make_video(folder: Path) -> bytes:
    path, source = folder / "film.mp4", "testsrc2=size=640x360:rate=25"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source, "-t", "6", str(path)]
    subprocess.run(command, check=True)  # noqa: S603 - ours
    return path.read_bytes()


def main() -> int:
    """Print the table, and the sums as JSON. Returns 1 if a file was lost, doubled or stuck, or a death was false."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 100
    table: dict[str, Counter[str]] = {}
    with TemporaryDirectory(prefix="chaos-") as folder, Site(Path(folder), LOG_LEVEL="WARNING").running() as site:
        video, users = make_video(Path(folder)), [User(site.port, name) for name in ("anna", "ben", "cleo")]
        for user in users:
            user.sign_up()
        for number in range(rounds):
            name, fault = random.choice(list(faults(site).items()))
            found = run_round(site, users, video, fault, number)
            if name.startswith(WITH_POOL) and not name.endswith("frozen"):
                found["false_deaths"] = 0  # a worker or its child died
            longest = max(table.get(name, Counter())["longest"], found.pop("longest"))
            table[name] = table.get(name, Counter()) + found
            table[name]["longest"] = longest
            print(f"{number + 1}: {name}, {dict(found)}, ready after at most {longest} s", flush=True)
    print(FAULT_LINE.format(fault="fault", longest="longest", **{figure: figure for figure in FIGURES}))
    for name, row in sorted(table.items()):
        figures = {figure: row[figure] for figure in FIGURES}
        print(FAULT_LINE.format(fault=name, longest=f"{row['longest']} s", **figures))
    sums = {figure: sum(row[figure] for row in table.values()) for figure in FIGURES}
    print(json.dumps(sums | {"longest": max(row["longest"] for row in table.values())}))
    return int(any(sums[figure] for figure in ("lost", "doubled", "stuck", "false_deaths")))
