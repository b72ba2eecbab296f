"""A run holds a lock: alone, with a lease that is renewed while it works and ends soon after it dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from celery import current_app
from django.core.cache import caches
from django_redis import get_redis_connection
from redis import Redis

from devtools.processes import ROOT, wait_until
from tests.conftest import environment
from tests.relay import running_relay
from workers.practices import broker, locks
from workers.telemetry.held_locks import PREFIX, held_locks, release_locks_of


def key(name: str) -> str:
    return PREFIX + name


def test_a_second_run_finds_the_lock_busy_while_the_first_one_works():
    with locks.exclusive("import:7", lease=30), pytest.raises(locks.Busy), locks.exclusive("import:7", lease=30):
        pytest.fail("two at once")


def test_locks_of_two_objects_are_held_at_once():
    with locks.exclusive("import:7", lease=30), locks.exclusive("import:8", lease=30):
        assert {lock.name for lock in held_locks()} == {"import:7", "import:8"}


def test_the_lock_is_free_after_the_run_and_after_its_failure():
    with pytest.raises(ZeroDivisionError), locks.exclusive("sweep", lease=30):
        raise ZeroDivisionError
    assert not locks.is_held("sweep")
    with locks.exclusive("sweep", lease=30):
        assert locks.is_held("sweep")
    assert not locks.is_held("sweep")


def test_a_short_lease_is_renewed_while_the_work_is_long():
    redis = get_redis_connection("locks")
    with locks.exclusive("long", lease=6) as lease:
        renewed = redis.pttl(key("long"))
        redis.pexpire(key("long"), 3000)
        wait_until(lambda: redis.pttl(key("long")) > 3000, "the lease to be renewed")
        assert renewed > 0
        lease.check()


def test_clearing_the_cache_drops_no_lock():
    with locks.exclusive("import:7", lease=30):
        caches["default"].clear()
        assert locks.is_held("import:7")


def test_the_holder_takes_its_lock_again_after_a_flush():
    with locks.exclusive("import:7", lease=6) as lease:
        get_redis_connection("locks").flushdb()
        wait_until(lambda: locks.is_held("import:7"), "the lock to be taken again")
        lease.check()


def test_a_lock_is_lost_when_its_server_is_away_for_a_whole_lease(settings):
    server = urlsplit(settings.LOCKS_URL)
    with running_relay((server.hostname, server.port)) as relay:
        relayed = settings.CACHES["locks"] | {
            "LOCATION": settings.LOCKS_URL.replace(server.netloc.rpartition("@")[2], relay.address)
        }
        settings.CACHES = settings.CACHES | {"locks": relayed}
        with locks.exclusive("import:7", lease=1) as lease:
            lease.check()
            relay.is_cut = True
            wait_until(lease.lost.is_set, "the loss to be noticed")


def test_work_that_lost_its_lock_stops_at_its_next_check():
    with locks.exclusive("import:7", lease=1) as lease:
        get_redis_connection("locks").set(key("import:7"), "somebody else", ex=60)
        wait_until(lease.lost.is_set, "the loss to be noticed")
        with pytest.raises(locks.LeaseLost):
            lease.check()
    assert get_redis_connection("locks").get(key("import:7")) == b"somebody else"


def test_a_held_lock_has_its_holder_age_and_seconds_left():
    with locks.exclusive("import:7", lease=30):
        (held,) = held_locks()
    assert str(os.getpid()) in held.holder
    assert 0 <= held.age < 30
    assert 0 < held.seconds_left <= 30


@pytest.mark.parametrize("naming", [{}, {"KEY_PREFIX": "shop[1]", "VERSION": 3}], ids=["default", "prefix"])
def test_locks_are_found_however_a_project_names_its_keys(settings, naming):
    """One that copies this module need not set this site's KEY_FUNCTION: django-redis names the key `:1:lock:...`."""
    ours = {name: value for name, value in settings.CACHES["locks"].items() if name != "KEY_FUNCTION"}
    settings.CACHES = settings.CACHES | {"locks": ours | naming}
    with locks.exclusive("import:7", lease=30):
        assert locks.is_held("import:7")
        assert [lock.name for lock in held_locks()] == ["import:7"]
        assert release_locks_of(os.getpid()) == ["import:7"]


def test_verify_sees_an_endless_lock_however_a_project_names_its_keys(settings):
    ours = {name: value for name, value in settings.CACHES["locks"].items() if name != "KEY_FUNCTION"}
    settings.CACHES = settings.CACHES | {"locks": ours}
    caches["locks"].lock("lock:invoices").acquire()
    assert locks.verify().summary == "1 held, 1 without end"


