"""What the formation costs, which wait targets it met last week, and what one dyno more or less would do."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from workers.capacity.bill import BillItem, bill_items
from workers.capacity.formation import InvalidFormation
from workers.capacity.history import MIN_RUNS, QueueHistory, queue_histories
from workers.capacity.outlook import Outlook, Scenario, outlooks
from workers.capacity.prices import LIST, PriceList, price_list
from workers.capacity.queueing import backlog_after

BILL = "  {:<30}{:>6}  {:<16}{:>10}"
WEEK = "  {:<9}{:>8}{:>10}{:>14}{:>11}{:>10}{:>12}{:>9}{:>9}"
CASE = "  {:>7}{:>9}{:>8}{:>12}{:>12}{:>10}"
HOUR = 3600  # seconds


class Command(BaseCommand):
    help = "Shows the bill, last week's waits against their targets, and what one dyno more or less would do."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="For machines. What grows without end is null.")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            found = price_list(), bill_items(), queue_histories(), outlooks()
        except InvalidFormation as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database did not answer: {error}") from error
        prices, bill, weeks, views = found
        if options["json"]:
            self.stdout.write(as_json(prices, bill, weeks, views))
            return
        for lines in (of_bill(prices, bill), of_weeks(weeks), of_outlooks(views)):
            self.stdout.write("\n".join(lines) + "\n\n")


def of_bill(prices: PriceList, bill: list[BillItem]) -> Iterator[str]:
    """The bill, and what is missing in its sum."""
    yield f"The bill, {prices.currency} a month ({LIST}, read on {prices.read}: check before you believe it)"
    for item in bill:
        cost = "not listed" if item.cost is None else f"{item.cost:,.0f}"
        yield BILL.format(item.name, item.quantity, item.size, cost)
    missing = sum(item.cost is None for item in bill)
    note = f"  without {missing} whose price the list does not know" if missing else ""
    yield BILL.format("in all", "", "", f"{sum(item.cost or 0 for item in bill):,.0f}") + note


def of_weeks(weeks: list[QueueHistory]) -> Iterator[str]:
    """Each queue's last week beside its target."""
    yield "The last 7 days, or since the first run (the busiest hour counts by the clock; varies: standard deviation)"
    yield WEEK.format("queue", "runs", "a minute", "busiest hour", "mean run", "varies", "p95 wait", "target", "met")
    for week in weeks:
        if not week.is_known:
            yield f"  {week.queue.name:<9}{week.runs:>8}  too few to say anything: {MIN_RUNS} are needed"
            continue
        rates = (f"{week.arrivals_per_minute:.3g}", f"{week.busiest_per_minute:.3g}")
        times = (week.mean_run_seconds, week.run_deviation_seconds, week.wait_p95_seconds)
        target, met = f"{week.queue.target_seconds} s", f"{100 * week.share_in_target:.1f} %"
        yield WEEK.format(week.queue.name, f"{week.runs:,}", *rates, *map(seconds, times), target, met)
        if week.requeued:
            yield f"{'':<19}{week.requeued:,} more gave back their place and waited anew: not in these waits"
    if not weeks:
        yield "  nothing ran: are beat and the default worker up?"


def of_outlooks(views: list[Outlook]) -> Iterator[str]:
    yield "One dyno more or less, in the busiest hour of each worker (its queues share one line)"
    for view in views:
        if view.hour is None:
            yield f"{view.worker.name}: fewer than {MIN_RUNS} runs in a week, too few to say anything"
            continue
        hour, load = view.hour, view.hour.load
        yield (
            f"{view.worker.name}: {hour.since:%d %B %H:%M} UTC, {hour.runs:,} runs of"
            f" {seconds(load.mean_run_seconds)} on average;"
            f" measured: mean wait {seconds(hour.mean_wait_seconds)}, p95 {seconds(hour.wait_p95_seconds)}"
        )
        if hour.is_assumed:
            yield (
                f"  fewer than {MIN_RUNS} runs do not tell how they vary:"
                " arrivals as Poisson's, run times as the week's"
            )
        yield CASE.format("dynos", "at once", "busy", "mean wait", "p95 wait", "a month")
        yield from (line for case in view.scenarios for line in of_case(view, case))


def of_case(view: Outlook, case: Scenario) -> Iterator[str]:
    """One line of figures, or of words where there are none; now is marked by a star."""
    dynos = f"{'* ' if case.dynos == view.dynos else ''}{case.dynos}"
    cost = "not listed" if case.cost is None else f"{case.cost:+,.0f}" if case.cost else "now"
    if case.wait is None or view.hour is None:
        names = ", ".join(queue.name for queue in view.worker.queues)
        yield CASE.format(dynos, case.processes, "", "", "", cost) + f"  nobody reads {names}"
        return
    times = (case.wait.mean_seconds, case.wait.quantile(0.95))
    line = CASE.format(dynos, case.processes, f"{100 * case.wait.utilization:.0f} %", *map(seconds, times), cost)
    if math.isinf(case.wait.mean_seconds):
        left = math.ceil(backlog_after(view.hour.load, case.processes, HOUR))
        line += f"  more comes than can be done: {left:,} wait after it"
    yield line
    if case.serialized_wait:
        serialized = " ".join(queue.name for queue in view.worker.queues if queue.serialize_by)
        times = (case.serialized_wait.mean_seconds, case.serialized_wait.quantile(0.95))
        line = CASE.format(serialized, 1, f"{100 * case.serialized_wait.utilization:.0f} %", *map(seconds, times), "")
        yield f"{line}  at least: they go into their table one at a time"


def seconds(value: float) -> str:
    """For people, and a word for what has no end."""
    return "grows" if math.isinf(value) else f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f} s"


def as_json(prices: PriceList, bill: list[BillItem], weeks: list[QueueHistory], views: list[Outlook]) -> str:
    """The same for machines."""
    whole = {
        "currency": prices.currency,
        "prices_read": prices.read,
        "bill": [asdict(item) | {"cost": item.cost} for item in bill],
        "queues": [asdict(week) | {"is_known": week.is_known} for week in weeks],
        "workers": [asdict(view) for view in views],
    }
    return json.dumps(finite(whole), indent=2)


def finite(value: Any) -> Any:
    """The same with what JSON has no word for: dates as text, what has no end as null."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    if isinstance(value, float) and math.isinf(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
