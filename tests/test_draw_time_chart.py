"""A chart over time: its lines, its limit, its marks, and what a screen reader reads of it."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from django.template.loader import render_to_string

from mediaapp.templatetags import time_charts
from mediaapp.templatetags.time_charts import Series, TimeChart

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def minutes(*values, name="waiting"):
    return Series(name, [(NOON + timedelta(minutes=place), value) for place, value in enumerate(values)])


def make_chart(*series, **fields):
    return TimeChart(
        **{"title": "Messages", "begins": NOON, "ends": NOON + timedelta(minutes=4)} | fields, series=series
    )


def draw(chart):
    context = time_charts.time_chart(chart)
    return ElementTree.fromstring(render_to_string("operations/_time_chart.html", context))


def paths(page, name):
    return [path.get("d") for path in page.findall(f".//svg[@role='img']//path[@class='{name}']")]


def titles(page, path):
    return [title.text for title in page.findall(path)]


def text(page):
    return re.sub(r"\s+", " ", "".join(page.itertext())).strip()


def test_a_line_goes_through_its_values():
    page = draw(make_chart(minutes(0, 5, 10, 5, 0)))
    assert paths(page, "line-1") == ["M0.0,160.0 L180.0,80.0 L360.0,0.0 L540.0,80.0 L720.0,160.0"]


def test_the_legend_says_the_newest_value_unless_nothing_was_measured_lately():
    assert text(draw(make_chart(minutes(1, 7, None)))).startswith("Messages waiting 7 ")
    assert text(draw(make_chart(minutes(1, 7, None, None)))).startswith("Messages waiting \u2013 ")


def test_a_missing_value_breaks_the_line():
    page = draw(make_chart(minutes(10, 10, None, 10, None)))
    assert paths(page, "line-1") == ["M0.0,0.0 L180.0,0.0", "M540.0,0.0 h0"]


def test_the_axis_ends_at_a_round_number_and_has_its_unit():
    assert "500 ms" in text(draw(make_chart(minutes(0.35), unit="s")))
    assert "50 min" in text(draw(make_chart(minutes(2000), unit="s")))
    assert "5 h" in text(draw(make_chart(minutes(4 * 3600), unit="s")))
    assert "200 MB" in text(draw(make_chart(minutes(123_456_789), unit="bytes")))


def test_a_limit_is_a_line_with_its_name():
    page = draw(make_chart(minutes(10), limit=20, limit_name="target", unit="s"))
    assert paths(page, "limit") == ["M0,0.0 H720"]
    assert "target 20 s" in text(page)


def test_a_limit_far_above_the_values_is_said_in_words():
    page = draw(make_chart(minutes(1), limit=600, limit_name="target", unit="s"))
    assert paths(page, "limit") == []
    assert "target 10 min, far above" in text(page)


def test_a_deploy_is_a_mark_with_its_release():
    deploys = [(NOON + timedelta(minutes=2), "v42"), (NOON - timedelta(days=1), "v41")]
    page = draw(make_chart(minutes(1), deploys=deploys))
    assert titles(page, ".//*[@class='deploy']/title") == ["v42 began 2 Mar, 12:02"]
    assert "Releases: v42 (2 Mar, 12:02)." in text(page)


def test_the_time_in_which_it_did_not_hold_is_red_and_said_in_words():
    page = draw(make_chart(minutes(1), failing=[(NOON + timedelta(minutes=1), NOON + timedelta(minutes=2))]))
    red = page.findall(".//rect[@class='failing']")[0]
    assert (red.get("x"), red.get("width")) == ("180.0", "180.0")
    assert "Did not hold: 2 Mar, 12:01 to 12:02." in text(page)


def test_a_chart_has_a_title_its_times_and_a_table():
    page = draw(make_chart(minutes(1, None, 3), minutes(2, name="unacked")))
    assert titles(page, ".//svg[@role='img']/title") == ["Messages, from Mon 2 Mar, 12:00 to Mon 2 Mar, 12:04"]
    rows = [[text(cell) for cell in row] for row in page.iter("tr")]
    assert rows[0] == ["Time", "Waiting", "Unacked"]
    assert rows[1:] == [
        ["Mon 2 Mar, 12:00", "1", "2"],
        ["Mon 2 Mar, 12:01", "\u2013", "\u2013"],
        ["Mon 2 Mar, 12:02", "3", "\u2013"],
    ]
    assert [each for each in page.iter() if "style" in each.attrib] == []


def test_the_table_of_many_values_has_the_highest_of_each_stretch():
    page = draw(make_chart(minutes(*range(480)), ends=NOON + timedelta(hours=8)))
    figures = [text(cell) for cell in page.iter("td")]
    assert (len(figures), figures[0], figures[-1]) == (48, "9", "479")
    assert "the highest value from each time until the next" in text(page)


def test_a_chart_without_values_says_so():
    page = draw(make_chart(minutes(None), empty="No run in this time."))
    assert text(page) == "Messages No run in this time."


def test_a_small_chart_says_its_figures_in_its_title():
    failing = [(NOON, NOON + timedelta(minutes=2))]
    page = ElementTree.fromstring(make_chart(minutes(1, 7, 3), failing=failing, unit="s").sparkline)
    assert titles(page, "title") == ["Messages: last 3 s, highest 7 s. It did not hold for 2 min."]
    assert len(page.findall(".//rect[@class='failing']")) == 1
    stopped = ElementTree.fromstring(make_chart(minutes(1, 7, None, None), unit="s").sparkline)
    assert titles(stopped, "title") == ["Messages: last \u2013, highest 7 s."]
    assert text(ElementTree.fromstring(make_chart(minutes()).sparkline)) == "No sample yet."
