"""The house keeps its own rules: layers, settings, migrations, process files, sizes."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from celery import current_app
from celery.app.defaults import NAMESPACES, flatten
from django.core.management import call_command
from django.urls import reverse

from devtools.processes import ROOT
from tests import in_subprocess
from workers.practices import registry
from workers.queues import table

BIN = Path(sys.executable).parent
OURS = [path for folder in ("config", "mediaapp", "workers") for path in sorted((ROOT / folder).rglob("*.py"))]


def run(*command: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=variables or None)


def test_imports_go_downward_only():
    done = run(str(BIN / "lint-imports"))
    assert done.returncode == 0, done.stdout


def test_an_upward_import_is_found(tmp_path: Path):
    for name in ("pyproject.toml", "bench", "config", "devtools", "exercises", "labs", "mediaapp", "tests", "workers"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "workers").unlink()
    run("cp", "-r", str(ROOT / "workers"), str(tmp_path / "workers"))
    (tmp_path / "workers" / "models" / "jobs.py").write_text("from mediaapp import apps\n")
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "workers.models.jobs -> mediaapp.apps" in done.stdout


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_system_check_is_silent():
    call_command("check", fail_level="WARNING")


def test_it_is_silent_with_rabbitmq_too():
    code = "from django.core.management import call_command; call_command('check', fail_level='WARNING')"
    said = in_subprocess.run(code, patient=False, BROKER_URL="amqp://app:secret@rabbit//")
    assert said.strip() == "System check identified no issues (0 silenced)."


def test_every_celery_option_is_one_that_celery_reads():
    known = {name for name, _ in flatten(NAMESPACES)} | {"deprecated_settings"}
    known.add("leader_callbacks")  # ours: workers/runtime/leader.py
    assert set(current_app.conf.changes) - known == set()


@pytest.mark.parametrize("worker", table().workers, ids=lambda worker: worker.name)
def test_a_worker_is_a_folder_with_its_tasks(worker):
    assert (ROOT / "workers" / worker.name / "tasks.py").exists()


@pytest.mark.parametrize("practice", registry.PRACTICES, ids=lambda practice: practice.title)
def test_every_practice_has_all_its_parts(practice):
    assert callable(practice.module.check)
    assert callable(practice.module.verify)
    assert (ROOT / practice.chapter).exists()
    assert (ROOT / practice.lab).exists()
    assert all((ROOT / f"exercises/{practice.number}/{kind}/task.md").exists() for kind in ("find", "build"))
    assert f"]({practice.runbook.removeprefix('docs/')})" in (ROOT / practice.chapter).read_text()
    assert practice.module.__doc__.startswith(f"Practice {practice.number}: ")


@pytest.mark.parametrize("practice", registry.PRACTICES, ids=lambda practice: practice.title)
def test_every_rule_has_a_hint_its_chapter_and_a_test_that_breaks_it(practice):
    source = (ROOT / practice.file).read_text()
    rules = set(re.findall(r'id="(practices\.[EW]\d+)"', source))
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    chapter = (ROOT / practice.chapter).read_text()
    assert rules
    assert {rule for rule in rules if rule not in tests} == set()
    assert {rule for rule in rules if rule not in chapter} == set()
    assert {rule for rule in rules if not rule[-3:].startswith(str(practice.number))} == set()
    assert len(hints(source)) >= len(rules)


def test_a_hint_ends_with_the_address_of_its_paragraph(settings):
    settings.BROKER_URL = settings.REDIS_URL
    first = registry.PRACTICES[0].check()[0]
    assert first.id == "practices.E101"
    assert str(first.hint).endswith(f"is a lost job. See {registry.PRACTICES[0].chapter}#e101.")


@pytest.mark.parametrize("practice", registry.PRACTICES, ids=lambda practice: practice.title)
def test_no_practice_names_a_queue_a_worker_or_a_task_of_this_site(practice):
    """It reads the table. "default" is an alias of Django's caches too."""
    names = {*table().queues, *(worker.name for worker in table().workers)} - {"default"}
    ours = re.compile(rf"\b({'|'.join(names)}|default worker)\b|^workers\.$|\.tasks\.")
    nodes = list(ast.walk(ast.parse((ROOT / practice.file).read_text())))
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    texts = [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text.value for text in texts if text not in docstrings and ours.search(text.value)] == []


def test_practices_are_short():
    lines = [len((ROOT / practice.file).read_text().splitlines()) for practice in registry.PRACTICES]
    assert max(lines) <= 160
    assert median(lines) < 120


def hints(source: str) -> list[str]:
    """What is given as the hint of a message: as it is called, or to a variable of that name before."""
    nodes = list(ast.walk(ast.parse(source)))
    given = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "hint"]
    named = [node.value for node in nodes if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "hint"]
    return [ast.unparse(hint).rstrip("'\"") for hint in given + named if not isinstance(hint, ast.Name)]


