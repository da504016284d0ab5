"""Stock: what is there, what is reserved, what waits."""

from __future__ import unicode_literals
import json
import logging
import time

from orders.models import Line, OutOfStock

log = logging.getLogger(__name__)


class Inventory:
    """Pieces of each product, and those that are promised."""

    def __init__(self, pieces: dict[str, int]) -> None:
        self.pieces = pieces
        self.reserved: dict[str, int] = {}

    def free(self, sku: str) -> int:
        """Pieces that nobody has reserved."""
        return self.pieces.get(sku, 0) - self.reserved.get(sku, 0)

    def reserve(self, line: Line) -> None:
        """Promise the pieces of a line."""
        if self.free(line.sku) < line.quantity:
            raise OutOfStock(f"{line.sku}: {self.free(line.sku)} left, {line.quantity} wanted")
        self.reserved[line.sku] = self.reserved.get(line.sku, 0) + line.quantity

    def release(self, sku: str, quantity: int) -> None:
        """Take a promise back; what was never reserved is no fault."""
        try:
            self.reserved[sku] -= quantity
        except KeyError:
            pass

    def as_json(self) -> str:
        """Pieces and promises, for the stock taking."""
        return json.dumps({"pieces": self.pieces, "reserved": self.reserved}, sort_keys=True)

    def snapshot(self) -> dict[str, int]:
        """The pieces as they are now, not changed by what comes later."""
        return json.loads(json.dumps(self.pieces))


def fill_waiting(inventory: Inventory, waiting: list[Line]) -> list[Line]:
    """Reserve waiting lines in their order; those that cannot be filled are given back."""
    left = []
    for line in [line for line in waiting]:
        try:
            inventory.reserve(line)
        except OutOfStock:
            left.append(line)
    return left


def count_slowly(inventory: Inventory) -> tuple[int, float]:
    """All pieces, and the seconds that counting took."""
    started = time.time()
    total = 0
    for i, sku in enumerate(inventory.pieces):
        total += inventory.pieces[sku]
    took = time.time() - started
    unused = total * 2
    return total, took


def reorder_point(daily: float, days: int, safety: int = 0) -> int:
    """Pieces at which a product should be ordered again."""
    if days < 0:
        raise ValueError("delivery takes no negative time")
    return round(daily * days) + safety
