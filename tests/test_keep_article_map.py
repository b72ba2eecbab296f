"""Each claim of the nine tips has a row in docs/article-map.md, with its paragraph, file and rule, under its lab."""

import re
from pathlib import Path

import pytest

from devtools.processes import ROOT
from workers.practices import registry

MAP = ROOT / "docs/article-map.md"
COLUMNS = "| claim | where | file | held by | ours, if it differs |"
# By tip: what the article claims, as its paragraph's anchor says it. What only this site does is in the last column.
CLAIMS = {
    1: "broker-memory unread-pile-up",
    2: "lock-recurring lock-name-with-id timeout-always timeout-long-enough",
    3: "separate-long separate-many time-sensitive video-against-reset",
    4: "not-always-faster database-makes-writers-wait each-task-slower",
    5: "expires-recurring thirty-minutes 1795",
    6: "cache-not-results key-with-id ttl empty-key first-report every-n-lines reload end-in-database",
    7: "track-times search-logs slow-background additional-effort",
    8: "watch-queue-length catch-overload raise-concurrency split-queue time-sensitive-queue",
    9: "hungry-apart bigger-machine saves-money",
}
RULES = {
    rule.lower()
    for each in registry.PRACTICES
    for rule in re.findall(r'id="practices\.(\w+)"', (ROOT / each.file).read_text())
}
practices = pytest.mark.parametrize("practice", registry.PRACTICES, ids=lambda practice: practice.title)


def section(number: int) -> list[str]:
    """The lines below a practice's heading: the sentence on its lab, then the table."""
    _, *parts = re.split(r"^## (\d) .+\n", MAP.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))[str(number)].strip().splitlines()


def rows(number: int) -> list[list[str]]:
    """The cells of a practice's rows."""
    lines = section(number)
    assert lines[1:4] == ["", COLUMNS, "|---|---|---|---|---|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]


def kind_and_link(held_by: str) -> tuple[str, str]:
    """`rule [E103](...)` is a rule; a finding is a link alone."""
    kind, _, link = held_by.rpartition(" [")
    return kind or "finding", f"[{link.removeprefix('[')}"


def target(cell: str) -> tuple[Path, str]:
    """The file that a cell's only link leads to, and its anchor."""
    (link,) = re.findall(r"^\[[^\]]+\]\(([^)]+)\)$", cell)
    path, _, anchor = link.partition("#")
    return (MAP.parent / path).resolve(), anchor


@practices
def test_each_claim_has_a_row_that_leads_to_its_paragraph(practice):
    found = [target(paragraph) for _, paragraph, *_ in rows(practice.number)]
    assert {path for path, _ in found} == {ROOT / practice.chapter}
    assert sorted(anchor for _, anchor in found) == sorted(f"tip-{each}" for each in CLAIMS[practice.number].split())


@practices
def test_each_paragraph_of_a_claim_is_in_the_map(practice):
    in_chapter = re.findall(r'<a id="(tip-[\w-]+)"></a>', (ROOT / practice.chapter).read_text())
    ours = re.findall(r"\(\S+#(tip-[\w-]+)\)", " ".join(ours for *_, ours in rows(practice.number)))
    assert sorted(in_chapter) == sorted([*ours, *(target(paragraph)[1] for _, paragraph, *_ in rows(practice.number))])


@practices
def test_each_claim_has_a_file_and_a_lab_that_are_there(practice):
    for claim, _, file, *_ in rows(practice.number):
        assert claim
        assert target(file)[0].is_file()
    labs = re.findall(r"\[lab (\d)\]\((\S+)\.md#see-it\)", section(practice.number)[0])
    assert labs[0] == (str(practice.number), practice.slug)
    for number, slug in labs:
        (shown,) = [each for each in registry.PRACTICES if (str(each.number), each.slug) == (number, slug)]
        assert (ROOT / shown.lab).is_file()
        assert f"`make lab N={shown.number}`" in (ROOT / shown.chapter).read_text()


@practices
def test_each_claim_is_held_by_a_rule_a_finding_or_a_test(practice):
    for *_, held_by, _ in rows(practice.number):
        kind, link = kind_and_link(held_by)
        path, anchor = target(link)
        name = link[1 : link.index("]")]
        if kind == "test":
            assert path == ROOT / "tests" / name
            assert path.is_file()
        elif kind == "finding":
            assert name == "finding"
            assert (path, anchor) == (ROOT / practice.chapter, "when-the-alarm-rings")
            assert "\n## When the alarm rings\n" in path.read_text()
        else:
            assert kind == "rule"
            assert name.lower() == anchor
            assert anchor in RULES
            assert f'<a id="{anchor}"></a>' in path.read_text()


def test_the_sums_at_the_top_are_right():
    held = [kind_and_link(held_by)[0] for each in registry.PRACTICES for *_, held_by, _ in rows(each.number)]
    sentences = r"Of (\d+) claims, (\d+) are .+? (\d+) are held\sby a finding.+? (\d+) are"
    sums = re.findall(sentences, MAP.read_text(), re.DOTALL)
    assert sums == [(str(len(held)), *(str(held.count(kind)) for kind in ("rule", "finding", "test")))]
