"""Prometheus scrapes /metrics: real figures, the same from each web process, whatever server is away."""

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from devtools.processes import ROOT, wait_until
from devtools.servers import suspended
from devtools.visitor import Visitor
from mediaapp.metrics.scrape import Scrape
from tests import in_subprocess
from tests.outages import UNREACHABLE_URL, make_unreachable, running_server, unreachable_database
from tests.web import serving
from workers.brokers import state
from workers.models import Job, Pause, PracticeState, TaskTotal
from workers.practices import locks
from workers.practices.registry import PRACTICES
from workers.queues import table
from workers.telemetry import rollups

TOKEN = "a token that Prometheus sends in its header"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
SWEEP, VIDEO = "workers.default.tasks.sweep_jobs", "workers.video.tasks.transcode_video"
IMPORT = "workers.highmem.tasks.import_catalogue"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
# Figures of one moment, which differ between two scrapes of a site that nobody uses.
FLEETING = ("mediaapp_broker_memory_bytes", "mediaapp_queue_oldest_seconds")

Values = dict[str, float]


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Each scrape asks the broker."""
    monkeypatch.setattr(state, "CACHE_SECONDS", 0)


@pytest.fixture
def prometheus(client, settings) -> Client:
    """A program with the token."""
    settings.METRICS_TOKEN = TOKEN
    client.defaults["HTTP_AUTHORIZATION"] = AUTHORIZATION["Authorization"]
    return client


@pytest.fixture(params=["broker", "vhost"])
def broker_environment(request, settings) -> dict[str, str]:
    """The environment of a process, for each of the two brokers."""
    given = request.getfixturevalue(request.param)
    if not isinstance(given, Redis):
        settings.BROKER_URL, settings.BROKER_MANAGEMENT_URL = given.url, given.management
    return {"BROKER_URL": settings.BROKER_URL, "BROKER_MANAGEMENT_URL": settings.BROKER_MANAGEMENT_URL}


def parse(text: str) -> Values:
    """The value of each series, such as `mediaapp_jobs{state="queued"}`."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {f"{each.name}{{{write_labels(each.labels)}}}".removesuffix("{}"): each.value for each in samples}


def write_labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))


def scrape(client: Client) -> Values:
    response = client.get("/metrics")
    assert response.status_code == 200
    return parse(response.content.decode())


def test_what_really_ran_and_waits_is_shown_on_both_brokers(broker_environment, start, prometheus):
    own = broker_environment | {"CELERY_WORKER_INCLUDE": "tests.tasks"}
    start("default", **own)
    messages = [(VIDEO, ["no job"], "video")] * 2
    messages += [(SWEEP, [], "default"), ("tests.tasks.sleep", [0], "default"), ("tests.tasks.refuse", [], "default")]
    send = (
        "from celery import current_app as app; [app.send_task(name, args, queue=queue) for name, args, queue in {!r}]"
    )
    in_subprocess.run(send.format(messages), **own)
    expected = {
        f'mediaapp_task_runs_total{{outcome="succeeded",queue="default",task="{SWEEP}"}}': 1,
        f'mediaapp_task_run_seconds_count{{task="{SWEEP}"}}': 1,
        'mediaapp_task_runs_total{outcome="succeeded",queue="default",task="other"}': 1,
        'mediaapp_task_runs_total{outcome="refused",queue="default",task="other"}': 1,
        'mediaapp_task_wait_seconds_count{queue="default"}': 2,  # without the refused one
        'mediaapp_task_waits_within_target_total{queue="default"}': 2,
        'mediaapp_queue_messages_ready{queue="video"}': 2,
        'mediaapp_queue_consumers{queue="video"}': 0,
        'mediaapp_queue_consumers{queue="default"}': 1,
        'mediaapp_workers_alive{worker="default"}': 1,
        'mediaapp_workers_processes{worker="default"}': 4,
        'mediaapp_workers_busy{worker="default"}': 0,
        'mediaapp_workers_alive{worker="video"}': 0,
        'mediaapp_workers_memory_bytes{worker="video"}': 0,
    }

    def measured() -> Values:
        rollups.collect_runs()
        values = scrape(prometheus)
        return {series: values.get(series) for series in expected}

    wait_until(lambda: measured() == expected, "the figures")
    values = scrape(prometheus)
    assert values["mediaapp_broker_memory_bytes"] > 100_000
    assert values['mediaapp_workers_memory_bytes{worker="default"}'] > 50_000_000
    assert {series: value for series, value in values.items() if "scrape_errors" in series and value} == {}
    assert [series for series in values if "tests.tasks" in series] == []


