"""`manage.py budget`: what the formation costs and what it achieves. docs/budget.md explains the figures."""

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

BILL_LINE = "  {:<30}{:>6}  {:<16}{:>10}"
QUEUE_LINE = "  {:<9}{:>8}{:>10}{:>14}{:>11}{:>10}{:>12}{:>9}{:>9}"
SCENARIO_LINE = "  {:>7}{:>9}{:>8}{:>12}{:>12}{:>10}"
HOUR_SECONDS = 3600


class Command(BaseCommand):
    help = "Print the bill, last week's waits against their targets, and the effect of one dyno more or less."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON. A wait that grows without end is null.")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            prices, bill, histories, views = price_list(), bill_items(), queue_histories(), outlooks()
        except InvalidFormation as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database did not answer: {error}") from error
        if options["json"]:
            self.stdout.write(as_json(prices, bill, histories, views))
            return
        for lines in (bill_lines(prices, bill), history_lines(histories), outlook_lines(views)):
            self.stdout.write("\n".join(lines) + "\n\n")


def bill_lines(prices: PriceList, bill: list[BillItem]) -> Iterator[str]:
    yield f"The bill, {prices.currency} a month ({LIST}, read on {prices.read}: check before you believe it)"
    for item in bill:
        cost = "not listed" if item.cost is None else f"{item.cost:,.0f}"
        yield BILL_LINE.format(item.name, item.quantity, item.size, cost)
    missing = sum(item.cost is None for item in bill)
    note = f"  without {missing} whose price the list does not know" if missing else ""
    yield BILL_LINE.format("in all", "", "", f"{sum(item.cost or 0 for item in bill):,.0f}") + note


def history_lines(histories: list[QueueHistory]) -> Iterator[str]:
    yield "The last 7 days, or since the first run (the busiest hour counts by the clock; varies: standard deviation)"
    yield QUEUE_LINE.format(
        "queue", "runs", "a minute", "busiest hour", "mean run", "varies", "p95 wait", "target", "met"
    )
    for history in histories:
        if not history.is_known:
            yield f"  {history.queue.name:<9}{history.runs:>8}  too few to say anything: {MIN_RUNS} are needed"
            continue
        rates = (f"{history.arrivals_per_minute:.3g}", f"{history.busiest_per_minute:.3g}")
        times = (history.mean_run_seconds, history.run_deviation_seconds, history.wait_p95_seconds)
        target, met = f"{history.queue.target_seconds} s", f"{100 * history.share_in_target:.1f} %"
        yield QUEUE_LINE.format(
            history.queue.name, f"{history.runs:,}", *rates, *map(format_seconds, times), target, met
        )
        if history.requeued:
            yield f"{'':<19}{history.requeued:,} more were requeued and waited again: not in these waits"
    if not histories:
        yield "  nothing ran: are beat and the default worker up?"


def outlook_lines(views: list[Outlook]) -> Iterator[str]:
    yield "One dyno more or less, in the busiest hour of each worker (its queues share one line)"
    for view in views:
        if view.hour is None:
            yield f"{view.worker.name}: fewer than {MIN_RUNS} runs in a week, too few to say anything"
            continue
        hour = view.hour
        mean_run, wait, p95 = map(
            format_seconds, (hour.load.mean_run_seconds, hour.mean_wait_seconds, hour.wait_p95_seconds)
        )
        yield (
            f"{view.worker.name}: {hour.since:%d %B %H:%M} UTC, {hour.runs:,} runs of"
            f" {mean_run} on average; measured: mean wait {wait}, p95 {p95}"
        )
        if hour.is_assumed:
            yield (
                f"  fewer than {MIN_RUNS} runs do not tell how they vary:"
                " arrivals as Poisson's, run times as the week's"
            )
        yield SCENARIO_LINE.format("dynos", "at once", "busy", "mean wait", "p95 wait", "a month")
        yield from (line for scenario in view.scenarios for line in scenario_lines(view, scenario))


def scenario_lines(view: Outlook, scenario: Scenario) -> Iterator[str]:
    dynos = f"{'* ' if scenario.dynos == view.dynos else ''}{scenario.dynos}"
    cost = "not listed" if scenario.cost is None else f"{scenario.cost:+,.0f}" if scenario.cost else "now"
    if scenario.wait is None or view.hour is None:
        names = ", ".join(queue.name for queue in view.worker.queues)
        yield SCENARIO_LINE.format(dynos, scenario.processes, "", "", "", cost) + f"  no consumer of {names}"
        return
    times = (scenario.wait.mean_seconds, scenario.wait.quantile(0.95))
    line = SCENARIO_LINE.format(
        dynos, scenario.processes, f"{100 * scenario.wait.utilization:.0f} %", *map(format_seconds, times), cost
    )
    if math.isinf(scenario.wait.mean_seconds):
        waiting = math.ceil(backlog_after(view.hour.load, scenario.processes, HOUR_SECONDS))
        line += f"  more comes than can be done: {waiting:,} wait after it"
    yield line
    if scenario.serialized_wait:
        queues = [queue for queue in view.worker.queues if queue.serialize_by]
        names, writers = " ".join(queue.name for queue in queues), sum(queue.max_writers for queue in queues)
        times = (scenario.serialized_wait.mean_seconds, scenario.serialized_wait.quantile(0.95))
        line = SCENARIO_LINE.format(
            names, writers, f"{100 * scenario.serialized_wait.utilization:.0f} %", *map(format_seconds, times), ""
        )
        yield f"{line}  at least: no more write into their table at once"


def format_seconds(value: float) -> str:
    return "grows" if math.isinf(value) else f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f} s"


def as_json(prices: PriceList, bill: list[BillItem], histories: list[QueueHistory], views: list[Outlook]) -> str:
    budget = {
        "currency": prices.currency,
        "prices_read": prices.read,
        "bill": [asdict(item) | {"cost": item.cost} for item in bill],
        "queues": [asdict(each) | {"is_known": each.is_known} for each in histories],
        "workers": [asdict(view) for view in views],
    }
    return json.dumps(to_json_values(budget), indent=2)


def to_json_values(value: Any) -> Any:
    """Dates become text, infinite numbers None."""
    if isinstance(value, dict):
        return {name: to_json_values(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_values(each) for each in value]
    if isinstance(value, float) and math.isinf(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
