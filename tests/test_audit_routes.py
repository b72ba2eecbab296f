"""Which queue a task's message goes to, in each form of Celery's routes that the audit reads."""

import re

import pytest
from kombu import Queue

from tests.audited_projects import Facts, project_of
from workers.audit.report import audit
from workers.audit.routes import queue_of


@pytest.mark.parametrize(
    "routes",
    [
        {"shop.film": {"queue": "films"}},
        {"shop.film": "films"},
        {"shop.f*": {"queue": Queue("films")}},
        ([(re.compile(r"shop\.(film|reel)"), {"queue": "films"})],),
        [{"other": "mails"}, lambda name, *_, **__: "films" if name == "shop.film" else None],
        "tests.test_audit_routes.route_by_name",
    ],
    ids=["dict", "text", "glob", "regex", "function", "dotted path"],
)
def test_each_form_of_task_routes_is_read(tmp_path, routes):
    app = project_of(Facts("", {"task_routes": routes}, {"shop.film": {}, "shop.mail": {}}), tmp_path).app
    assert (queue_of(app, "shop.film"), queue_of(app, "shop.mail")) == ("films", "celery")


def route_by_name(name, args, kwargs, options, task=None, **_):
    return {"queue": "films"} if name.endswith("film") else None


@pytest.mark.parametrize(
    "route",
    [
        lambda name, args, *_, **__: {"queue": args[0]},
        lambda name, *_, **options: options["task"],
        {"shop.film": {"exchange": "films", "routing_key": "film"}},
        "shop.gone.router",
    ],
    ids=["arguments", "options", "exchange", "missing"],
)
def test_a_queue_that_the_message_decides_is_unknown(tmp_path, route):
    project = project_of(Facts("", {"task_routes": route}, {"shop.film": {}}), tmp_path)
    assert queue_of(project.app, "shop.film") is None
    assert ("practices.E302", False) in {(each.rule, each.is_known) for each in audit(project)}


def test_the_options_of_a_task_and_of_an_entry_win_over_its_route(tmp_path):
    app = project_of(Facts("", {"task_routes": {"*": "routed"}}, {"film": {"queue": "own"}, "mail": {}}), tmp_path).app
    assert (queue_of(app, "film"), queue_of(app, "mail")) == ("own", "routed")
    assert queue_of(app, "film", {"queue": "entry"}) == "entry"