def test_jobs_pauses_and_findings_are_shown(prometheus, alice):
    now = timezone.now()
    hour_ago = {"finished_at": now - timedelta(hours=1), "queued_at": now}
    for _ in range(2):
        Job.objects.create(task=IMPORT, queue="imports", queued_at=now, state=Job.State.NEEDS_MAPPING)
    Job.objects.create(task=VIDEO, queue="video", queued_at=now - timedelta(seconds=90))
    Job.objects.create(task=VIDEO, queue="video", queued_at=now, state=Job.State.RUNNING, started_at=now)
    Job.objects.create(task=VIDEO, queue="video", state=Job.State.FAILED, **hour_ago)
    Job.objects.create(
        task=VIDEO, queue="video", state=Job.State.FAILED, **hour_ago | {"finished_at": now - timedelta(days=2)}
    )
    Pause.objects.create(kind=Pause.Kind.QUEUE, name="imports", paused_by="stella")
    for practice, ok in zip(PRACTICES, (True, False, None), strict=False):
        PracticeState.objects.create(number=practice.number, ok=ok, since=now, measured_at=now)
    another_release = {"number": len(PRACTICES) + 1, "measured_at": now - timedelta(days=1)}
    PracticeState.objects.create(since=now, **another_release)
    with locks.exclusive("beat", lease=10), locks.exclusive("transcode 1", lease=10):
        values = scrape(prometheus)
    found = {state: values[f'mediaapp_jobs{{state="{state}"}}'] for state in ("needs_mapping", "queued", "running")}
    assert found == {"needs_mapping": 2, "queued": 1, "running": 1}
    assert values['mediaapp_jobs_ended_last_day{state="failed"}'] == 1
    assert values['mediaapp_queue_oldest_seconds{queue="video"}'] >= 90
    assert values['mediaapp_queue_target_seconds{queue="video"}'] == table().queues["video"].target_seconds
    assert values['mediaapp_queue_paused{queue="imports"}'] == 1
    assert values['mediaapp_queue_paused{queue="video"}'] == 0
    assert values['mediaapp_practice_holds{practice="1-broker-memory"}'] == 1
    assert values['mediaapp_practice_holds{practice="2-locks"}'] == 0
    assert math.isnan(values['mediaapp_practice_holds{practice="3-separate-queues"}'])
    assert values["mediaapp_monitor_round_timestamp_seconds"] == pytest.approx(now.timestamp())
    assert (values["mediaapp_locks_held"], values["mediaapp_beat_leads"]) == (2, 1)


def test_a_histogram_counts_what_was_at_most_its_bound(prometheus, db):
    buckets = {"0.02": 3, "10.0": 2, "15.0": 4, "inf": 1}  # 15 s was a target once
    TaskTotal.objects.create(task="workers.default.tasks.send_password_reset", queue="urgent", wait_buckets=buckets)
    values = scrape(prometheus)
    bucket = 'mediaapp_task_wait_seconds_bucket{{le="{}",queue="urgent"}}'
    found = [values[bucket.format(bound)] for bound in ("0.005", "0.02", "5.0", "10.0", "30.0", "7200.0", "+Inf")]
    assert found == [0, 3, 3, 5, 9, 9, 10]
    assert values['mediaapp_task_waits_within_target_total{queue="urgent"}'] == 5


def test_a_canary_hides_no_late_queue(prometheus, db):
    """Nobody waits for it: the alerts divide the waits within the target by all waits."""
    TaskTotal.objects.create(task=VIDEO, queue="video", wait_buckets={"7200.0": 1}, wait_seconds=4000)
    canary = {"task": table().canary_task, "queue": "video", "outcomes": {"succeeded": 99}}
    TaskTotal.objects.create(**canary, wait_buckets={"0.02": 99}, wait_seconds=1)
    values = scrape(prometheus)
    assert values['mediaapp_task_wait_seconds_count{queue="video"}'] == 1
    assert values['mediaapp_task_wait_seconds_sum{queue="video"}'] == 4000
    assert values['mediaapp_task_waits_within_target_total{queue="video"}'] == 0


def test_a_task_that_is_in_the_table_no_more_is_not_shown(prometheus, db):
    TaskTotal.objects.create(task="workers.default.tasks.of_an_old_release", queue="default", outcomes={"failed": 1})
    TaskTotal.objects.create(task=SWEEP, queue="of an old release", outcomes={"failed": 1})
    assert [series for series in scrape(prometheus) if "old_release" in series.replace(" ", "_")] == []


