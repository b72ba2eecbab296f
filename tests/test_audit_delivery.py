"""The audit of acknowledgement, of who waits for whom, and what it takes for decided or unknown."""

import pytest
from kombu import Queue

from tests.test_audit_project import GOOD_LINE, found, messages, unknown


def test_late_acknowledgement_is_asked_of_what_it_would_keep(tmp_path):
    """Not of a task that decided otherwise, nor of one that dies with its worker. Then the other message is left."""
    decided = {"tick": {}, "charge": {"acks_late": False}}
    assert found(messages(tmp_path, tasks=decided)) == {}
    threads = GOOD_LINE.replace("-c 4", "-c 4 -P threads")
    assert found(messages(tmp_path, task_reject_on_worker_lost=None, line=threads)) == {}


def test_a_key_that_another_run_did_not_add_may_be_deleted(tmp_path):
    tasks = {"tick": {"body": "if cache.add('a', 1, 9): cache.delete('b')"}}
    assert found(messages(tmp_path, tasks=tasks)) == {}


@pytest.mark.parametrize(
    ("limit", "arguments", "is_unknown"),
    [(1800, {}, True), (1700, {}, False), (1800, {"x-consumer-timeout": 3_600_000}, False)],
)
def test_the_timeout_of_rabbitmqs_consumers_is_unknown(tmp_path, limit, arguments, is_unknown):
    conf = {"broker_url": "amqp://", "task_queues": [Queue("celery", queue_arguments=arguments)]}
    said = messages(tmp_path, task_time_limit=limit, **conf)
    assert ("E304" in unknown(said)) == is_unknown


def test_a_name_that_no_code_has_is_said_once(tmp_path):
    schedule = {"gone": {"task": "gone", "schedule": 30.0, "options": {"expires": 20}}}
    said = messages(tmp_path, tasks={"film": {"time_limit": 900}}, beat_schedule=schedule)
    assert [message.rule for message in said if "gone" in message.fault] == ["practices.E302"]


def test_several_tasks_wait_and_one_waits(tmp_path):
    tasks = {"tick": {}, "tock": {}, "film": {"time_limit": 900}}
    assert "tick, tock wait behind film" in found(messages(tmp_path, tasks=tasks))["AUD301"][0]


@pytest.mark.parametrize(("is_late", "multiplier", "is_unknown"), [(False, 1, True), (True, 1, False), (True, 4, True)])
def test_whether_a_message_waits_behind_a_task_without_a_limit_is_unknown(tmp_path, is_late, multiplier, is_unknown):
    """Behind one that is acknowledged late, by a worker that takes no message beforehand, none waits."""
    conf = {"task_time_limit": None, "task_acks_late": is_late, "worker_prefetch_multiplier": multiplier}
    said = messages(tmp_path, **conf)
    assert ("E305" in unknown(said)) == is_unknown
    assert "E305" not in found(said)
