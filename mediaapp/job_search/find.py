"""Finds jobs, newest first, in bounded time however many there are (docs/job-search.md has the measured times).

Without a text, an index has the jobs in their order. With one, the newest WINDOW jobs are looked through: a common text
fills a page there. A rare text is looked up by its trigrams. Where all texts are common and seldom in one job, the page
is partial and says so: the next one looks further.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from psycopg.errors import QueryCanceled

from mediaapp.job_search.conditions import Text, read_conditions
from mediaapp.job_search.query import Query
from workers.models import LAST_CHANGE, Job

PER_PAGE, MAX_GROUPS = 50, 50
WINDOW = 2_000
MAX_RARE = 2_000  # jobs of a text that is looked up
MAX_LOOKED_UP, LOOK_UP_MILLISECONDS = 2, 30  # texts, and how long a query for each may take
MAX_COUNTED = 1_000
COUNT_MILLISECONDS = 30  # a count that takes longer is not shown
MAX_MILLISECONDS = 3_000  # of one query: it must not hold up the database
Position = tuple[datetime, UUID]
SET = "SELECT set_config(%s, %s, true)"
GROUPED = ("error_fingerprint", "error", "finished_at")
GROUP = """
    SELECT error_fingerprint, (array_agg(error ORDER BY finished_at DESC))[1], count(*), max(finished_at) AS last
    FROM ({}) AS failed GROUP BY error_fingerprint ORDER BY last DESC LIMIT %s"""


@dataclass(frozen=True)
class Page:
    """older: where the next page begins. count: of all that match; None if it is unknown, at most MAX_COUNTED + 1.

    is_partial: the window held no more, and older jobs may match.
    """

    jobs: list[Job]
    older: Position | None
    count: int | None = None
    is_partial: bool = False


class Group(NamedTuple):
    """Failed jobs with equal errors. error: of the newest. last: when a job last failed so."""

    error_fingerprint: str
    error: str
    jobs: int
    last: datetime


class TooSlowError(Exception):
    """The search took longer than its limit."""


def find_page(query: Query, after: Position | None = None) -> Page:
    """Raises TooSlowError."""
    conditions = read_conditions(query)
    # Else it may take a common text for a rare one, and fetch all jobs that have it.
    with limited(MAX_MILLISECONDS), planning(bitmapscan=False):
        ordered = in_order([*conditions.times, *conditions.ordered], after)
        if not conditions.texts:
            return page_of(ordered[: PER_PAGE + 1])
        end = ordered.values_list("changed_at", "pk")[WINDOW - 1 : WINDOW].first()
        found = in_order(conditions.all, after)
        page = page_of((found.filter(changed_at__gte=end[0]) if end else found)[: PER_PAGE + 1])
        if page.older or end is None:  # the page is full, or the window has all jobs
            return page
        rare = next((ids for text in conditions.texts[:MAX_LOOKED_UP] if (ids := rare_ids(text)) is not None), None)
        if rare is None:
            return replace(page, older=end, is_partial=True)
        positions = sorted(found.filter(pk__in=rare).order_by().values_list("changed_at", "pk"), reverse=True)
        page = page_of(in_order([]).filter(pk__in=[pk for _, pk in positions[: PER_PAGE + 1]]))
        return replace(page, count=len(positions))


def in_order(conditions: Sequence[Q], after: Position | None = None) -> QuerySet[Any]:
    """Jobs with their `changed_at`, the newest first."""
    found = Job.objects.annotate(changed_at=LAST_CHANGE).filter(*conditions).order_by("-changed_at", "-pk")
    if after:
        moment, pk = after
        found = found.filter(Q(changed_at__lt=moment) | Q(pk__lt=pk), changed_at__lte=moment)
    return found


def page_of(found: QuerySet[Any]) -> Page:
    """found: one more than a page has, if there are more."""
    jobs = list(found.select_related("owner", "upload").defer("arguments", "checkpoint", "result", "detail"))
    if len(jobs) <= PER_PAGE:
        return Page(jobs, None, len(jobs))
    return Page(jobs[:PER_PAGE], (jobs[PER_PAGE - 1].changed_at, jobs[PER_PAGE - 1].pk))


def rare_ids(text: Text) -> list[UUID] | None:
    """The jobs that have the text. None if they are more than MAX_RARE, or if it takes long to tell."""
    found: set[UUID] = set()
    try:
        # Else PostgreSQL may take a rare text for a common one, and look through all jobs.
        with limited(LOOK_UP_MILLISECONDS), planning(seqscan=False, indexscan=False, bitmapscan=True):
            for way in text:
                found.update(Job.objects.filter(way).values_list("pk", flat=True)[: MAX_RARE + 1])
                if len(found) > MAX_RARE:
                    break
    except TooSlowError:
        return None
    return list(found) if len(found) <= MAX_RARE else None


def count_jobs(query: Query) -> int | None:
    """MAX_COUNTED + 1 stands for all more. None if it would take too long, or the query has a text."""
    conditions = read_conditions(query)
    if conditions.texts:
        return None
    try:
        with limited(COUNT_MILLISECONDS):
            return in_order(conditions.all)[: MAX_COUNTED + 1].count()
    except TooSlowError:
        return None


def group_failures(query: Query) -> list[Group]:
    """Of the newest WINDOW failures, those that match, by fingerprint. Raises TooSlowError."""
    conditions, failed = read_conditions(query), Q(state=Job.State.FAILED)
    with limited(MAX_MILLISECONDS), planning(bitmapscan=False), connection.cursor() as cursor:
        newest = in_order([failed, *conditions.times]).values_list("changed_at", flat=True)
        end = newest[WINDOW - 1 : WINDOW].first()
        found = in_order([failed, *conditions.all]).exclude(error_fingerprint="").order_by()
        try:
            grouped = (found.filter(changed_at__gte=end) if end else found).values(*GROUPED)
            sql, values = grouped.query.sql_with_params()
        except EmptyResultSet:
            return []
        cursor.execute(GROUP.format(sql), [*values, MAX_GROUPS])
        return [Group(*row) for row in cursor.fetchall()]


@contextmanager
def limited(milliseconds: int) -> Iterator[None]:
    """Raises TooSlowError when a query takes longer."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            (outer,) = cursor.fetchone()
            cursor.execute(SET, ["statement_timeout", f"{milliseconds}ms"])
            yield
            cursor.execute(SET, ["statement_timeout", outer])
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlowError from error
        raise


@contextmanager
def planning(**scans: bool) -> Iterator[None]:
    """Which kinds of scans PostgreSQL may plan for the block."""
    names = [f"enable_{name}" for name in scans]
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(["current_setting(%s)"] * len(names)), names)
        outer = cursor.fetchone()
        for name, value in zip(names, scans.values(), strict=True):
            cursor.execute(SET, [name, "on" if value else "off"])
        yield
        for name, value in zip(names, outer, strict=True):
            cursor.execute(SET, [name, value])
