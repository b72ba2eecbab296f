from celery import current_app
from django.utils.module_loading import import_string

from workers.practices import backlog

CALLBACKS = current_app.conf.leader_callbacks


def test_beat_samples_the_queues_itself():
    """Beat's leader calls backlog.sample, so that a clogged queue does not stop it."""
    called = [import_string(path) for path in CALLBACKS]
    assert backlog.sample in called, f"The leader calls {', '.join(sorted(CALLBACKS))}."


def test_it_samples_often_enough():
    """It samples at least every minute: the finding wants a sample within 120 s."""
    gaps = [seconds for path, seconds in CALLBACKS.items() if import_string(path) is backlog.sample]
    assert gaps, "It never samples."
    assert max(gaps) <= 60, f"It samples every {max(gaps)} s."
