"""How long others wait while slow clients hold sockets, bare and behind the documented proxy.

Half of the silent ones send half a header, half a form without its body. The uploads of one user trickle. All of them
come again when the server hangs up. Then strangers send large forms without their ends, which must not stay in memory.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.cookies import SimpleCookie
from statistics import quantiles
from urllib.parse import urlencode

import psutil
import urllib3

from bench import attackers
from bench.rows import Row
from bench.servers import bench_site
from devtools.caddy import caddy
from mediaapp.models import User

SILENT, SLOW, STRANGERS, SECONDS = 200, 32, 300, 20
PAUSE_SECONDS, GIVE_UP_SECONDS = 0.05, 30
PASSWORD, TOKEN = "staple tractor violin", "x" * 32
VARIABLES = {"TRIES_PER_ADDRESS": "100000/1m", "TRIES_PER_CLIENT": "100000/1m", "LOG_LEVEL": "ERROR"}
Times = dict[str, list[float]]


def measure(*, quick: bool) -> Iterator[Row]:
    create_user()
    with bench_site(**VARIABLES) as site, caddy(site.port) as proxy:
        for way, port in {"bare": site.port, "behind Caddy": proxy}.items():
            yield from measure_attack(way, port, site.process.pid, quick=quick)
        yield measure_half_forms(site.port, site.process.pid, quick=quick)


def measure_attack(way: str, port: int, pid: int, *, quick: bool) -> Iterator[Row]:
    silent, slow, seconds = (4, 2, 0.1) if quick else (SILENT, SLOW, SECONDS)
    uploads = attackers.slow_uploads(slow, log_in(port))
    idle, idle_megabytes = waits(port, seconds / 2), memory(pid)
    silent_ones = attackers.half_headers(silent // 2), attackers.forms_without_body(silent // 2)
    with attackers.attacking(port, *silent_ones, uploads) as attack:
        attacked, megabytes = waits(port, seconds), memory(pid)
    for what, each in attacked.items():
        note = f"idle {p95(idle[what]):.2f} s; {len(each)} answers; hung up on {attack.closed} clients"
        label = f"{what}, p95, {silent} silent and {slow} slow clients, {way}"
        yield Row(label, p95(each), "s", at_most=1, note=note)
    yield Row(f"memory of the web processes, {way}", megabytes, "MB", note=f"idle {idle_megabytes:.0f} MB")


def measure_half_forms(port: int, pid: int, *, quick: bool) -> Row:
    strangers = 4 if quick else STRANGERS
    before = memory(pid)
    with attackers.attacking(port, attackers.half_forms(strangers)):
        waits(port, 0.1 if quick else SECONDS / 10)
        added = memory(pid) - before
    sent = strangers * attackers.ALMOST_ALL / 1e6
    return Row(f"memory that {strangers} half forms add", added, "MB", at_most=sent / 2, note=f"sent {sent:.0f} MB")


def create_user() -> User:
    """The one who logs in. Other measurements of this run may have created it."""
    user, _ = User.objects.get_or_create(username="slow", email="slow@example.com")
    user.set_password(PASSWORD)
    user.save()
    return user


def log_in(port: int) -> dict[str, str]:
    """The cookies of a new session. Raises RuntimeError."""
    form = urlencode({"username": "slow", "password": PASSWORD, "csrfmiddlewaretoken": TOKEN})
    headers = {"Cookie": f"csrftoken={TOKEN}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = ask("POST", port, "/accounts/login/", 302, body=form, headers=headers)
    cookies = {"csrftoken": TOKEN}
    for cookie in answer.headers.getlist("Set-Cookie"):
        cookies |= {key: morsel.value for key, morsel in SimpleCookie(cookie).items()}
    return cookies


def ask_health(port: int) -> None:
    ask("GET", port, "/healthz", 200)


def ask(
    method: str, port: int, path: str, status: int, *, body: str | None = None, headers: dict[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    """Over a connection of its own, as a new client. Raises RuntimeError for another status."""
    with urllib3.PoolManager(retries=False, timeout=GIVE_UP_SECONDS) as client:
        url = f"http://127.0.0.1:{port}{path}"
        answer = client.request(method, url, body=body, headers=headers, redirect=False)
    if answer.status != status:
        raise RuntimeError(f"{path} answered {answer.status}")
    return answer


def waits(port: int, seconds: float) -> Times:
    """Seconds of each answer. Two clients, each asks again and again. One that gives up has waited GIVE_UP_SECONDS."""
    deadline = time.monotonic() + seconds

    def repeat(question: Callable[[int], object]) -> list[float]:
        times: list[float] = []
        while time.monotonic() < deadline or len(times) < 2:
            began = time.monotonic()
            with suppress(urllib3.exceptions.TimeoutError):
                question(port)
            times.append(time.monotonic() - began)
            time.sleep(PAUSE_SECONDS)
        return times

    questions: dict[str, Callable[[int], object]] = {"/healthz": ask_health, "log-in": log_in}
    with ThreadPoolExecutor() as clients:
        running = {name: clients.submit(repeat, question) for name, question in questions.items()}
        return {name: each.result() for name, each in running.items()}


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


def memory(pid: int) -> float:
    """Megabytes of the process and its children. What processes share counts once."""
    main = psutil.Process(pid)
    return sum(float(each.memory_full_info().pss) for each in (main, *main.children(recursive=True))) / 1e6
