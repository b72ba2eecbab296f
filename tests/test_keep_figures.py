"""Each figure in the docs is that of a saved result, and a saved result is one that a reader can trust."""

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.lab import Figure, Lab, chapters, chart, result, table
from devtools.lab.quiet import MAX_LOAD, wait_for_quiet
from devtools.lab.result import ArmResult, Measured, Result
from devtools.processes import ROOT

SAVED = sorted((ROOT / "docs/results").glob("[1-9]*.json"))
WAIT, SPEED = Figure("median wait", "s"), Figure("rows a second", "rows/s", lower_is_better=False, digits=0)


def arm(name: str, *, is_right: bool, waits: list[float], speed: float = 100) -> ArmResult:
    measured = {"median wait": Measured.of(waits), "rows a second": Measured.of([speed])}
    return ArmResult(name, is_right, "" if is_right else "site", measured)


FOUND = Result(
    lab=3,
    question="How long?",
    command="python -m labs 3 --save",
    date="2026-11-27T22:00:00+00:00",
    broker="Valkey 9.1.2",
    seed=1,
    rounds=3,
    sizes={"videos": 12},
    stated_seconds=60,
    took_seconds=50.4,
    machine={"cores": 2, "load": 0.3, "versions": {"celery": "5.7.0"}},
    figures=[WAIT, SPEED],
    arms=[
        arm("one queue, one process", is_right=False, waits=[6.0, 6.5, 7.0], speed=25),
        arm("site", is_right=True, waits=[0.5, 0.25, 0.25]),
    ],
    sentence="It waits.",
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    result.save(FOUND, tmp_path / "results/3.json")
    return tmp_path / "results"


def test_a_result_is_read_as_it_was_saved(saved):
    assert result.load(saved / "3.json") == FOUND


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("one queue, one process: median wait", "6.50 s"),
        ("one queue, one process: median wait, low", "6.00 s"),
        ("one queue, one process: median wait, ratio", "26 times"),
        ("one queue, one process: rows a second, ratio", "4.0 times"),
        ("site: rows a second", "100 rows/s"),
    ],
)
def test_a_key_names_a_figure(key, text):
    assert FOUND.cite(key) == text


@pytest.mark.parametrize("key", ["two queues: median wait", "site: longest wait", "site: median wait, ratio"])
def test_a_key_of_nothing_is_refused(key):
    with pytest.raises(KeyError):
        FOUND.cite(key)


def test_a_figure_in_a_sentence_is_written_anew(saved):
    link = '(results/3.json "one queue, one process: median wait")'
    filled = chapters.fill(f"It waits [1 s]{link}, and [no figure](results.md).", Path("docs"), saved)
    assert filled == f"It waits [6.50 s]{link}, and [no figure](results.md)."


def test_the_block_of_a_chapter_has_table_sentence_and_source(saved):
    filled = chapters.fill("[//]: # (result 3)\nold\n[//]: # (end)\n", Path("docs"), saved)
    assert filled.startswith("[//]: # (result 3)\n\n![How long? It waits.](results/3.svg)")
    assert "| wrong: one queue, one process | 6.50 s<br>6.00 to 7.00 | 25 rows/s | 26 x |" in filled
    assert "`python -m labs 3 --save` (2026-11-27, Valkey 9.1.2, Celery 5.7.0, 2 cores, load before 0.3; 3 " in filled
    assert "old" not in filled
    assert chapters.fill(filled, Path("docs"), saved) == filled


def test_the_table_of_a_terminal_has_the_spread_below_the_median():
    assert table.text_table(FOUND).splitlines() == [
        "                                median wait  rows a second  worse by",
        "wrong: one queue, one process        6.50 s      25 rows/s      26 x",
        "                               6.00 to 7.00",
        "right: site                          0.25 s     100 rows/s",
        "                               0.25 to 0.50",
    ]


def test_a_chart_has_a_bar_for_each_arm_and_its_lengths_compare():
    slow = replace(FOUND, arms=[*FOUND.arms, arm("worse", is_right=False, waits=[650])])
    one, site, worse = (float(width) for width in re.findall(r'<rect .*?width="([\d.]+)"', chart.draw_chart(slow)))
    assert worse == pytest.approx(100 * one, rel=0.02)
    assert site == chart.MIN_BAR


