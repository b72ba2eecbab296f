"""Practice 6: progress that goes through task results."""

from collections.abc import Iterator

from workers.audit.messages import Message, listed, unknown
from workers.audit.project import Project
from workers.audit.sources import names_of


def find(project: Project) -> Iterator[Message]:
    found, unread = set(), set()
    for name, task in project.tasks.items():
        try:
            if any(each.rpartition(".")[2] == "update_state" for each in names_of(task)):
                found.add(name)
        except OSError:
            unread.add(name)
    for name in sorted(found):
        where = "the result backend" if project.app.conf.result_backend else "a result backend, and there is none"
        yield Message(
            "AUD601",
            f"{name} calls update_state: its progress belongs to one attempt, and goes into {where}.",
            "Write it as JSON into the cache under the object's id, with a TTL, and the end into the database.",
        )
    if unread:
        fault = f"There is no source to read of {listed(unread)}."
        yield unknown("AUD601", fault, "Look whether it calls update_state.")
