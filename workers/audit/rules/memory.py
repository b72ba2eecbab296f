"""Practice 9: processes that keep what one task took, and who needs much."""

from collections.abc import Iterator

from workers.audit.messages import Message, unknown
from workers.audit.project import NO_CHILDREN, Project


def find(project: Project) -> Iterator[Message]:
    conf = project.app.conf
    is_recycled = bool(conf.worker_max_memory_per_child or conf.worker_max_tasks_per_child)
    for command in project.commands:
        has_own = command.option("max_memory") or command.option("max_tasks")
        if not has_own and not is_recycled and (command.option("pool") or conf.worker_pool) not in NO_CHILDREN:
            yield Message(
                "practices.E902",
                f"{command.file}: the worker {command.name} keeps a process that grew.",
                "Write --max-memory-per-child with what its machine can spare for each, in KiB.",
            )
    if project.table is None:
        fault = "Nothing static tells which task needs much memory."
        hint = "Measure the peak of each, and give the largest a queue of their own on a bigger machine."
        yield unknown("AUD901", fault, hint)
