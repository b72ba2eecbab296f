"""Practice 2: recurring tasks in whose source no lock is seen, and locks without a timeout."""

from collections.abc import Iterator

from workers.addresses import server_of
from workers.audit.messages import Message, listed, unknown
from workers.audit.project import Project
from workers.audit.sources import endless_locks, takes_lock, unowned_releases


def find(project: Project) -> Iterator[Message]:
    without_lock, without_source = set(), set()
    for name in {entry["task"] for entry in project.entries.values()} & project.tasks.keys():
        try:
            if not takes_lock(project.tasks[name]):
                without_lock.add(name)
        except OSError:
            without_source.add(name)
    for name in sorted(without_lock):
        yield Message(
            "practices.E202",
            f"{name} is scheduled, and no lock is seen in it or in what it calls: two runs may meet.",
            "Take a lock with a timeout around its body, or know that a second run beside the first does no harm.",
        )
    if without_source:
        fault = f"There is no source to read of {listed(without_source)}."
        yield unknown("practices.E202", fault, "Look whether it takes a lock.")
    yield from _faulty(project)
    yield from _servers(project)


def _faulty(project: Project) -> Iterator[Message]:
    for name, task in project.tasks.items():
        try:
            calls, releases = endless_locks(task), unowned_releases(task)
        except OSError:
            continue
        for call in dict.fromkeys(releases):
            fault = f"{name}: `{call}` deletes the lock of the next run, if this run has outlived its own."
            yield Message("AUD202", fault, "Take a lock with a token, which only its holder releases.")
        for call in dict.fromkeys(calls):
            fault = f"{name}: `{call}` has no timeout, so a killed worker holds it for ever."
            yield Message("AUD201", fault, "Write timeout=<seconds>, longer than the work takes, or renew it.")


def _servers(project: Project) -> Iterator[Message]:
    locks, cache = (str(project.caches.get(alias, {}).get("LOCATION") or "") for alias in ("locks", "default"))
    if "://" in locks and "://" in cache and server_of(locks) == server_of(cache):
        yield Message(
            "practices.E201",
            "The locks and the cache are on the same server.",
            "Point the alias `locks` at another one: a cache evicts, and an evicted lock lets a second run in.",
        )
