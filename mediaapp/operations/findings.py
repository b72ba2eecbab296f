"""The nine practices as the person on call sees them: what holds, since when, and the last 24 hours of each.

The monitor writes its findings into the database (PracticeState). While it does not, pages measure themselves.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from django.db import connection
from django.utils import timezone

from mediaapp.templatetags.time_charts import FORMATS, Series, TimeChart, Values, merge_spans
from workers.alarms.silent_servers import find_silent_server
from workers.alarms.states import oldest_time, read_states
from workers.models import Deploy, PracticeState
from workers.practices import Finding, registry
from workers.practices.registry import Practice

MAX_STATE_AGE = timedelta(seconds=35)  # the monitor measures every 15 s
WINDOW, STEP = timedelta(hours=24), timedelta(minutes=15)  # of a chart, and between two of its points
CHARTS_SECONDS = 30  # a new sample comes once a minute, and each tab of the overview polls every 5 s
SAMPLE_GAP = timedelta(minutes=1)  # between two samples of a practice: each counts for as long
# What users see of a server that is away, by its name in a sentence.
QUEUED = "Uploads are still taken and wait; nothing is lost."
CONSEQUENCES = {
    "RabbitMQ": QUEUED,
    "the broker": QUEUED,
    "the cache": "Progress bars have no percentages; jobs go on.",
    "the server of the locks": "Running jobs end, and no other starts; nothing is lost.",
}
SAMPLES = """
    SELECT number, date_bin(make_interval(secs => %(seconds)s), taken_at, %(begins)s) AS step, max(figure),
        array_agg(taken_at ORDER BY taken_at) FILTER (WHERE ok = false), count(*) FILTER (WHERE ok IS NULL)
    FROM workers_findingsample WHERE number = ANY(%(numbers)s) AND taken_at >= %(begins)s
    GROUP BY number, step ORDER BY step"""


@dataclass(frozen=True)
class Tile:
    """since, measured_at: None unless the monitor has measured. chart: None if the database does not answer."""

    practice: Practice
    finding: Finding
    since: datetime | None = None
    measured_at: datetime | None = None
    chart: TimeChart | None = None

    @property
    def figure(self) -> str:
        figure = self.finding.figure
        return "\u2013" if figure is None else FORMATS[self.practice.unit](figure)

    @property
    def figure_name(self) -> str:
        """In the singular of its first word for a count of one."""
        name = self.practice.figure.partition(", ")[0]
        if self.practice.unit or self.finding.figure != 1:
            return name
        noun, _, rest = name.partition(" ")
        return f"{noun.removesuffix('s')} {rest}"


@dataclass(frozen=True)
class SilentServer:
    """name: as within a sentence. since: None if nobody but this page has measured."""

    name: str
    since: datetime | None

    @property
    def consequence(self) -> str:
        return CONSEQUENCES[self.name]


@dataclass(frozen=True)
class Board:
    """tiles: in the order of the practices. monitor_seen_at: None if the monitor has never measured.

    is_live: measured for this page, because the monitor has stopped.
    """

    tiles: tuple[Tile, ...]
    monitor_seen_at: datetime | None
    is_live: bool

    @property
    def failing(self) -> list[Tile]:
        return [tile for tile in self.tiles if tile.finding.ok is False]

    @property
    def unknown(self) -> list[Tile]:
        return [tile for tile in self.tiles if tile.finding.ok is None]

    @property
    def troubles(self) -> list[Tile]:
        return self.failing + self.unknown

    @property
    def silent_servers(self) -> list[SilentServer]:
        """That the findings name, but for the database, without which nobody sees the page."""
        naming = defaultdict[str, list[datetime | None]](list)
        for tile in self.troubles:
            name = find_silent_server(tile.finding.reason)
            if name in CONSEQUENCES:
                naming[name].append(tile.since if tile.finding.ok is None else None)
        return [SilentServer(name, min(filter(None, naming[name]), default=None)) for name in sorted(naming)]

    @property
    def hold_since(self) -> datetime | None:
        """Of the last that became so."""
        return max((tile.since for tile in self.tiles if tile.since), default=None)

    def with_charts(self, charts: Mapping[int, TimeChart]) -> "Board":
        tiles = tuple(replace(tile, chart=charts.get(tile.practice.number)) for tile in self.tiles)
        return replace(self, tiles=tiles)


def read_board() -> Board:
    """Without charts. Raises DatabaseError."""
    states = read_states()
    seen_at = oldest_time(states)
    if len(states) < len(registry.PRACTICES) or seen_at is None or timezone.now() - seen_at > MAX_STATE_AGE:
        return measure_board(seen_at)
    tiles = tuple(_tile(practice, states[practice.number]) for practice in registry.PRACTICES)
    return Board(tiles, seen_at, is_live=False)


def measure_board(monitor_seen_at: datetime | None) -> Board:
    """Never raises."""
    tiles = tuple(Tile(practice, finding) for practice, finding in registry.finding_cache.read())
    return Board(tiles, monitor_seen_at, is_live=True)


def _tile(practice: Practice, state: PracticeState) -> Tile:
    finding = Finding(state.ok, state.summary, state.reason, state.figure)
    return Tile(practice, finding, state.since, state.measured_at)


def read_charts(practices: Sequence[Practice] = registry.PRACTICES) -> dict[int, TimeChart]:
    """The last 24 hours of each figure, by the practice's number. Raises DatabaseError."""
    ends = timezone.now()
    begins = ends - WINDOW
    numbers = [practice.number for practice in practices]
    highest, failing, unknown = _read_samples(numbers, begins)
    deploys = list(Deploy.objects.filter(began_at__gte=begins).order_by("began_at").values_list("began_at", "release"))
    return {
        practice.number: TimeChart(
            title=practice.figure.removesuffix(", s").removesuffix(", bytes").capitalize(),
            series=[Series("highest of a quarter of an hour", highest[practice.number])],
            begins=begins,
            ends=ends,
            unit=practice.unit,
            deploys=deploys,
            failing=merge_spans(failing[practice.number], SAMPLE_GAP),
            unknown_minutes=unknown[practice.number],
            empty="No sample in 24 hours.",
        )
        for practice in practices
    }


def recent_charts() -> dict[int, TimeChart]:
    """Of all practices, read once in CHARTS_SECONDS by this process. Raises DatabaseError."""
    return charts_of_period(int(time.monotonic() / CHARTS_SECONDS))


@lru_cache(maxsize=1)
def charts_of_period(_number: int) -> dict[int, TimeChart]:
    return read_charts()


def _read_samples(
    numbers: Sequence[int], begins: datetime
) -> tuple[dict[int, Values], dict[int, list[datetime]], dict[int, int]]:
    """By the practice's number: the figures, None for a step without one, what did not hold, and how often unknown."""
    with connection.cursor() as cursor:
        cursor.execute(SAMPLES, {"numbers": list(numbers), "begins": begins, "seconds": STEP.total_seconds()})
        rows = cursor.fetchall()
    figures = {(number, step): figure for number, step, figure, *_ in rows}
    steps = [begins + count * STEP for count in range(WINDOW // STEP)]
    failing: dict[int, list[datetime]] = defaultdict(list)
    unknown: dict[int, int] = defaultdict(int)
    for number, _, _, moments, count in rows:
        failing[number] += moments or ()
        unknown[number] += count
    return {number: [(step, figures.get((number, step))) for step in steps] for number in numbers}, failing, unknown
