"""A reader types what the docs say: each command names a target, a module, a service and options that exist.

The programs themselves run in other tests: labs, benches, drills, exercises, `up`, the health checks of Compose.
"""

import pytest

from devtools.processes import ROOT
from tests.documented_commands import DOCUMENTS, commands, fault_of, parts

# What a command that only reads would find out too late: a program of which no test knows anything.
KNOWN = {
    *("make", "python", "python3", ".venv/bin/python", "manage.py", "docker", "heroku", "redis-cli", "rabbitmqctl"),
    *(
        "git",
        "cd",
        "cat",
        "cut",
        "head",
        "sed",
        "sort",
        "uniq",
        "grep",
        "curl",
        "aws",
        "kill",
        "openssl",
        "celery",
        "pip",
        "cp",
        "mkdir",
    ),
}


@pytest.mark.parametrize("document", [str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_each_command_of_a_document_would_start(document):
    found = [(line, words) for name, line in commands() if name == document for words in parts(line)]
    assert [(line, fault) for line, words in found if (fault := fault_of(words))] == []


def test_every_command_in_a_block_is_of_a_program_that_we_know():
    found = {words[0] for _, line in commands() for words in parts(line)}
    assert found - KNOWN == set()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("make lap N=3", "make has no target lap"),
        ("make exercise KIND=build", "make knows no KIND="),
        (".venv/bin/python manage.py docter", "manage.py has no docter"),
        ("manage.py doctor --yaml", "Error: unrecognized arguments: --yaml"),
        ("python -m labs 10", "there is no lab 10"),
        ("python -m bench speed", "there is no bench speed"),
        ("python -m workers.audits", "there is no module workers.audits"),
        ("python -m pytest tests/test_gone.py", "there is no tests/test_gone.py"),
        ("docker compose restart vidoe", "docker-compose.yml has no service vidoe"),
        ("docker compose exec web python manage.py docter", "manage.py has no docter"),
        ("heroku ps:scale vidoe=2", "the Procfile has no vidoe"),
        ("heroku run python manage.py docter", "manage.py has no docter"),
        ("cd here && make lap", "make has no target lap"),
    ],
)
def test_one_that_would_not_is_found(line, fault):
    assert [found for words in parts(line) if (found := fault_of(words))] == [fault]


@pytest.mark.parametrize(
    "line", ["make lab N=3", "python -m labs --rabbitmq chaos 100", "heroku ps:scale video=2", "git push heroku main"]
)
def test_one_that_would_is_not(line):
    assert [found for words in parts(line) if (found := fault_of(words))] == []
