"""A learner reads a source file in the browser, on his own machine alone."""

from http import HTTPStatus
from pathlib import Path

import pytest
from django.test import Client

from mediaapp import documents
from mediaapp.documents.source import MAX_BYTES, line_of

pytestmark = pytest.mark.django_db
LOCKS = "workers/practices/locks.py"


@pytest.fixture
def project(tmp_path: Path, settings) -> Path:
    """A project on a machine with DEBUG, with a secret in each place where one may lie."""
    settings.BASE_DIR, settings.DEBUG = tmp_path / "project", True
    secrets = (".env", ".local/env", ".git/config", "config/.hidden.py", "config/key.pem", "media/alice.csv", "id_rsa")
    for name in (LOCKS, "Makefile", "config/page.html", *secrets):
        (path := tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text('first\n\n    if a < b:\n        return "<b>"\n')
    (tmp_path / "outside.py").write_text("secret")
    (tmp_path / "project/config/link.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "project/config/env.py").symlink_to(tmp_path / "project/.env")
    (tmp_path / "project/config/long.py").write_text("x" * (MAX_BYTES + 1))
    return tmp_path / "project"


def status(client: Client, path: str) -> int:
    return client.get(f"/docs/source/{path}").status_code


def test_lines_have_numbers_to_link_to_and_are_text(client: Client, project: Path):
    page = client.get(f"/docs/source/{LOCKS}").content.decode()
    assert '<span class="line" id="L4">' in page
    assert "&lt;b&gt;" in page
    assert 'aria-current="true">Nine practices' not in page
    assert [status(client, path) for path in ("Makefile", "config/page.html")] == [HTTPStatus.OK] * 2


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".local/env", ".git/config", "config/.hidden.py", "config/key.pem", "media/alice.csv", "id_rsa"),
        *("../outside.py", "config/../../outside.py", "%2e%2e/outside.py", "config/link.py", "config/env.py"),
        *("/etc/hostname", "config", "", "config/long.py", "config/no.py", f"config/{'x' * 5000}.py", "config/%00.py"),
        *("config/../.env", "workers/../.local/env"),
    ],
)
def test_nothing_else_is_shown(path: str, client: Client, project: Path):
    assert status(client, path) == HTTPStatus.NOT_FOUND


def test_without_debug_nothing_is_shown_and_nothing_links_to_it(client: Client, project: Path, settings):
    (project / "docs").mkdir()
    block = '```python workers/practices/locks.py\nif a < b:\n    return "<b>"\n```'
    (page := project / "docs" / "page.md").write_text(
        f"# P\n\n[it](../{LOCKS}) `{LOCKS}` [`Makefile`](../Makefile)\n\n{block}\n"
    )
    path = str(page.relative_to(project))
    address = f'href="/docs/source/{LOCKS}'
    assert (
        f'<a {address}">it</a> <a {address}"><code>{LOCKS}</code></a> <a href="/docs/source/Makefile">'
        in documents.render(path)
    )
    assert f'<a {address}#L3"><code>{LOCKS}</code></a></figcaption>' in documents.render(path)
    assert f'<a {address}"><code>{LOCKS}</code></a>' in client.get("/practices/2/").content.decode()
    settings.DEBUG = False
    assert status(client, LOCKS) == HTTPStatus.NOT_FOUND
    assert "/docs/source/" not in documents.render(path)


def test_lines_that_are_not_in_the_file_have_no_number(project: Path):
    assert [line_of(LOCKS, code) for code in ('return "<b>"\n', "other\n", "")] == [4, None, None]
