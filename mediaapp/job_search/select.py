"""Selects jobs for a retry or cancel of many, and starts the job that does it (workers/jobs/bulk.py)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.template.defaultfilters import pluralize
from django.utils import timezone

from mediaapp.job_search import find
from mediaapp.job_search.conditions import read_conditions
from mediaapp.job_search.query import Query
from mediaapp.models import Upload
from mediaapp.operations import action_log
from mediaapp.operations.staff_jobs import CHANGE_TASK
from mediaapp.permissions import AuthenticatedRequest
from workers import jobs
from workers.models import Job

MAX_SELECTED = 100_000  # of one action
MAX_MILLISECONDS = 15_000  # to write so many rows: a busy machine with two cores takes 5 s
STATES = {"retry": jobs.RETRYABLE, "cancel": jobs.CANCELLABLE}
INSERT = """
    INSERT INTO workers_selectedjob (action_id, job_id)
    SELECT %s, id FROM workers_job WHERE id IN ({}) ORDER BY queued_at"""


@dataclass(frozen=True)
class Selection:
    """counts, queues: of the jobs that can be changed, by state and by queue.

    without_file, unconfirmed: of those that are left out.
    """

    counts: dict[str, int]
    queues: dict[str, int]
    without_file: int = 0
    unconfirmed: int = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def left_out(self) -> int:
        return self.without_file + self.unconfirmed

    @property
    def has_more(self) -> bool:
        return self.total >= MAX_SELECTED


class NothingSelectedError(Exception):
    """No job matches that can be changed."""


def preview(change: str, query: Query, ids: Collection[UUID]) -> Selection:
    """What start_change() would select now. Raises TooSlowError."""
    with find.limited(find.MAX_MILLISECONDS):
        found = candidates(change, query, ids)
        counted = eligible(change, found).order_by().values_list("state", "queue").annotate(count=Count("pk"))
        counts: dict[str, int] = {}
        queues: dict[str, int] = {}
        for state, queue, count in counted:
            counts[state] = counts.get(state, 0) + count
            queues[queue] = queues.get(queue, 0) + count
        if change == "cancel":
            return Selection(counts, queues)
        return Selection(counts, queues, found.filter(HAS_NO_FILE).count(), found.filter(IS_UNCONFIRMED).count())


def changes_of(states: Collection[str]) -> list[str]:
    """What the staff can do with jobs of these states."""
    return [change for change, changeable in STATES.items() if not {*changeable}.isdisjoint(states)]


def start_change(request: AuthenticatedRequest, change: str, query: Query, ids: Collection[UUID], words: str) -> Job:
    """The new job of the staff: in one transaction with its selection and its entry in the action log.

    Raises NothingSelectedError, TooSlowError.
    """
    with find.limited(MAX_MILLISECONDS):
        arguments = {"change": change, "filter": words, "selected_at": timezone.now().isoformat()}
        action = jobs.create(CHANGE_TASK, owner_id=request.user.pk, arguments=arguments)
        count = insert_selection(action, eligible(change, candidates(change, query, ids)))
        if not count:
            raise NothingSelectedError
        action.arguments["count"] = count
        action.save(update_fields=["arguments"])
        action_log.record(request, f"{change}_jobs", str(action.pk), f"{count} job{pluralize(count)}: {words}")
    return action


def insert_selection(action: Job, selected: QuerySet[Job]) -> int:
    try:
        sql, values = selected.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # such as jobs of no owner
        return 0
    with connection.cursor() as cursor:
        cursor.execute(INSERT.format(sql), [action.pk, *values])
        return int(cursor.rowcount)


def candidates(change: str, query: Query, ids: Collection[UUID]) -> QuerySet[Job]:
    """Of the jobs that the change is for, the newest MAX_SELECTED that match. ids: these alone, whatever the query.

    What its owner cancelled is tried again only if it is chosen itself, or the query says state:cancelled.
    """
    changeable = Job.objects.filter(state__in=STATES[change]).exclude(task=CHANGE_TASK)
    if ids:
        return changeable.filter(pk__in=ids)
    is_for_failed = change == "retry" and ("state", Job.State.CANCELLED) not in query.values
    states = (Job.State.FAILED,) if is_for_failed else STATES[change]
    found = find.in_order(read_conditions(query).all).filter(state__in=states)
    return changeable.filter(pk__in=found.values("pk")[:MAX_SELECTED])


def eligible(change: str, found: QuerySet[Job]) -> QuerySet[Job]:
    return found.exclude(HAS_NO_FILE | IS_UNCONFIRMED) if change == "retry" else found


def _upload(**conditions: Any) -> Q:
    return Q(Exists(Upload.objects.filter(job=OuterRef("pk"), **conditions)))


HAS_NO_FILE = _upload(source_deleted_at__isnull=False)
# Cancelled before its owner said how to read the file: a retry would not know it.
IS_UNCONFIRMED = _upload(source_deleted_at=None, kind=Upload.Kind.CSV, job__arguments__dialect=None)
