"""Each chapter has the form that a reader has learned in the first: ten sections, real code, a picture, its figures."""

import re
from textwrap import dedent

import pytest

from devtools.processes import ROOT
from workers.practices import registry

SECTIONS = [
    "One bad day",
    "The picture",
    "Wrong and right",
    "In your own project",
    "Check it",
    "See it",
    "When the alarm rings",
    "What it costs",
    "Common mistakes and questions",
    "Read on",
]
GLOSSARY = ROOT / "docs/glossary.md"
MIN_WORDS, MAX_WORDS = 1000, 1500
CODE = re.compile(r"^ *```(\w*) ?(\S*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE_IN_A_LIST = re.compile(r"^ +```.*?^ +```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"\[//\]: # \(result .*?\[//\]: # \(end\)", re.DOTALL)
MEASURED = re.compile(r"\d[\d,.]* (?:s|ms|µs|KB|MB|GB|rows/s|messages/s|times|x|%)(?![\w/])")
chapters = pytest.mark.parametrize("practice", registry.PRACTICES, ids=lambda practice: practice.title)


def sections(practice: registry.Practice) -> dict[str, str]:
    _, *parts = re.split(r"^## (.+)\n", (ROOT / practice.chapter).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@chapters
def test_a_chapter_has_ten_sections_and_begins_with_its_title(practice):
    assert list(sections(practice)) == SECTIONS
    assert (ROOT / practice.chapter).read_text().startswith(f"# {practice.number} {practice.title}\n")


@chapters
def test_a_chapter_is_read_in_a_few_minutes(practice):
    text = BLOCK.sub("", CODE_IN_A_LIST.sub("", CODE.sub("", (ROOT / practice.chapter).read_text())))
    prose = [line for line in text.splitlines() if not line.startswith(("|", "#", "!["))]
    words = re.findall(r"[\w'-]*\w", re.sub(r"\]\([^)]*\)|<[^>]+>", " ", "\n".join(prose)))
    assert MIN_WORDS <= len(words) <= MAX_WORDS


@chapters
def test_its_code_is_the_code_that_runs(practice):
    """A block that names a file is in it, line by line."""
    for _, path, code in CODE.findall((ROOT / practice.chapter).read_text()):
        if path:
            assert is_part(code, (ROOT / path).read_text()), f"{path} has no longer:\n{code}"


def is_part(code: str, source: str) -> bool:
    # Between functions ruff wants one empty line if they are nested, and two in a chapter.
    code, source = (re.sub(r"\n{3,}", "\n\n", text) for text in (code, source))
    wanted, lines = dedent(code).rstrip().removesuffix(",").splitlines(), source.splitlines()
    parts = (lines[start : start + len(wanted)] for start in range(len(lines)))
    # Ruff makes a tuple of an argument that is a block of its own and has a comma at its end.
    return any(dedent("\n".join(part)).removesuffix(",").splitlines() == wanted for part in parts)


def test_code_that_has_changed_is_no_part():
    source = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
    assert is_part("return 2\n", source)
    assert not is_part("return 3\n", source)
    assert not is_part("def one():\n    return 2\n", source)


@chapters
def test_wrong_code_is_that_of_its_lab_and_right_code_that_of_the_site(practice):
    code = CODE.findall(sections(practice)["Wrong and right"])
    wrong = [block for _, path, block in code if path.startswith("labs/")]
    right = [block for _, path, block in code if path.startswith(("config/", "mediaapp/", "workers/"))]
    assert wrong
    assert any(5 <= len(block.splitlines()) <= 20 for block in right)


@chapters
@pytest.mark.parametrize("section", ["Wrong and right", "See it"])
def test_what_was_measured_is_a_link_to_where_it_was(practice, section):
    """To a saved result, or to a fact."""
    text = BLOCK.sub("", CODE.sub("", sections(practice)[section]))
    assert MEASURED.findall(re.sub(r"\[[^\]]*\]\([^)]*\)|`[^`]*`", "", text)) == []


@chapters
def test_each_rule_has_an_anchor_of_its_own(practice):
    rules = re.findall(r'id="practices\.([EW]\d+)"', (ROOT / practice.file).read_text())
    section = sections(practice)["Check it"]
    assert {rule for rule in rules if f'<a id="{rule.lower()}"></a>' not in section} == set()


@chapters
def test_it_shows_its_picture_its_lab_its_runbook_and_its_sources(practice):
    found = sections(practice)
    pictures = re.findall(r"!\[(.{20,}?)\]\((pictures/.+?\.svg)\)", found["The picture"])
    assert pictures
    assert re.search(rf"\(result {practice.number}\).*\| wrong: .*\| right: .*\(end\)", found["See it"], re.DOTALL)
    assert f"make lab N={practice.number}" in found["See it"]
    assert f"make exercise N={practice.number}" in found["See it"]
    assert f"]({practice.runbook.removeprefix('docs/')})" in found["When the alarm rings"]
    assert len(re.findall(r"\]\(https://", found["Read on"])) >= 4


@pytest.mark.parametrize("path", sorted((ROOT / "docs/pictures").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_has_words_for_those_who_do_not_see_it_and_colours_for_the_night(path):
    drawn = path.read_text()
    assert "<title>" in drawn
    assert "<desc>" in drawn
    assert "prefers-color-scheme: dark" in drawn
    assert "viewBox" in drawn
    assert not re.search(r"<script|href=|url\((?!#)|<image", drawn)
    assert min(float(size) for size in re.findall(r"(?:font-size[:=]\s*\"?|font: (?:\d+ )?)(\d+)", drawn)) >= 13


def test_the_glossary_sends_to_chapters_that_use_the_term():
    rows = re.findall(
        r'^\| <a id="([^"]+)"></a>([^|,(]+).*\(chapter \[\d\]\(([^)]+)\)\) \|$', GLOSSARY.read_text(), re.MULTILINE
    )
    assert len(rows) > 50
    for anchor, term, page in rows:
        text = (GLOSSARY.parent / page).read_text().lower()
        assert f"glossary.md#{anchor})" in text or term.strip().lower() in text, f"{page} does not say {term}"
