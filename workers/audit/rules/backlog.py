"""Practice 8: whether anything says how long a message may wait."""

from collections.abc import Iterator

from workers.audit.messages import Message, listed, unknown
from workers.audit.project import Project


def find(project: Project) -> Iterator[Message]:
    if project.table is None:
        yield unknown(
            "practices.E801",
            f"Nothing in the project says how long a message may wait in {listed(set(project.queues))}.",
            "Agree on a target for each queue, and measure it: on the broker's page, or with a table and its samples.",
        )
        return
    targets = {name: queue.target_seconds for name, queue in project.table.queues.items()}
    for name in sorted(project.queues.keys() - {name for name, seconds in targets.items() if seconds > 0}):
        hint = "Give it target_seconds=<seconds of waiting that its users accept> in the table."
        yield Message("practices.E801", f"The queue {name} has no target.", hint)
