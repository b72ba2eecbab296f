"""The price list: config/prices.toml, the one file to edit. Each line there names its source and how old it is."""

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from django.conf import settings

LIST = "config/prices.toml"
MIB = 1024**2


@dataclass(frozen=True)
class Size:
    """Of a dyno. price: a month. memory: bytes."""

    price: float
    memory: int


@dataclass(frozen=True)
class Plan:
    """Of an add-on. price: a month. connections: at once. None where nobody says."""

    price: float | None = None
    connections: int | None = None


@dataclass(frozen=True)
class PriceList:
    """read: the day on which somebody last looked at the sources. sizes, plans: by their names."""

    currency: str
    read: date
    sizes: dict[str, Size]
    plans: dict[str, Plan]


def price_list() -> PriceList:
    """The file as it is now. Raises tomllib.TOMLDecodeError, KeyError and TypeError for one that was edited badly."""
    given = tomllib.loads(Path(settings.BASE_DIR, LIST).read_text())
    sizes = {name: Size(size["price"], size["memory"] * MIB) for name, size in given["sizes"].items()}
    plans = {name: Plan(**plan) for name, plan in given["plans"].items()}
    return PriceList(given["currency"], given["read"], sizes, plans)
