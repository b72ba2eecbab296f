"""The commands that the docs tell a reader to type, and what can be said of each without running it."""

import re
import shlex
from collections.abc import Iterator

import yaml
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError

from devtools.processes import ROOT
from devtools.stack import read_procfile

DOCUMENTS = [ROOT / "README.md", ROOT / "exercises/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```sh\b[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
PROGRAMS = r"(?:make|python|\.venv/bin/python|manage\.py|docker|heroku|redis-cli|rabbitmqctl)"
HEROKU = {
    *("addons", "config", "create", "domains", "labs", "logs", "maintenance", "open", "pg", "ps", "redis", "releases"),
    *("rollback", "run", "scale", "certs", "git"),
}
"""Topics of Heroku's command line. Nothing here can run it."""


def commands() -> Iterator[tuple[str, str]]:
    """Each document with each of its commands: lines of ```sh blocks, and pieces of inline code that begin like one."""
    for path in DOCUMENTS:
        text, name = path.read_text(), str(path.relative_to(ROOT))
        for block in BLOCK.findall(text):
            block = re.sub(r"<<(\w+)\n.*?^\1$", "", block.replace("\\\n", " "), flags=re.MULTILINE | re.DOTALL)
            yield from ((name, line) for line in block.splitlines())
        outside = ANY_BLOCK.sub("", text)
        inline = (" ".join(code.split()) for code in INLINE.findall(outside))
        yield from ((name, code) for code in inline if re.match(rf"{PROGRAMS} [\w.-]", code))


def parts(line: str) -> Iterator[list[str]]:
    """The words of each command that a line chains or pipes, without comments and assignments before it."""
    lexer = shlex.shlex(re.sub(r"<[^>]*>|\$\([^)]*\)", "VALUE", line), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if re.fullmatch(r"[|&;]+", word):
            if words:
                yield words
            words = []
        elif words or not re.fullmatch(r"[A-Z_0-9]+=.*", word):
            words.append(word)


def fault_of(words: list[str]) -> str:
    """Why this command would not start; "" if it would, or if it is no command of ours."""
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "manage.py":
        return django_fault(rest)
    if program == "make":
        return make_fault(rest)
    if program in ("python", "python3") and rest:
        if rest[0] == "manage.py":
            return django_fault(rest[1:])
        return module_fault(rest[1], rest[2:]) if rest[0] == "-m" and rest[1:] else ""
    if program == "docker" and rest[:1] == ["compose"]:
        return compose_fault(rest[1:])
    if program == "heroku":
        return heroku_fault(rest)
    return ""


def make_fault(words: list[str]) -> str:
    makefile = (ROOT / "Makefile").read_text()
    targets, variables = (
        re.findall(r"^([\w-]+):", makefile, re.MULTILINE),
        set(re.findall(r"\$\((\w+)\)|\$\(if \$\((\w+)", makefile)),
    )
    known = {name for pair in variables for name in pair} | {"PORT", "PYTHON"}
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable and name not in known:
            return f"make knows no {name}="
        if not is_variable and name not in targets:
            return f"make has no target {name}"
    return ""


def django_fault(words: list[str]) -> str:
    name, *arguments = words
    known = get_commands()
    if (ROOT / f"devtools/management/commands/{name}.py").exists():
        known = {**known, name: "devtools"}  # an app with DEBUG only
    if any(f"/management/commands/{name}.py" in patch.read_text() for patch in (ROOT / "docs/lift").glob("*.patch")):
        return ""  # of the project that docs/lift.md mends
    if name not in known:
        return f"manage.py has no {name}"
    app = known[name]
    command = app if not isinstance(app, str) else load_command_class(app, name)
    if any(word.isupper() for word in arguments):
        return ""
    try:
        command._called_from_command_line = False
        command.create_parser("manage.py", name).parse_args(arguments)
    except CommandError as error:
        return str(error)
    return ""


def module_fault(module: str, words: list[str]) -> str:
    if module == "pytest":
        missing = [
            word for word in words if word.startswith("tests/") and not (ROOT / word.partition("::")[0]).exists()
        ]
        return f"there is no {missing[0]}" if missing else ""
    if module == "labs":
        named = [word for word in words if not word.startswith("-")][:1]
        files = [path.stem for path in (ROOT / "labs").glob("*.py")]
        found = [name for name in files if name in named or name.partition("_")[0] in named]
        return "" if found or not named else f"there is no lab {named[0]}"
    if module == "bench":
        missing = [word for word in words if not word.startswith("-") and not (ROOT / f"bench/{word}.py").exists()]
        return f"there is no bench {missing[0]}" if missing else ""
    path = ROOT / module.replace(".", "/")
    is_ours = (ROOT / module.partition(".")[0]).is_dir()
    exists = path.with_suffix(".py").exists() or (path / "__main__.py").exists()
    return "" if exists or not is_ours else f"there is no module {module}"


def compose_fault(words: list[str]) -> str:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    verb, named = words[0], [word for word in words[1:] if not word.startswith("-")]
    if verb in ("exec", "run"):
        if named[0] not in services:
            return f"docker-compose.yml has no service {named[0]}"
        inside = words[words.index(named[0]) + 1 :]
        return fault_of(inside) if inside else ""
    if verb in ("ps", "kill", "restart", "stop"):
        missing = [name for name in named if name not in services]
        return f"docker-compose.yml has no service {missing[0]}" if missing else ""
    return ""


def heroku_fault(words: list[str]) -> str:
    topic = words[0].partition(":")[0]
    if topic not in HEROKU:
        return f"heroku has no {topic}"
    if topic == "run":
        return fault_of(shlex.split(" ".join(words[1:])))
    processes = read_procfile(ROOT / "Procfile")
    scaled = [word.partition("=")[0] for word in words[1:] if words[0] in ("ps:scale", "ps:resize") and "=" in word]
    missing = [name for name in scaled if name not in processes]
    return f"the Procfile has no {missing[0]}" if missing else ""
