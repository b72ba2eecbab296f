"""Staff read what the tasks need and the servers allow."""

import pytest
from django.utils import timezone
from django.utils.html import strip_tags

from workers.capacity.run_memory import MB
from workers.models import TaskHour

pytestmark = pytest.mark.django_db(transaction=True)


def test_capacity_has_the_memory_the_connections_and_the_storage(as_stella):
    hour = {"hour": timezone.now(), "outcomes": {}, "runs": 1, "peak_p95": 90 * MB}
    TaskHour.objects.create(task="workers.default.tasks.sweep_jobs", queue="default", **hour)
    text = " ".join(strip_tags(as_stella.get("/operations/capacity/").content.decode()).split())
    assert "The default worker: 460.0 MB in all, a standard-1x is enough" in text
    assert "sweep_jobs 90.0 MB 231.0 MB" in text
    assert "What all processes open at most" in text
    assert "Storage of files Answers" in text
