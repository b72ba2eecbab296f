"""Finds the commands that start workers: Procfile, Compose, supervisor, systemd and shell scripts.

It reads text only. A file that Ansible, Helm or a web page keeps is not seen, so a queue without a consumer is a
finding only where some worker's command was found.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from workers.audit.commands import WorkerCommand, is_worker, split

MAX_BYTES = 200_000
SKIPPED = {"node_modules", "site-packages", "venv", "tests", "test", "docs", "__pycache__"}
KINDS = {
    "procfile": re.compile(r"Procfile[\w.-]*"),
    "compose": re.compile(r"(docker-)?compose[\w.-]*\.ya?ml"),
    "supervisor": re.compile(r".*\.(conf|ini)"),
    "systemd": re.compile(r".*\.service"),
    "script": re.compile(r".*\.sh|run"),
}
# The key of a command, by kind. In group 1: the indentation of YAML, in group 2: the name of a process.
KEYS = {
    "procfile": re.compile(r"^()([\w-]+):\s*(.*)$"),
    "compose": re.compile(r"^(\s*)()(?:command|entrypoint):\s*(.*)$"),
    "supervisor": re.compile(r"^()()command\s*=\s*(.*)$"),
    "systemd": re.compile(r"^()()ExecStart\s*=\s*(.*)$"),
    "script": re.compile(r"^(\s*)()((?!#).+)$"),
}
PROGRAM = re.compile(r"^\[program:([^\]]+)\]")


def read_folder(root: Path) -> list[WorkerCommand]:
    found = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(part in SKIPPED or part.startswith(".") for part in parts[:-1]) or not path.is_file():
            continue
        kind = next((kind for kind, name in KINDS.items() if name.fullmatch(path.name)), "")
        if kind and path.stat().st_size < MAX_BYTES:
            found += read_text(path.read_text(errors="replace"), kind, path.relative_to(root).as_posix())
    return found


def read_text(text: str, kind: str, file: str) -> list[WorkerCommand]:
    """The workers of one file. Files of a kind in one folder are one deployment."""
    path = Path(file)
    service = path.parent.name if path.stem == "run" else path.stem  # of s6 and runit, the folder has the name
    folder = "this folder" if path.parent == Path() else path.parent
    deployment = f"{kind} in {folder}" if kind != "procfile" else file
    return [
        WorkerCommand(name or service, file, deployment, tuple(words))
        for name, line in _commands(text, kind)
        if is_worker(words := split(line))
    ]


def _commands(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """The process's name and its command."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    section = ""
    for index, line in enumerate(lines):
        if kind == "supervisor" and (found := PROGRAM.match(line)):
            section = found[1]
        if key := KEYS[kind].match(line):
            value = key[3]
            if kind == "compose":
                section = _key_around(lines[:index], len(key[1]))
                value = _yaml_value(value, len(key[1]), lines[index + 1 :])
            elif kind == "supervisor":
                value = " ".join([value, *_indented(lines[index + 1 :])])
            yield key[2] or section, value.replace("%%", "%")


def _key_around(lines: list[str], indent: int) -> str:
    keys = (re.match(r"( *)([\w.-]+):", line) for line in reversed(lines))
    return next((key[2] for key in keys if key and len(key[1]) < indent), "")


def _yaml_value(value: str, indent: int, following: list[str]) -> str:
    """A plain or quoted text, a folded one, or a list in either form, as one line of a shell."""
    if value.startswith("["):
        rest = "" if "]" in value else " ".join(following).partition("]")[0]
        return re.sub(r"""[\[\],]|(?<=["'\s])#.*""", " ", f"{value} {rest}")
    lines = []
    for line in following:
        depth = len(line) - len(line.lstrip())
        if line.strip() and (depth < indent or (depth == indent and not line.lstrip().startswith("- "))):
            break
        lines.append(re.sub(r"^\s*(- )?", "", line))
    if value and not re.fullmatch(r"[|>][+-]?\d?", value):
        return value.strip("\"'") if value[0] in "\"'" and value[0] == value[-1] else value
    return " ".join(lines)


def _indented(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith((" ", "\t")):
            return
        yield line.strip()
