"""A team opens the workshop: its plans add up, its container is the one that the docs name."""

import json
import re
import tomllib
from collections import Counter
from itertools import pairwise

import pytest

from config.server import SITE, make_server
from devtools.processes import ROOT
from workers.practices import registry

WORKSHOP = ROOT / "docs/workshop"
ROW = re.compile(r"^\| (\d+):(\d\d) \| (\d+) \| (.+?) \|", re.MULTILINE)


@pytest.mark.parametrize(("plan", "days"), [("half-day.md", 1), ("two-days.md", 2)])
def test_the_minutes_of_a_plan_add_up(plan, days):
    """Each row begins when the row before it ends."""
    rows = [(int(hour) * 60 + int(minute), int(minutes)) for hour, minute, minutes, _ in ROW.findall(text_of(plan))]
    gaps = [start for (before, minutes), (start, _) in pairwise(rows) if before + minutes != start]
    assert len(gaps) == days - 1  # the night
    assert len(rows) > 5 * days


def test_two_days_cover_all_nine_practices():
    assert [
        each.chapter for each in registry.PRACTICES if each.chapter.removeprefix("docs/") not in text_of("two-days.md")
    ] == []


@pytest.mark.parametrize("practice", registry.PRACTICES, ids=lambda practice: practice.title)
def test_a_slide_asks_what_the_instructor_asks_and_a_later_one_answers_with_the_saved_figures(practice):
    name = f"{practice.number} {practice.title}"
    slides = [each for each in text_of("slides.md").split("\n---\n\n") if each.startswith(f"## {name}: ")]
    assert [each.splitlines()[0].rpartition(" ")[2] for each in slides] == ["guess", "picture", "answer", "code", "do"]
    guess, picture, answer, code, do = slides
    (question,) = re.findall(r"^\*\*(.+\?)\*\*$", guess, re.MULTILINE)
    assert f'| {name} | "{question}" |' in text_of("instructor.md")
    assert f"make lab N={practice.number}\n" in guess
    assert "results/" not in guess + picture
    assert f"](../pictures/{practice.number}-" in picture
    assert answer.count(f"](../results/{practice.number}.json ") >= 1
    assert f"](../{practice.chapter.removeprefix('docs/')}#wrong-and-right)" in code
    assert f"make exercise N={practice.number}\n" in do


def test_the_half_day_names_the_slides_of_its_practices():
    (named,) = re.findall(r"^\*\*Slides\*\*: ([\d, to]+)\.", text_of("half-day.md"), re.MULTILINE)
    spans = [[int(number) for number in span.split(" to ")] for span in named.split(", ")]
    numbers = [number for span in spans for number in range(span[0], span[-1] + 1)]
    slides = text_of("slides.md").split("\n---\n\n")
    others = [slide for slide in slides if (found := re.match(r"## (\d) ", slide)) and found[1] not in "358"]
    assert [slides[number - 1] for number in numbers] == [slide for slide in slides if slide not in others]
    for practices in ("3,5,8", "2,4,9", "6,7,8"):
        assert f"?practice={practices}`" in text_of("half-day.md")


def test_each_practice_has_a_key_point():
    """So a team may choose its three."""
    assert [
        each.title for each in registry.PRACTICES if f"- **{each.number} {each.title}**:" not in text_of("half-day.md")
    ] == []


def test_the_quiz_has_three_questions_a_practice_and_explains_each():
    questions = tomllib.loads(text_of("quiz.toml"))["question"]
    assert Counter(question["practice"] for question in questions) == {each.number: 3 for each in registry.PRACTICES}
    assert [each["text"] for each in questions if not 3 <= len(set(each["answers"])) == len(each["answers"])] == []
    assert [each["text"] for each in questions if not each["answers"][each["right"]] or len(each["why"]) < 60] == []


def test_the_right_answer_is_not_always_at_the_same_place():
    places = Counter(question["right"] for question in tomllib.loads(text_of("quiz.toml"))["question"])
    assert max(places.values()) <= 9


def test_the_right_answer_is_never_the_longest_and_seldom_the_shortest_one():
    """Who guesses by the length gets no more than who guesses at all."""
    questions = tomllib.loads(text_of("quiz.toml"))["question"]
    right = {each["text"]: len(each["answers"][each["right"]]) for each in questions}
    lengths = {each["text"]: [len(answer) for answer in each["answers"]] for each in questions}
    assert [text for text, length in right.items() if length == max(lengths[text])] == []
    assert len([text for text, length in right.items() if length == min(lengths[text])]) <= len(questions) / 3


def test_the_dev_container_is_a_stage_of_the_dockerfile_in_which_a_page_is_reached():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    dockerfile = (ROOT / "Dockerfile").read_text()
    stage = dockerfile.partition(f" AS {container['build']['target']}\n")[2].partition("\nFROM ")[0]
    assert f"useradd --uid 1000 --create-home {container['remoteUser']}\nUSER 1000\n" in stage
    assert f"WORKDIR {container['workspaceFolder']}" in stage
    assert "ENV WEB_ADDRESS=0.0.0.0" in stage
    assert dockerfile.rstrip().endswith('CMD ["python", "-m", "config.server"]')  # what is built without a target


@pytest.mark.parametrize(
    ("variables", "address"),
    [({"DEBUG": "true"}, "127.0.0.1"), ({"DEBUG": "false"}, "0.0.0.0"), ({"DEBUG": "true", "WEB_ADDRESS": "::"}, "::")],
)
def test_the_web_server_listens_where_it_is_told(monkeypatch, variables, address):
    monkeypatch.delenv("WEB_ADDRESS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert make_server(SITE).bind_addr == address


def text_of(name: str) -> str:
    return (WORKSHOP / name).read_text()
