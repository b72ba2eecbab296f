"""Grafana draws the dashboard: each query names what the site tells, and every metric is drawn."""

import json
from itertools import combinations
from pathlib import Path

import pytest

from tests.prometheus import MONITORING, faults, promtool, read_series

DASHBOARD = json.loads((MONITORING / "grafana" / "mediaapp.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {"$__rate_interval": "5m", "$queue": ".*"}


def queries() -> dict[str, str]:
    """By where they are."""
    drawn = {f"{panel['title']} {each['refId']}": each["expr"] for panel in PANELS for each in panel["targets"]}
    return drawn | {each["name"]: each["expr"] for each in DASHBOARD["annotations"]["list"]}


def test_each_query_names_metrics_and_labels_that_the_site_tells(db):
    series = read_series()
    assert len(queries()) > 20
    assert {place: found for place, query in queries().items() if (found := faults(query, series))} == {}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sum by (queue) (mediaapp_jobs_invented)", ["mediaapp_jobs_invented", "queue"]),
        ('max by (owner) (mediaapp_jobs{state="queued"})', ["owner"]),
        ('mediaapp_jobs{queue=~"a"} + mediaapp_task_run_seconds', ["mediaapp_task_run_seconds", "queue"]),
        ("sum by (le, task) (rate(mediaapp_task_run_seconds_bucket[5m]))", []),
    ],
)
def test_a_query_of_what_the_site_does_not_tell_is_found(db, query: str, found: list[str]):
    assert faults(query, read_series()) == found


def test_every_metric_is_drawn(db):
    drawn = " ".join(queries().values())
    families = {name for name in read_series() if not name.endswith(("_sum", "_count"))}
    assert {name for name in families if name not in drawn} == set()


def test_prometheus_accepts_each_query(tmp_path: Path):
    rules = []
    for number, query in enumerate(queries().values()):
        for variable, value in VARIABLES.items():
            query = query.replace(variable, value)
        rules.append({"record": f"query_{number}", "expr": query})
    (tmp_path / "queries.json").write_text(
        json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})
    )  # JSON is YAML
    done = promtool("check", "rules", "queries.json", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_a_title_an_explanation_and_a_place_of_their_own():
    assert [panel["id"] for panel in PANELS if not (panel["title"] and panel["description"])] == []
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [(panel["title"], panel["gridPos"]) for panel in DASHBOARD["panels"]]
    assert [(one, other) for (one, a), (other, b) in combinations(places, 2) if overlap(a, b)] == []


def overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    return (
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )


def test_who_imports_it_chooses_the_data_source():
    sources = [target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]]
    assert {*sources, *(panel["datasource"]["uid"] for panel in PANELS)} == {"${datasource}"}