def test_arms_that_are_not_wrong_are_compared_only_if_they_say_with_which():
    lab = Lab(number=1, question="", shows="", seconds=1, figures=(), sizes={}, short={})
    for add in (lab.wrong, lab.right, lab.beside):
        add("alone")(dict)
        add("with", versus="another")(dict)
    assert [lab.compared_with(arm) for arm in lab.arms] == ["alone", "another", "", "another", "", "another"]


def test_a_figure_that_an_arm_does_not_measure_is_a_dash():
    some = replace(FOUND.arms[0], figures={"rows a second": Measured.of([1])})
    assert "| wrong: one queue, one process | - | 1 rows/s |" in table.markdown_table(
        replace(FOUND, arms=[some, FOUND.arms[1]])
    )


def test_arms_that_measure_other_things_have_a_table_of_their_own():
    others = [replace(each, figures={"rows a second": Measured.of([1])}) for each in FOUND.arms]
    first, second = table.text_table(
        replace(FOUND, arms=[replace(FOUND.arms[0], figures={"median wait": Measured.of([1])}), *others])
    ).split("\n\n")
    assert first.split() == ["median", "wait", "wrong:", "one", "queue,", "one", "process", "1.00", "s"]
    assert second.splitlines()[0].split() == ["rows", "a", "second"]


def test_a_column_without_a_figure_is_left_out():
    assert "worse by" not in table.markdown_table(replace(FOUND, arms=[FOUND.arms[1]]))


def test_seconds_below_a_tenth_are_milliseconds():
    quick = replace(FOUND, arms=[arm("quick", is_right=True, waits=[0.006, 0.008, 0.009])])
    assert quick.cite("quick: median wait") == "8 ms"
    assert "| right: quick | 8 ms<br>6 to 9 | 100 rows/s |" in table.markdown_table(quick)
    slower = replace(FOUND, arms=[arm("slower", is_right=True, waits=[0.08, 0.09, 0.25])])
    assert "90 ms<br>80 ms to 0.25 s" in table.markdown_table(slower)


def test_an_arm_may_be_left_out_of_the_chart():
    hidden = replace(FOUND, arms=[FOUND.arms[0], replace(FOUND.arms[1], in_chart=False)])
    assert "one queue" in chart.draw_chart(hidden)
    assert "right: site" not in chart.draw_chart(hidden)


def test_a_chart_may_say_a_second_figure_in_words():
    said = replace(FOUND, figures=[FOUND.figures[0], replace(FOUND.figures[1], in_words=True)])
    assert ">6.50 s, rows a second: 25 rows/s<" in chart.draw_chart(said)
    assert "rows a second" not in chart.draw_chart(FOUND)


@pytest.mark.parametrize("path", list(chapters.documents()), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_figure_in_the_docs_is_the_saved_one(path):
    text = path.read_text()
    assert chapters.fill(text, path.parent) == text


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.name)
def test_a_saved_result_comes_from_a_quiet_machine_in_about_the_stated_time(path):
    saved = result.load(path)
    assert saved.machine["load"] < MAX_LOAD
    assert saved.stated_seconds / 2 <= saved.took_seconds <= saved.stated_seconds * 2
    assert saved.rounds >= 3
    assert path.with_suffix(".svg").read_text() == chart.draw_chart(saved)
    assert json.loads(path.read_text())["command"].endswith("--save")


def test_nothing_is_saved_from_a_busy_machine(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (MAX_LOAD, 0, 0))
    with pytest.raises(SystemExit, match=r"The load of this machine is 1\.0\. A result is saved below 1 only"):
        wait_for_quiet(0)


def test_the_load_of_what_ran_before_is_waited_for(monkeypatch, capsys):
    loads = iter([3.0, 0.5])
    monkeypatch.setattr(os, "getloadavg", lambda: (next(loads), 0, 0))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert wait_for_quiet(60) == 0.5
    assert "is 3.0. Waiting until it is below 1" in capsys.readouterr().err
