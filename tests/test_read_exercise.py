"""A learner reads an exercise: the task, hints one by one, and the solution last."""

import json
import re
from pathlib import Path

import pytest
from django.test import Client

PAGE = "/practices/5/exercises/find/"
TASK = """# The <expiry>

## Story

Jonas deletes a `number`.

## Task

Find it. See [the chapter](../../../docs/5-expires.md).

## Hints

1. Look at the row:
   `expires`.
2. Beat writes it.

   Twice.

## Solution

Both names.

## Also works

- One name.
"""


@pytest.fixture(autouse=True)
def exercise(tmp_path: Path, settings) -> Path:
    settings.BASE_DIR = settings.LOCAL_DIR = tmp_path
    folder = tmp_path / "exercises" / "5" / "find"
    folder.mkdir(parents=True)
    (folder / "task.md").write_text(TASK)
    (folder / "exercise.toml").write_text("minutes = 15\n")
    return folder


@pytest.mark.django_db
def test_hints_are_folded_one_by_one_and_the_solution_last(client: Client):
    page = client.get(PAGE).content.decode()
    open_text, *folded = re.split(r"<details>\n<summary>", page.partition('<div class="document task">')[2])
    assert "Jonas deletes a <code>number</code>." in open_text
    assert [each.partition("</summary>")[0] for each in folded] == [
        "Hint 1",
        "Hint 2",
        "The solution, and what else works",
    ]
    assert "<p>Look at the row:\n<code>expires</code>.</p>" in folded[0]
    assert "<p>Twice.</p>" in folded[1]
    assert ["Both names." in each for each in folded] == [False, False, True]
    assert "<li>One name.</li>" in folded[2]
    assert page.count("</details>") - page.count('class="account"') == 3


@pytest.mark.django_db
def test_it_says_how_to_start_and_how_to_grade_it(client: Client):
    page = client.get(PAGE).content.decode()
    assert "The &lt;expiry&gt;" in page
    assert "<code>make exercise N=5</code>" in page
    assert "<code>make exercise N=5 CHECK=1</code>" in page
    assert "15 minutes" in page


@pytest.mark.django_db
def test_the_practice_leads_to_it_and_says_when_it_was_passed(client: Client, tmp_path: Path):
    for passed in ("", "2026-11-20"):
        page = client.get("/practices/5/").content.decode()
        assert f'href="{PAGE}"' in page
        assert ("passed 2026-11-20" in page) == bool(passed)
        (tmp_path / "exercises" / "passed.json").write_text(json.dumps({"5-find": "2026-11-20"}))


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["5/exercises/build", "5/exercises/..", "3/exercises/find", "10/exercises/find"])
def test_there_is_no_other_exercise(address: str, client: Client):
    assert client.get(f"/practices/{address}/").status_code == 404


@pytest.mark.django_db
def test_facts_that_cannot_be_read_are_left_out(client: Client, exercise: Path, tmp_path: Path):
    (exercise / "exercise.toml").write_text("minutes = [")
    (tmp_path / "exercises" / "passed.json").write_text("[1]")
    page = client.get(PAGE).content.decode()
    assert "minutes" not in page
    assert "Passed" not in page
