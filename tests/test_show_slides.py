"""A presenter opens the slides of the workshop, which one Markdown file contains."""

import re
from pathlib import Path

import pytest
from django.test import Client

from devtools.processes import ROOT

SLIDES = "/docs/workshop/slides/"
NOTES = "<details>\n<summary>Notes</summary>\n\nSay it\n\n</details>"
CODE = "```yaml\na: 1\n---\nb: 2\n```"
PICTURE = re.compile(r"!\[([^\]]+)\]\((?:\.\./)?(pictures/[^)]+)\)")
TEXT = f"# Course\n\nFirst\n\n---\n\n## Again\n\n{NOTES}\n\n---\n\n## Again\n\n{CODE}\n"


@pytest.fixture
def slides(tmp_path: Path, settings) -> Path:
    settings.BASE_DIR = tmp_path
    path = tmp_path / "docs" / "workshop" / "slides.md"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    return path


@pytest.mark.django_db
def test_each_rule_of_the_document_begins_a_slide(client: Client, slides: Path):
    page = client.get(SLIDES).content.decode()
    assert page.count('class="slide document"') == 3  # the one in the code is none
    assert ["1 of 3" in page, "3 of 3" in page, "4 of" in page] == [True, True, False]
    assert "<h1>Course</h1>" in page
    assert ['id="again"' in page, 'id="again-1"' in page] == [True, True]


@pytest.mark.django_db
def test_notes_are_folded_and_the_script_is_ours(client: Client, slides: Path):
    page = client.get(SLIDES).content.decode()
    assert "<details>\n<summary>Notes</summary>\n<p>Say it</p>\n</details>" in page
    assert '<script src="/static/mediaapp/slides.js" defer></script>' in page


@pytest.mark.django_db
def test_without_the_file_there_is_no_page(client: Client, slides: Path):
    slides.unlink()
    assert client.get(SLIDES).status_code == 404


def test_a_slide_describes_its_picture_as_the_chapter_does():
    told = {
        picture: text for path in ROOT.glob("docs/[0-9]-*.md") for text, picture in PICTURE.findall(path.read_text())
    }
    shown = PICTURE.findall((ROOT / "docs/workshop/slides.md").read_text())
    assert len(shown) == 10
    assert [text for text, picture in shown if text != told[picture]] == []
