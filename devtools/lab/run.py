"""Runs the arms of a lab in rounds, each round in an order of its own."""

import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import redis
from django.conf import settings
from kombu import Connection

from devtools.lab.contract import Arm, Lab, Round
from devtools.lab.result import ArmResult, Measured, Result, describe_machine
from workers.brokers.connection import is_amqp


@dataclass(frozen=True)
class Options:
    """load: of the machine before any server was started. command: how to do the same again."""

    rounds: int
    seed: int
    sizes: Mapping[str, float]
    command: str
    load: float


def run_lab(lab: Lab, options: Options) -> Result:
    """Run each arm `rounds` times. The order of the arms is another one in each round: nobody always comes last."""
    order, began = random.Random(options.seed), time.monotonic()
    found: dict[str, list[Mapping[str, float]]] = {arm.name: [] for arm in lab.arms}
    with lab.setup(options.sizes) as shared:
        for number in range(options.rounds):
            for place, arm in enumerate(order.sample(lab.arms, len(lab.arms))):
                show_progress(lab, arm, number * len(lab.arms) + place, options.rounds, began)
                seed = f"{options.seed} {number}"
                found[arm.name].append(arm.run(Round(number, options.sizes, random.Random(seed), shared)))
    show_progress(lab, None, options.rounds * len(lab.arms), options.rounds, began)
    result = Result(
        lab=lab.number,
        question=lab.question,
        command=options.command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        broker=describe_broker(),
        seed=options.seed,
        rounds=options.rounds,
        sizes=dict(options.sizes),
        stated_seconds=lab.seconds,
        took_seconds=round(time.monotonic() - began, 1),
        machine=describe_machine(options.load),
        figures=list(lab.figures),
        arms=[summarize(lab, arm, found[arm.name]) for arm in lab.arms],
    )
    return replace(result, sentence=result.fill(lab.shows))


def summarize(lab: Lab, arm: Arm, rounds: list[Mapping[str, float]]) -> ArmResult:
    unknown = {name for each in rounds for name in each} - {figure.name for figure in lab.figures}
    if unknown:
        raise ValueError(f"The arm {arm.name!r} measures {sorted(unknown)}, which the lab does not declare.")
    figures = {
        figure.name: Measured.of([float(each[figure.name]) for each in rounds])
        for figure in lab.figures
        if figure.name in rounds[0]
    }
    return ArmResult(arm.name, arm.is_right, lab.compared_with(arm), figures, arm.in_chart)


def faults_of(lab: Lab, result: Result) -> list[str]:
    """The wrong arms that do not do worse than their right ones, in words. Empty if the run shows the effect."""
    figure, faults = lab.figures[0], []
    for arm in result.arms:
        if arm.is_right is not False:
            continue
        mine, best = (each.figures[figure.name].median for each in (arm, result.arm(arm.versus)))
        is_worse = mine > best * lab.at_least if figure.lower_is_better else mine * lab.at_least < best
        if not is_worse:
            faults.append(
                f"{arm.name}: {figure.name} {figure.format(mine)}, and {arm.versus}: {figure.format(best)}. "
                f"It should be more than {lab.at_least:g} times worse."
            )
    return faults


def show_progress(lab: Lab, arm: Arm | None, done: int, rounds: int, began: float) -> None:
    """On stderr: one line that changes, where that is a terminal."""
    total, passed = rounds * len(lab.arms), time.monotonic() - began
    doing = f"round {done // len(lab.arms) + 1} of {rounds}: {arm.name}" if arm else "done"
    about = lab.seconds * rounds / lab.rounds
    line = f"[{done:>2}/{total}] {passed:>4.0f} s of about {about:.0f} s  {doing}"
    is_terminal = sys.stderr.isatty()
    start, end = ("\r\033[K", "" if arm else "\n") if is_terminal else ("", "\n")
    print(f"{start}{line}", end=end, file=sys.stderr, flush=True)


def describe_broker() -> str:
    """Its name and version."""
    if is_amqp():
        with Connection(settings.BROKER_URL) as connection:
            connection.connect()
            properties: dict[str, Any] = connection.connection.server_properties
            return f"RabbitMQ {properties['version']}"
    with redis.from_url(settings.BROKER_URL) as client:
        info = client.info("server")
        return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