def test_the_client_chooses_the_format(prometheus, db):
    plain = prometheus.get("/metrics", headers={"accept": "text/plain"})
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    openmetrics = prometheus.get("/metrics", headers={"accept": OPENMETRICS})
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(openmetrics.content.decode())} == families()


def test_the_names_need_no_escaping(db):
    """Of no scheme: show_metrics takes the quickest one."""
    names = {
        name for family in Scrape().collect() for sample in family.samples for name in (sample.name, *sample.labels)
    }
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []


def families() -> set[str]:
    return {family.name for family in Scrape().collect()}


def test_only_the_token_and_staff_see_it(client, settings, as_alice, as_stella):
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers=AUTHORIZATION).status_code == 200
    assert as_stella.get("/metrics").status_code == 200
    wrong = {"Authorization": f"Bearer {TOKEN}x"}
    assert [each.get("/metrics", headers=wrong).status_code for each in (client, as_alice)] == [404, 404]
    assert [each.get("/metrics").status_code for each in (client, as_alice)] == [404, 404]
    assert client.post("/metrics", headers=AUTHORIZATION).status_code in (403, 405)


@pytest.fixture
def site(transactional_db, settings, tmp_path) -> Iterator[Visitor]:
    """Prometheus at a web process."""
    settings.METRICS_TOKEN = TOKEN
    with serving(tmp_path, WEB_CONCURRENCY="1", METRICS_TOKEN=TOKEN) as web:
        yield Visitor(web.port)


def scrape_site(site: Visitor) -> Values:
    answer = site.request("GET", "/metrics", headers=AUTHORIZATION)
    assert answer.status == 200
    return parse(answer.data.decode())


def test_each_web_process_tells_the_same_and_answers_without_any_server(site, prometheus):
    totals = {"outcomes": {"succeeded": 7}, "run_buckets": {"0.1": 7}, "run_seconds": 0.5}
    TaskTotal.objects.create(task=SWEEP, queue="default", **totals)
    here, there = scrape(prometheus), scrape_site(site)
    assert lasting(here) == lasting(there)
    assert here[f'mediaapp_task_runs_total{{outcome="succeeded",queue="default",task="{SWEEP}"}}'] == 7
    with ExitStack() as silent:
        for name in ("postgres", "cache", "broker"):  # the broker's server has the locks too
            silent.enter_context(suspended(running_server(name)))
        values = scrape_site(site)
    assert errors(values) == {"database": 1, "broker": 1, "locks": 1}


def lasting(values: Values) -> Values:
    return {series: value for series, value in values.items() if not series.startswith(FLEETING)}


def errors(values: Values) -> dict[str, float]:
    found = {re.search('source="(.*)"', series): value for series, value in values.items() if "scrape_errors" in series}
    return {source[1]: value for source, value in found.items() if source}


def test_without_the_database_the_rest_is_shown(prometheus, transactional_db):
    with unreachable_database("127.0.0.1:1"):
        values = scrape(prometheus)
    assert errors(values) == {"database": 1, "broker": 0, "locks": 0}
    assert "mediaapp_locks_held" in values
    assert "mediaapp_broker_memory_bytes" in values
    assert 'mediaapp_jobs{state="queued"}' not in values


def test_without_the_broker_the_rest_is_shown(prometheus, db, settings):
    settings.BROKER_URL = UNREACHABLE_URL
    values = scrape(prometheus)
    assert errors(values) == {"database": 0, "broker": 1, "locks": 0}
    assert 'mediaapp_jobs{state="queued"}' in values
    assert 'mediaapp_queue_messages_ready{queue="video"}' not in values


def test_without_the_server_of_the_locks_the_rest_is_shown(prometheus, db, settings):
    make_unreachable(settings, "locks")
    values = scrape(prometheus)
    assert errors(values) == {"database": 0, "broker": 0, "locks": 1}
    assert "mediaapp_broker_memory_bytes" in values
    assert "mediaapp_locks_held" not in values


def test_the_chapter_explains_each_metric_as_the_scrape_does(db):
    chapter = (ROOT / "docs" / "metrics.md").read_text()
    assert re.findall(r"^\| `mediaapp_.*$", chapter, re.MULTILINE) == [explain(each) for each in Scrape().collect()]


def explain(family: Metric) -> str:
    """Its row in the chapter's table."""
    name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
    labels = family._labelnames or [label for sample in family.samples for label in sample.labels]
    return f"| `{name}` | {family.type} | {', '.join(labels)} | {family.documentation} |"
