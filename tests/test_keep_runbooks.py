"""The runbooks keep one form, say something about each sentence of a finding, and name what there is."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.db import connection
from django.urls import Resolver404, resolve

from devtools.processes import ROOT
from devtools.stack import read_procfile
from tests.sentences import sentences_of
from workers.practices import registry
from workers.storage import health, object_reader

FOLDER = ROOT / "docs/runbooks"
INDEX = (FOLDER / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.md")) if path.stem != "README"}
SECTIONS = ["What it means for users", "Look here", "Do this", "It is over when", "Prevent it"]
MIN_WORDS, MAX_WORDS = 300, 650  # without commands: a page that somebody reads at night
COST = re.compile(r"cost|undo|gone for good|nothing is lost", re.IGNORECASE)
# What a page may say besides the sentences of its practice.
STORAGE = sentences_of(health.verify) | sentences_of(object_reader.require_bucket) | {"The storage did not answer: …"}
SENTENCES = {Path(each.runbook).stem: sentences_of(each.module.verify) for each in registry.PRACTICES}
SENTENCES |= {"storage": STORAGE | sentences_of(object_reader.as_os_errors)}
SENTENCES["8-backlog"] -= SENTENCES["1-broker-memory"] - {"The broker did not answer: …"}  # it leads to that page
OF_ALL = sentences_of(registry.to_finding) | sentences_of(registry.FindingCache)
# Of PostgreSQL, RabbitMQ and Celery.
FOREIGN = {
    "pg_stat_activity",
    "wait_event_type",
    "PRECONDITION_FAILED",
    "ACCESS_REFUSED",
    "CERTIFICATE_VERIFY_FAILED",
    "HEARTBEAT_URL",
}
NO_FINDING = {  # hints, and what users read
    "Our storage of files refuses us: a setting of ours is wrong, and our staff can see it.",
    "Compare S3_BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and the key's rights with docs/deploy.md,"
    " and run `manage.py prepare_storage`.",
    "… Take it with locks.exclusive(), and delete the key once nobody works under it.",
}


def quotes(page: str) -> list[str]:
    """The sentences in the first cells of its tables, as a finding says them; "…" is a part that varies."""
    cells = re.findall(r"^\| (\".+?\"[^|]*) \|", page, re.MULTILINE)
    return [quote for cell in cells for quote in re.findall(r'"((?:[^"]|(?<= )"…")+)"', cell)]


def has_quote(sentence: str, given: list[str]) -> bool:
    return any(quote.rstrip(".?") in sentence or sentence.rstrip(".?") in quote for quote in given)


def prose_of(page: str) -> str:
    return re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> str:
    """Its blocks and its code spans."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return "\n".join(blocks + re.findall(r"`([^`]+)`", prose_of(page)))


def test_the_list_names_each_and_no_other():
    assert sorted(re.findall(r"\]\(([\w-]+)\.md\)", INDEX)) == sorted(PAGES)
    assert {Path(practice.runbook).stem for practice in registry.PRACTICES} <= PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_it_has_the_form_and_fits_on_a_page(name: str):
    page = PAGES[name]
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert MIN_WORDS <= len(prose_of(page).split()) <= MAX_WORDS


@pytest.mark.parametrize("name", PAGES)
def test_each_step_says_what_it_costs_or_how_to_undo_it(name: str):
    section = PAGES[name].partition("## Do this\n")[2].partition("\n## ")[0]
    steps = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
    assert len(steps) >= 3
    assert [step for step in steps if not COST.search(step)] == []


@pytest.mark.parametrize("name", SENTENCES)
def test_every_sentence_that_a_finding_says_is_in_its_runbook(name: str):
    given = quotes(PAGES[name]) + quotes(INDEX)
    assert len(SENTENCES[name]) >= 2
    assert {each for each in SENTENCES[name] - NO_FINDING if not has_quote(each, given)} == set()


@pytest.mark.parametrize("name", SENTENCES)
def test_no_runbook_quotes_a_sentence_that_nobody_says(name: str):
    said = SENTENCES[name]
    assert [each for each in quotes(PAGES[name]) if not any(has_quote(sentence, [each]) for sentence in said)] == []


def test_what_every_practice_may_say_is_in_the_list():
    assert {each for each in OF_ALL if not has_quote(each, quotes(INDEX))} == set()


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if "```sql" in page])
def test_its_queries_run(name: str):
    queries = re.findall(r"^```sql\n(.*?)^```", PAGES[name], re.MULTILINE | re.DOTALL)
    assert len(queries) == PAGES[name].count("```sql")
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(query)
            assert cursor.description, "it has columns to read"


@pytest.mark.parametrize("name", ["README", *PAGES])
def test_its_commands_name_what_there_is(name: str):
    text = commands(PAGES.get(name, INDEX))
    processes = set(read_procfile(ROOT / "Procfile")) - {"release"}
    services = set(re.findall(r"^  (\w+):$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE))
    assert set(re.findall(r"manage\.py\s+(\w+)", text)) <= {*get_commands()}
    assert set(re.findall(r"--process-type (\w+)", text)) <= processes
    assert set(re.findall(r"ps:(?:scale|resize) (\w+)", text)) <= processes
    assert set(re.findall(r"docker compose (?:exec|restart|kill) (\w+)", text)) <= services
    assert set(re.findall(r"--scale (\w+)=", text)) <= processes


@pytest.mark.parametrize("name", ["README", *PAGES])
def test_its_rules_events_and_variables_are_in_the_code(name: str):
    page = PAGES.get(name, INDEX)
    ours = [ROOT / ".env.example", *(ROOT / "docs").glob("*.md")]
    ours += [path for folder in ("config", "mediaapp", "workers") for path in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text() for path in ours)
    names = r"`((?:practices|deploy|storage)\.[EW]\d+|[a-z]+(?:_[a-z]+)+|[A-Z0-9]+(?:_[A-Z]+)+)`"
    words = re.findall(names, prose_of(page))
    assert {word for word in words if word not in code} <= FOREIGN


@pytest.mark.parametrize("name", ["README", *PAGES])
def test_its_pages_are_there(name: str):
    missing = []
    addresses = re.findall(r"`(/[a-z]+(?:/[^` ]*)?)`", PAGES.get(name, INDEX))
    for address in addresses:
        try:
            resolve(address.partition("?")[0])
        except Resolver404:
            missing.append(address)
    assert missing == []
