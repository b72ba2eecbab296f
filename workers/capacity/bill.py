"""What the formation and its add-ons cost a month."""

import json
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from workers.capacity.formation import formation
from workers.capacity.prices import price_list


@dataclass(frozen=True)
class BillItem:
    """size: "" for an add-on. price: of one a month; None if unknown."""

    name: str
    quantity: int
    size: str
    price: float | None

    @property
    def cost(self) -> float | None:
        return None if self.price is None else self.price * self.quantity


def bill_items() -> list[BillItem]:
    """Raises InvalidFormation, and what price_list() does."""
    prices = price_list()
    dynos = [
        BillItem(each.name, each.quantity, each.size, size.price if (size := prices.sizes.get(each.size)) else None)
        for each in formation().values()
    ]
    addons = [BillItem(name, 1, "", plan.price if (plan := prices.plans.get(name)) else None) for name in _addons()]
    return dynos + addons


def _addons() -> list[str]:
    manifest = Path(settings.BASE_DIR, "app.json")
    given = json.loads(manifest.read_text()).get("addons", []) if manifest.exists() else []
    return [addon["plan"] if isinstance(addon, dict) else addon for addon in given]
