"""One scrape: asks all sources within SCRAPE_SECONDS, leaves out what cannot be read, and says so."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mediaapp.metrics.from_database import measure_database
from mediaapp.metrics.from_servers import measure_broker, measure_locks, measure_release
from workers.deadline import run_with_deadline

log = logging.getLogger(__name__)

SCRAPE_SECONDS = 1.8
MIN_SECONDS = 0.3  # for the servers, if a silent database has taken the time
Source = Callable[[], Iterator[Metric]]
SERVERS: dict[str, Source] = {"broker": measure_broker, "locks": measure_locks}


class Scrape(Collector):
    """Of a registry that lives for one request."""

    def collect(self) -> Iterator[Metric]:
        """The database first, on the request's own connection: a new one would cost more than the queries."""
        deadline = time.monotonic() + SCRAPE_SECONDS
        answers = {"database": _read(measure_database)}
        questions = {name: partial(_read, source) for name, source in SERVERS.items()}
        seconds = max(deadline - time.monotonic(), MIN_SECONDS)
        answers |= {
            name: ([], answer) if isinstance(answer, Exception) else answer
            for name, answer in run_with_deadline(questions, seconds=seconds).items()
        }
        errors = GaugeMetricFamily(
            "mediaapp_scrape_errors", "1 if the source could not be read: its metrics are absent.", labels=["source"]
        )
        yield from measure_release()
        for name, (families, error) in answers.items():
            yield from families
            errors.add_metric([name], error is not None)
            if error:
                log.warning("metrics_source_failed source=%s error=%r", name, error)
        yield errors


def _read(source: Source) -> tuple[list[Metric], Exception | None]:
    """What came before an error counts."""
    families: list[Metric] = []
    try:
        families.extend(source())
    except Exception as error:  # any error is an answer
        return families, error
    return families, None
