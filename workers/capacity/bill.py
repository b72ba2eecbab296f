"""What a formation and its add-ons cost a month, by the price list."""

import json
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from workers.capacity.formation import formation
from workers.capacity.prices import price_list


@dataclass(frozen=True)
class BillItem:
    """A line of the bill. size: of a dyno; "" for an add-on. price: of one a month, None where the list has none."""

    name: str
    quantity: int
    size: str
    price: float | None

    @property
    def cost(self) -> float | None:
        """Of all of it a month."""
        return None if self.price is None else self.price * self.quantity


def bill_items() -> list[BillItem]:
    """The process types that run, then the add-ons of app.json. Raises InvalidFormation, and what price_list() does."""
    prices = price_list()
    dynos = [
        BillItem(each.name, each.quantity, each.size, size.price if (size := prices.sizes.get(each.size)) else None)
        for each in formation().values()
    ]
    addons = [BillItem(name, 1, "", plan.price if (plan := prices.plans.get(name)) else None) for name in _addons()]
    return dynos + addons


def _addons() -> list[str]:
    """Plans, such as "heroku-redis:mini"; app.json gives each as a word or as an object."""
    manifest = Path(settings.BASE_DIR, "app.json")
    given = json.loads(manifest.read_text()).get("addons", []) if manifest.exists() else []
    return [addon["plan"] if isinstance(addon, dict) else addon for addon in given]
