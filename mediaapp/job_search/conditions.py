"""What a search means, as conditions on jobs.

An ordered index has the newest jobs of a state, a queue, a task or one owner, in their order. A text has none: it is in
an index of trigrams, which knows no order.
"""

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import NamedTuple

from django.db.models import Q, QuerySet

from mediaapp.job_search.query import FINGERPRINT, ID_PREFIX, Query, id_range
from mediaapp.models import User
from workers.models import Job
from workers.queues import table

MAX_OWNERS = 100  # of one word, as a list of ids


# Any of them is true for a job that has the text. Each can be searched by an index of its own.
Text = list[Q]


class Conditions(NamedTuple):
    """times, ordered: of jobs with their `changed_at`. texts: the longest first, probably that of the fewest jobs."""

    times: list[Q]
    ordered: list[Q]
    texts: list[Text]

    @property
    def all(self) -> list[Q]:
        return [*self.times, *self.ordered, *map(any_of, self.texts)]


def read_conditions(query: Query) -> Conditions:
    times, ordered, texts = [], [], []
    if query.since:
        times.append(Q(changed_at__gte=query.since))
    if query.before:
        times.append(Q(changed_at__lt=query.before))
    for name, value in sorted([*query.values, *(("", word) for word in query.words)], key=lambda term: -len(term[1])):
        if name in ORDERED:
            ordered.append(ORDERED[name](value))
        elif name == "owner" and (owner := single_owner(value)):
            ordered.append(Q(owner=owner))
        elif name == "error" and FINGERPRINT.fullmatch(value):
            ordered.append(has_error(value))
        else:
            texts.append(ways_to_match(name, value))
            ordered += [Q(state=Job.State.FAILED)] if name == "error" else []
    return Conditions(times, ordered, texts)


def ways_to_match(name: str, value: str) -> Text:
    if name == "owner":
        return [of_owner(value)]
    if name == "file":
        return [of_file(value)]
    if name == "error":
        return [has_error(value)]
    ways = [of_owner(value), of_file(value), has_error(value), has_task(value)]
    return [*ways, has_id(value)] if ID_PREFIX.fullmatch(value) else ways


def any_of(text: Text) -> Q:
    return reduce(or_, text)


def of_file(text: str) -> Q:
    return Q(upload__name__icontains=text)


def single_owner(text: str) -> int | None:
    """The user of exactly this name or address, or the only one in whose name or address the text is."""
    exact = User.objects.filter(Q(username=text) | Q(email__iexact=text)).values_list("pk", flat=True).first()
    if exact:
        return exact
    ids = list(owners_like(text).values_list("pk", flat=True)[:2])
    return ids[0] if len(ids) == 1 else None


def of_owner(text: str) -> Q:
    named = owners_like(text)
    ids = list(named.values_list("pk", flat=True)[: MAX_OWNERS + 1])
    return Q(owner__in=ids) if len(ids) <= MAX_OWNERS else Q(owner__in=named.values("pk"))


def owners_like(text: str) -> QuerySet[User]:
    return User.objects.filter(Q(username__icontains=text) | Q(email__icontains=text)).order_by()


def has_error(text: str) -> Q:
    same = Q(error_fingerprint=text) if FINGERPRINT.fullmatch(text) else Q(error__icontains=text)
    return Q(same, state=Job.State.FAILED)


def has_id(prefix: str) -> Q:
    return Q(pk__range=id_range(prefix))


def has_task(text: str) -> Q:
    return Q(task__in=[task for task in table().routes if text.lower() in task.lower()])


ORDERED: dict[str, Callable[[str], Q]] = {
    "id": has_id,
    "task": has_task,
    "queue": lambda name: Q(queue=name),
    "state": lambda state: Q(state=state),
}