def start_holder() -> subprocess.Popen[str]:
    """A process that has the lock import:7, until it reads a line."""
    code = (
        "from workers.practices import locks\n"  # a lab's processes do not load Django's apps either
        "with locks.exclusive('import:7', lease=6) as lease:\n  print('held', flush=True); input(); lease.check()"
    )
    env, pipe = environment(DJANGO_SETTINGS_MODULE="config.settings"), subprocess.PIPE
    command = [sys.executable, "-c", code]
    holder = subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_process_that_stood_still_for_its_lease_stops_though_another_run_has_come_and_gone():
    holder = start_holder()
    holder.send_signal(signal.SIGSTOP)
    wait_until(lambda: not locks.is_held("import:7"), "the lease to end")
    with locks.exclusive("import:7", lease=60):
        time.sleep(1)  # by its own clock the holder's lease ends a little later
    holder.send_signal(signal.SIGCONT)
    assert "LeaseLost" in holder.communicate("\n")[1]
    assert not locks.is_held("import:7")


def test_the_lock_of_a_killed_process_frees_itself():
    holder = start_holder()
    assert locks.verify().summary == "1 held, 0 without end"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    wait_until(lambda: not locks.is_held("import:7"), "the lease to end")
    assert locks.verify().summary == "0 held, 0 without end"


def test_no_two_of_many_threads_hold_the_lock_at_once():
    inside, overlaps, runs = [], [], []

    def run() -> None:
        for _ in range(20):
            try:
                with locks.exclusive("one", lease=30):
                    inside.append(1)
                    overlaps.append(len(inside))
                    runs.append(1)
                    inside.pop()
            except locks.Busy:
                continue

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs
    assert max(overlaps) == 1


def test_verify_fails_for_a_lock_without_a_timeout():
    with locks.exclusive("import:7", lease=30):
        assert locks.verify().ok is True
        get_redis_connection("locks").persist(key("import:7"))
        finding = locks.verify()
    assert finding.ok is False
    assert "import:7" in finding.reason


@pytest.fixture
def server() -> Iterator[Redis]:
    """The server of the locks, to be configured. It gets its configuration back."""
    redis = get_redis_connection("locks")
    before = redis.config_get("maxmemory*")
    yield redis
    for name in ("maxmemory", "maxmemory-policy"):
        redis.config_set(name, before[name])


def test_verify_fails_while_the_server_may_evict_a_lock(server):
    server.config_set("maxmemory-policy", "volatile-lru")
    finding = locks.verify()
    assert finding.ok is False
    assert "may evict (volatile-lru)" in finding.reason


def test_verify_fails_before_the_server_is_full(server):
    server.config_set("maxmemory", int(server.info("memory")["used_memory"] * 1.5))
    assert locks.verify().ok is True
    server.config_set("maxmemory", int(server.info("memory")["used_memory"] * 1.2))
    finding = locks.verify()
    assert finding.ok is False
    assert "of its memory: full, it refuses every lock" in finding.reason


def test_verify_is_unknown_while_the_server_is_away(settings):
    away = settings.CACHES["locks"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = settings.CACHES | {"locks": away}
    finding = locks.verify()
    assert finding.ok is None
    assert finding.reason


def test_check_fires_for_a_scheduled_task_without_a_lock(monkeypatch):
    unlocked = {"task": "workers.default.tasks.answer_canary", "schedule": 10.0}
    monkeypatch.setitem(current_app.conf.beat_schedule, "unlocked", unlocked)
    (message,) = locks.check()
    assert (message.id, "answer_canary" in message.msg) == ("practices.E202", True)


def test_check_fires_for_a_lease_shorter_than_three_timeouts(settings):
    settings.JOB_LEASE = 5
    assert [message.id for message in locks.check()] == ["practices.E203"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST.", "127.0.0.2", "[::1]", "0.0.0.0"])
def test_check_fires_when_locks_and_cache_are_databases_of_one_server(settings, host):
    assert locks.check() == []
    beside = f"redis://:secret@{host}:{urlsplit(settings.REDIS_URL).port}/2"
    settings.CACHES = settings.CACHES | {"locks": settings.CACHES["locks"] | {"LOCATION": beside}}
    assert [message.id for message in locks.check()] == ["practices.E201"]
    settings.REDIS_URL = f"redis://{host}:{urlsplit(settings.BROKER_URL).port}/2"
    assert "practices.E101" in [message.id for message in broker.check()]


def test_locks_and_cache_may_be_two_servers_of_one_machine(settings):
    here, there = (settings.CACHES[alias] for alias in ("locks", "default"))
    for urls in (
        ("redis://localhost:6379", "redis://127.0.0.1:6380"),
        ("redis://cache:6379", "redis://locks:6379"),
        ("unix:///run/a.sock?db=1", "unix:///run/b.sock?db=1"),
    ):
        pair = [config | {"LOCATION": url} for config, url in zip((here, there), urls, strict=True)]
        settings.CACHES = dict(zip(("locks", "default"), pair, strict=True))
        assert locks.check() == []
