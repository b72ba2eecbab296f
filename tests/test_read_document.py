"""Somebody reads a document of docs/ in the site."""

import re
from html import unescape
from http import HTTPStatus
from pathlib import Path

import pytest
from django.test import Client

from devtools.processes import ROOT
from mediaapp import documents
from tests.outages import unreachable_database

FILES = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "exercises").rglob("task.md")]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in FILES)
PAGE = f"{(ROOT / 'docs').name}/page.md"


@pytest.fixture
def docs(tmp_path: Path, settings) -> Path:
    """A folder of documents of its own."""
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


@pytest.mark.parametrize(
    "path", ["README.md", "docs/../README.md", "/etc/hostname", ".env.example", "docs/images", "docs"]
)
def test_nothing_outside_the_docs_is_rendered(path: str):
    with pytest.raises(FileNotFoundError):
        documents.render(path)


def test_a_link_out_of_the_docs_is_not_followed(docs: Path):
    (docs.parent / "secret.md").write_text("# Secret")
    (docs / "open.md").symlink_to(docs.parent / "secret.md")
    with pytest.raises(FileNotFoundError):
        documents.render(f"{docs.name}/open.md")


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_document_is_rendered_and_its_links_lead_somewhere(path: str):
    page = documents.render(path)
    assert documents.title(path)
    for tag in ("details", "summary", "a", "b", "code"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>")
    anchors = re.findall(r' id="([^"]*)"', page)
    assert len(anchors) == len(set(anchors))
    for target in re.findall(r'href="([^"]*)"', page):
        if target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert target.startswith(("https://", "http://", "/"))
    text = re.sub(r"<code>.*?</code>", "", page, flags=re.DOTALL)
    text = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
    assert not re.search(r"&lt;[a-z]", text)
    assert "](" not in text


def test_parts_that_a_document_folds_are_folded(docs: Path):
    (docs / "page.md").write_text(
        "# Page\n\n<details>\n<summary>Hint <b>1</b>, x < y</summary>\n\nLook at `expires`.\n\n</details>\n"
        '\n<!-- a note -->\n\n<details open onclick="x">\n'
    )
    page = documents.render(PAGE)
    assert "<details>\n<summary>Hint <b>1</b>, x &lt; y</summary>\n<p>Look at <code>expires</code>.</p>" in page
    assert "a note" not in page
    assert "<details open" not in page


def test_code_says_of_which_file_it_is_and_wrong_code_that_it_is_wrong(docs: Path):
    wrong, right = ("```python labs/2_locks.py\nx = 1\n```", "```python workers/practices/locks.py\n    @task\n```")
    blocks = f"{wrong}\n\n{right}\n\n```\n$ <x>\n```\n"
    (docs / "page.md").write_text(f"# Page\n\n## Wrong and right\n\n{blocks}\n## See it\n\n{blocks}")
    told, plain = documents.render(PAGE).split('<h2 id="see-it">')
    captions = re.findall(r"<figcaption>(?:<b[^>]*>(\w+)</b> )?<code>(.*?)</code>", told)
    assert captions == [("Wrong", "labs/2_locks.py"), ("Right", "workers/practices/locks.py")]
    assert '<code><span class="nd">@task</span>' in told
    assert '<pre tabindex="0"><code>$ &lt;x&gt;\n</code></pre>' in told
    assert "Wrong" not in plain
    assert "<figcaption><code>labs/2_locks.py</code>" in plain


def test_a_table_has_no_style_of_its_own_because_our_policy_blocks_it(docs: Path):
    (docs / "page.md").write_text("# P\n\n| | b |\n|---|---:|\n| 1 | 2 |\n")
    page = documents.render(PAGE)
    assert "style" not in page
    assert "<tr>\n<td></td>\n<th" in page  # an empty header would have no name
    assert '<th scope="col" class="number">b</th>' in page
    assert '<td class="number">2</td>' in page


def test_a_figure_leads_to_the_result_that_it_is_from(docs: Path):
    text = '[6.41 s](results/3.json "one queue: median wait") [2 s](results/3-rabbitmq.json) [all](results/faults.json)'
    (docs / "page.md").write_text(f"# P\n\n{text}\n")
    page = documents.render(PAGE)
    assert '<a href="/practices/3/#lab" title="one queue: median wait">6.41 s</a> <a href="/practices/3/#lab">2' in page
    assert "all (<code>docs/results/faults.json</code>)" in page


def test_a_picture_keeps_its_words_and_stays_words_without_its_file(docs: Path):
    (docs / "pictures").mkdir()
    (docs / "pictures" / "3-two.svg").write_text("<svg/>")
    (docs / "page.md").write_text(
        "# P\n\n![Two queues](pictures/3-two.svg) ![Gone](pictures/x.svg) ![Far](https://x.y/z.svg)\n"
    )
    page = documents.render(PAGE)
    assert '<img src="/static/docs/pictures/3-two.svg" alt="Two queues">' in page
    assert page.count("<img") == 1
    assert "<i>Gone</i> <i>Far</i>" in page


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_document_has_a_page(path: str, client: Client):
    page = documents.page_of(path)
    assert page
    answer = client.get(page)
    if page.startswith("/operations/"):
        assert answer.url == f"/accounts/login/?next={page}"
    else:
        assert answer.status_code == HTTPStatus.OK
        assert re.sub(r"^\d ", "", documents.title(path)) in unescape(answer.content.decode())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/docs/README/", "/docs/"),
        ("/docs/2-locks/", "/practices/2/"),
        ("/docs/runbooks/storage/", "/operations/runbooks/storage/"),
        ("/docs/runbooks/README/", "/operations/runbooks/"),
    ],
)
def test_a_document_has_one_address(address: str, page: str, client: Client):
    assert client.get(address).url == page


