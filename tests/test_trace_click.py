"""A click, its publish and its task are one trace, on both brokers. No span is lost with its process."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from celery import current_app
from django.db import IntegrityError, transaction
from django.utils import timezone
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from devtools.processes import stop, wait_until
from devtools.visitor import Visitor
from mediaapp.models import User
from tests import in_subprocess
from tests.collector import Collector, collecting, silence
from tests.web import serving
from workers.models import Job
from workers.tracing import spans
from workers.tracing.sender import BATCH_SPANS, SpanSender
from workers.tracing.tracer import _telemetry, telemetry, trace_id_of

CLICK, EARLIER = "2f6c1d58-5ad5-4c1b-9d6e-6e8c2f3c9a10", "7d0e2c1a-98b7-4e55-8f10-6a1f0b8f7c21"
RESET, SWEEP = "workers.default.tasks.send_password_reset", "workers.default.tasks.sweep_jobs"
FORM = "/accounts/password_reset/"
ALL_RECYCLED = {"CELERY_WORKER_MAX_TASKS_PER_CHILD": "1", "CELERY_WORKER_INCLUDE": "tests.tasks"}
MODULES = (
    "print(sorted({name.partition('.')[0] for name in sys.modules} & {'opentelemetry', 'sentry_sdk', 'requests'}))"
)


def click(email: str, **variables: str) -> None:
    """In a process of the site that ends at once."""
    client = f"Client(headers={{'X-Request-ID': {CLICK!r}, 'traceparent': '00-{'1' * 32}-{'2' * 16}-01'}})"
    code = f"from django.test import Client; print({client}.post({FORM!r}, {{'email': {email!r}}}).status_code)"
    assert in_subprocess.run(code, ALLOWED_HOSTS="testserver", **variables).endswith("302\n")


def trace_of(request_id: str) -> str:
    return f"{trace_id_of(request_id):032x}"


def waiting_reset(user, request_id: str) -> Job:
    """Of an earlier request, for which the broker was away: the sweep is to publish it."""
    fields = {"task": RESET, "queue": "urgent", "arguments": {"user_id": user.pk}, "request_id": request_id}
    return Job.objects.create(**fields, queued_at=timezone.now() - timedelta(minutes=1))


def test_request_publish_and_task_are_one_trace_and_no_span_is_lost_with_its_process(start, broker, alice, tmp_path):
    """Each task's process is recycled, one is killed, and web is stopped."""
    late = waiting_reset(alice, EARLIER)
    with collecting() as (collector, tracing):
        start("default", RELEASE="v7", **tracing, **ALL_RECYCLED)
        send("tests.tasks.be_killed_once")
        with serving(tmp_path, WEB_CONCURRENCY="1", **tracing) as web:
            header = {"X-Request-ID": CLICK, "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
            Visitor(web.port, **header).post(FORM, email=alice.email)
            stop(web.process)
        collector.wait_for(f"POST {FORM}")
        for task, *arguments in ((SWEEP,), ("tests.tasks.fail",), *[("tests.tasks.sleep", 0)] * 3):
            send(task, *arguments)
        collector.wait_for("run tests.tasks.be_killed_once")  # the second delivery
        send("workers.default.tasks.collect_runs")
        collector.wait_for("run tests.tasks.be_killed_once", 2)
        collector.wait_for(f"run {RESET}", 2)
        collector.wait_for("run tests.tasks.sleep", 3)
        collector.wait_for("run tests.tasks.fail")
        collector.wait_for(f"run {SWEEP}")
        collector.wait_for(f"publish {RESET}", 2)
    click_is_one_trace(collector)
    late_publish_is_in_the_trace_of_its_request(collector, late)
    killed_run_has_a_span(collector)
    (failed,) = collector.named("run tests.tasks.fail")
    assert (failed["is_error"], failed["message"]) == (True, "ValueError()")
    assert len(collector.named("run tests.tasks.sleep")) == 3


def send(task: str, *arguments: object) -> None:
    """From this process, which is not traced."""
    current_app.send_task(task, args=arguments, queue="default")


def test_request_publish_and_task_are_one_trace_on_rabbitmq_and_no_span_is_lost_at_a_stop(start, vhost, alice):
    with collecting() as (collector, tracing):
        worker = start("default", BROKER_URL=vhost.url, RELEASE="v7", **tracing)
        click(alice.email, BROKER_URL=vhost.url, RELEASE="v7", **tracing)
        wait_until(lambda: Job.objects.filter(state=Job.State.DONE), "the mail")
        stop(worker)
    click_is_one_trace(collector)


def click_is_one_trace(collector: Collector) -> None:
    trace = trace_of(CLICK)
    (posted,) = collector.named(f"POST {FORM}")
    (published,) = [span for span in collector.named(f"publish {RESET}") if span["trace"] == trace]
    (run,) = [span for span in collector.named(f"run {RESET}") if span["trace"] == trace]
    assert (posted["trace"], posted["parent"], posted["http.response.status_code"]) == (trace, "", 302)
    assert (published["parent"], run["parent"]) == (posted["id"], published["id"])
    assert posted["request.id"] == run["request.id"] == CLICK
    assert posted["start"] <= published["start"] <= run["start"] <= run["end"]
    assert (run["messaging.destination.name"], run["job.attempt"], run["task.outcome"]) == ("urgent", 1, "succeeded")
    assert run["messaging.message.id"] == published["messaging.message.id"]
    assert run["task.waited_seconds"] >= 0
    assert run["resource"]["service.name"] == posted["resource"]["service.name"] == "mediaapp"
    assert run["resource"]["service.version"] == "v7"


def late_publish_is_in_the_trace_of_its_request(collector: Collector, job: Job) -> None:
    (sweep,) = collector.named(f"run {SWEEP}")
    (published,) = [span for span in collector.named(f"publish {RESET}") if span["trace"] == trace_of(EARLIER)]
    (run,) = [span for span in collector.named(f"run {RESET}") if span["trace"] == trace_of(EARLIER)]
    assert (published["parent"], published["links"]) == ("", [sweep["id"]])
    assert (run["parent"], run["messaging.message.id"]) == (published["id"], str(job.pk))
    assert sweep["trace"] != run["trace"]


def killed_run_has_a_span(collector: Collector) -> None:
    """And its second delivery another one."""
    spans = collector.named("run tests.tasks.be_killed_once")
    lost, again = sorted(spans, key=lambda span: span["start"])
    assert (lost["task.outcome"], lost["is_error"], lost["message"]) == ("lost", True, "The process was killed.")
    assert (again["task.outcome"], again["is_error"]) == ("succeeded", False)
    assert lost["messaging.message.id"] == again["messaging.message.id"]
    assert lost["end"] - lost["start"] > 1e9


def test_a_silent_collector_holds_up_no_request_and_no_end_of_a_process(transactional_db, broker, alice):
    """For tasks and processes of the pool: tests/test_report_to_sentry.py."""
    with silence() as tracing:
        click(alice.email, **tracing)


@pytest.mark.parametrize(("count", "delay_seconds"), [(1, 0.01), (BATCH_SPANS, 600)])
def test_spans_are_sent_after_a_time_and_many_at_once(monkeypatch, count, delay_seconds):
    with collecting(delay_seconds) as (collector, tracing):
        sender, tracer = sending(monkeypatch, tracing)
        for _ in range(count):
            tracer.start_span("sent").end()
        collector.wait_for("sent", count)
        sender.close(1)


def sending(monkeypatch, tracing: dict[str, str]) -> tuple[SpanSender, Tracer]:
    for variable in tracing.items():
        monkeypatch.setenv(*variable)
    sender, provider = SpanSender(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(sender)
    return sender, provider.get_tracer("test")


def test_an_end_waits_for_a_silent_collector_for_its_time_only(monkeypatch):
    with silence() as tracing:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        sender, tracer = sending(monkeypatch, tracing)
        tracer.start_span("lost").end()
        sender.close(0.1)
        assert sender._thread.is_alive()
        sender._thread.join()


def test_without_a_collector_and_a_dsn_nothing_of_them_is_imported(db):
    off = f"import sys, config.asgi, config.server, config.celery, workers.jobs; {MODULES}"
    on = f"import workers.tracing.spans, workers.error_reports; {MODULES}"
    assert in_subprocess.run(f"{off}; {on}") == "[]\n['opentelemetry', 'requests', 'sentry_sdk']\n"


@pytest.fixture
def traced(monkeypatch, settings) -> Iterator[Collector]:
    """This process is traced."""
    first, *others = settings.MIDDLEWARE
    settings.MIDDLEWARE = [first, "mediaapp.tracing_middleware.TracingMiddleware", *others]
    with collecting() as (collector, tracing):
        for variable in tracing.items():
            monkeypatch.setenv(*variable)
        _telemetry.cache_clear()
        yield collector
        _telemetry.cache_clear()


def test_a_page_with_a_reset_token_has_its_route_and_no_token(client, db, traced):
    client.get("/accounts/reset/MQ/c0ffee-hunter2/?q=hunter2")
    telemetry().close()
    (span,) = traced.spans
    assert span["name"] == "GET /accounts/reset/<uidb64>/<token>/"
    assert "hunter2" not in repr(span)


@pytest.fixture
def refused(alice) -> IntegrityError:
    """What PostgreSQL says of a second account with the same address."""
    with pytest.raises(IntegrityError, match=r"ALICE@EXAMPLE\.COM") as caught, transaction.atomic():
        User.objects.create(username="other", email=alice.email.upper())
    return caught.value


def test_an_error_of_a_view_is_in_its_span_without_secrets_and_rows(client, traced, monkeypatch, refused):
    secret = ValueError("amqp://app:hunter2@rabbit//")
    client.raise_request_exception = False
    for error in (secret, refused):
        monkeypatch.setattr("mediaapp.views.accounts.SignUpView.get", failing(error))
        client.get("/accounts/signup/")
    telemetry().close()
    first, second = traced.spans
    assert (first["is_error"], first["http.response.status_code"]) == (True, 500)
    assert first["exception.message"] == "ValueError('amqp://app:...@rabbit//')"
    assert "one_account_per_address" in second["exception.message"]
    assert "example" not in (repr(second) + repr(spans.failure(refused))).lower()


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_a_stranger_cannot_compute_which_trace_his_request_gets(settings):
    """The sampler decides by the trace's id: he could have all of his requests sampled."""
    settings.SECRET_KEY = "ours"
    own = trace_id_of(CLICK)
    assert own == trace_id_of(CLICK) != trace_id_of(EARLIER)
    settings.SECRET_KEY = "a guess"
    assert own != trace_id_of(CLICK)


@pytest.mark.parametrize(("sampler", "count"), [("always_off", 0), ("always_on", 1)])
def test_who_samples_nothing_gets_nothing(client, db, traced, monkeypatch, sampler, count):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    client.get("/accounts/login/")
    client.get("/healthz")  # a probe has no span
    telemetry().close()
    assert len(traced.spans) == count
