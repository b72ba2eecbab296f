"""The price list, config/prices.toml."""

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from django.conf import settings

LIST = "config/prices.toml"
MIB = 1024**2


@dataclass(frozen=True)
class Size:
    """price: a month. memory: bytes."""

    price: float
    memory: int


@dataclass(frozen=True)
class Plan:
    """price: a month. None where unknown."""

    price: float | None = None
    connections: int | None = None


@dataclass(frozen=True)
class PriceList:
    """read: the day on which the sources were last checked."""

    currency: str
    read: date
    sizes: dict[str, Size]
    plans: dict[str, Plan]


def price_list() -> PriceList:
    """Raises TOMLDecodeError, KeyError or TypeError for a malformed file."""
    given = tomllib.loads(Path(settings.BASE_DIR, LIST).read_text())
    sizes = {name: Size(size["price"], size["memory"] * MIB) for name, size in given["sizes"].items()}
    plans = {name: Plan(**plan) for name, plan in given["plans"].items()}
    return PriceList(given["currency"], given["read"], sizes, plans)