@pytest.mark.parametrize(
    "name", ["no-such", "..", "../README", "%2e%2e/README", "/etc/hostname", "images", "deploy.md", "x" * 5000, "%00"]
)
def test_there_is_no_other_file_behind_the_address(name: str, client: Client):
    assert client.get(f"/docs/{name}/").status_code == HTTPStatus.NOT_FOUND


def test_documents_are_read_without_the_database(client: Client, as_stella: Client):
    for reader in (client, as_stella):
        with unreachable_database("127.0.0.1:1"):
            assert reader.get("/docs/deploy/").status_code == HTTPStatus.OK


def test_html_and_scripts_of_a_document_are_text(docs: Path):
    (docs / "page.md").write_text(
        '# A & <b>B</b>\n\n<script>alert(1)</script> <a id="here"></a> <a id="x" onclick="y"></a> <b>\n\n'
        '[go](javascript:alert(1)) `<i>`\n\n<div onclick="x">\n'
    )
    page = documents.render(PAGE)
    assert set(re.findall(r"<[a-z]+[^>]*>", page)) == {"<p>", '<a id="here">', "<code>", "<b>"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert documents.title(PAGE) == "A & <b>B</b>"


def test_links_lead_to_pages_of_the_site_and_files_are_named(docs: Path):
    (docs / "runbooks").mkdir()
    (docs / "runbooks" / "storage.md").write_text("# Storage\n\n## Do this\n")
    (docs / "page.md").write_text(
        "# Page\n\n[the runbook](runbooks/storage.md#do-this), [all](runbooks/README.md), [deploy](deploy.md#mail)\n"
        "[queues.py](../config/queues.py) [up](#away-again) [out](https://example.com) `/practices/` `/no/such/`\n\n"
        "## Away, again\n\n```sql\nSELECT '<'\n```\n\n| a |\n|---|\n| 1 |\n"
    )
    page = documents.render(PAGE)
    assert '<a href="/operations/runbooks/storage/#do-this">the runbook</a>' in page
    assert '<a href="/operations/runbooks/">all</a>' in page
    assert "deploy (<code>docs/deploy.md</code>)" in page
    assert "<code>config/queues.py</code>" in page
    assert '<a href="#away-again">up</a> <a href="https://example.com">out</a>' in page
    assert '<a href="/practices/"><code>/practices/</code></a> <code>/no/such/</code>' in page
    assert '<h2 id="away-again">' in page
    assert "<span class=\"s1\">'&lt;'</span>\n</code></pre>" in page
    assert '<th scope="col">a</th>' in page


def test_a_changed_document_is_read_again(docs: Path):
    for text in ("old", "new"):
        (docs / "page.md").write_text(f"# A\n\n{text}")
        assert documents.render(PAGE) == f"<p>{text}</p>\n"