def test_no_file_is_long():
    files = [
        *OURS,
        *(path for name in ("bench", "devtools", "exercises", "labs", "tests") for path in (ROOT / name).rglob("*.py")),
    ]
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {path: lines for path, lines in long.items() if lines > 300} == {}


def test_every_link_into_the_docs_leads_somewhere():
    assert broken_links(ROOT) == []


def test_a_broken_link_is_found(tmp_path: Path):
    (docs := tmp_path / "docs").mkdir()
    page = f"{docs.name}/facts.md"
    good = "# Facts\n\n## Memory error, again\n\n[up](../README.md#top), [here](#memory-error-again), [gone](gone.md)\n"
    (docs / "facts.md").write_text(good)
    (tmp_path / "README.md").write_text(f'<a id="top"></a> [a]({page}#facts) [b]({page}#old) [c](#away)')
    (tmp_path / "code.py").write_text(f"# {page}#memory-error-again. {page}#memory-error, {docs.name}/old.md")
    assert broken_links(tmp_path) == [
        "README.md: #away",
        f"README.md: {page}#old",
        f"code.py: {page}#memory-error",
        f"code.py: {docs.name}/old.md",
        f"{page}: gone.md",
    ]


def test_no_reference_to_a_numbered_fact_is_left():
    """A fact has a link, such as docs/facts/celery.md#redelivery."""
    old = re.compile("(CELERY|SERVER)-FACTS")
    assert [str(path.relative_to(ROOT)) for path in texts(ROOT) if old.search(path.read_text())] == []


def broken_links(root: Path) -> list[str]:
    """Links to a file or a heading that does not exist: relative ones of Markdown, and docs/*.md in any text."""
    broken = []
    for path in texts(root):
        text = path.read_text()
        links = {(root, link) for link in re.findall(r"(?<![\w./-])docs/[\w./-]+\.md(?:#[\w-]+)?", text)}
        if path.suffix == ".md":
            links |= {(path.parent, link) for link in re.findall(r"\]\(([^)\s]+)\)", text) if ":" not in link}
        for folder, link in links:
            name, _, anchor = link.partition("#")
            target = folder / name if name else path
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{path.relative_to(root)}: {link}")
    return sorted(set(broken))


def anchors(page: Path) -> set[str]:
    """Where a link may point to in a page of Markdown: its headings, as GitHub names them, and explicit anchors."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = (re.sub(r"[^\w -]", "", line.lower()) for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    return {heading.replace(" ", "-") for heading in headings} | set(re.findall(r'<a id="([^"]+)"', text))


def texts(root: Path) -> list[Path]:
    """Every text that people write here, in folders that are not hidden."""
    kinds = {".py", ".md", ".html", ".css", ".js", ".toml", ".yml", ".json", ".txt", ".example", ""}
    folders = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "staticfiles"]
    paths = [*root.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    measured = [path for path in paths if path.name.startswith(".coverage")]
    return sorted(path for path in paths if path.is_file() and path.suffix in kinds and path not in measured)


def test_every_log_line_is_an_event_with_values_that_the_docs_explain():
    lines = [line for path in OURS for line in log_lines(path.read_text())]
    assert [text for _, text in lines if not re.fullmatch(r"[a-z]+(_[a-z]+)+( [a-z]+=%[rs])*", text)] == []
    in_code = {(text.partition(" ")[0], {"exception": "error"}.get(level, level)) for level, text in lines}
    table = (ROOT / "docs/logging.md").read_text()
    assert in_code == set(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE))


def log_lines(source: str) -> list[tuple[str, str]]:
    """Level and format of each call such as log.info("job_finished job=%s", ...)."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        (call.func.attr, ast.literal_eval(call.args[0]))
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value) in ("log", "logger", "logging")
        and call.func.attr in ("debug", "info", "warning", "error", "exception", "critical")
    ]


def test_every_module_says_what_it_promises():
    silent = [path for path in OURS if path.read_text() and "migrations" not in path.parts]
    assert [path for path in silent if not path.read_text().removeprefix("#!").lstrip().startswith('"""')] == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("library", "/"),
        ("upload", "/uploads/"),
        ("catalogue", "/catalogue/"),
        ("signup", "/accounts/signup/"),
        ("login", "/accounts/login/"),
        ("logout", "/accounts/logout/"),
        ("password_reset", "/accounts/password_reset/"),
        ("operations", "/operations/"),
        ("operations_jobs", "/operations/jobs/"),
        ("operations_workers", "/operations/workers/"),
        ("operations_log", "/operations/log/"),
        ("practices", "/practices/"),
        ("healthz", "/healthz"),
        ("healthz_practices", "/healthz/practices"),
        ("readyz", "/readyz"),
    ],
)
def test_the_addresses_that_programs_rely_on_stay(name, path):
    assert reverse(name) == path


def test_the_readme_names_functions_that_are_there():
    rows = re.findall(r"^\| .+ \| \[(.+?)\]\((.+?)\): `(\w+)` \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) > 10
    defined = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)
    assert [row for row in rows if row[0] != row[1] or row[2] not in defined.findall((ROOT / row[1]).read_text())] == []
