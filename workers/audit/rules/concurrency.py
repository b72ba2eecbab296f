"""Practice 4: workers that run as many tasks at once as the machine has processors."""

from collections.abc import Iterator

from workers.audit.messages import Message, unknown
from workers.audit.project import Project


def find(project: Project) -> Iterator[Message]:
    if project.app.conf.worker_concurrency:
        return
    for command in project.commands:
        given = command.option("concurrency") or command.option("autoscale")
        if given == "$":
            fault = f"{command.file}: a variable says how many tasks the worker {command.name} runs at once."
            yield unknown("practices.E401", fault, "Look whether somebody measured that number.")
        elif not given and command.option("pool") != "solo":
            yield Message(
                "practices.E401",
                f"{command.file}: the worker {command.name} runs as many tasks at once as its machine has processors.",
                "Write -c with a number that you measured: a bigger machine must not change what the database bears.",
            )
