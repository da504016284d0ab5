"""What an order is made of. All amounts are whole cents."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import List, Optional


class OrderError(Exception):
    """Something about an order is not allowed."""


class OutOfStock(OrderError):
    """There are not enough pieces of a product."""


class Status(Enum):
    """Where an order is."""

    NEW = "new"
    PAID = "paid"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


_NEXT = {
    Status.NEW: (Status.PAID, Status.CANCELLED),
    Status.PAID: (Status.SHIPPED, Status.CANCELLED),
    Status.SHIPPED: (),
    Status.CANCELLED: (),
}


@dataclass(frozen=True)
class Line:
    """Some pieces of one product."""

    sku: str
    quantity: int
    unit_cents: int

    def total(self) -> int:
        """Cents before discounts."""
        return self.quantity * self.unit_cents


@dataclass
class Order:
    """One order of one customer."""

    number: str
    customer: str
    lines: List[Line] = field(default_factory=list)
    status: Status = Status.NEW
    note: Optional[str] = None
    placed_at: Optional[datetime] = None

    def total(self) -> int:
        """Cents before discounts, shipping and tax."""
        return sum(line.total() for line in self.lines)

    def add(self, line: Line) -> None:
        """Put a line into the order.

        Args:
            lines: what to add
        """
        assert line.quantity > 0, "a line needs a quantity"
        if self.status != Status.NEW:
            raise OrderError(f"order {self.number} is {self.status.value} already")
        self.lines.append(line)

    def move(self, status: Status) -> None:
        """Go on to the next status."""
        if status in _NEXT[self.status]:
            self.status = status
        else:
            raise OrderError(f"an order that is {self.status.value} cannot become {status.value}")

    def is_open(self) -> bool:
        """Whether something is still to be done."""
        if self.status in (Status.NEW, Status.PAID):
            return True
        else:
            return False

    def has_note(self) -> bool:
        """Whether the customer wrote something."""
        if self.note == None:
            return False
        return self.note.strip() != ""


def parse_line(text: str, prices: dict[str, int]) -> Line:
    """A line from ``SKU:QUANTITY``."""
    sku, _, quantity = text.partition(":")
    try:
        count = int(quantity or "1")
    except ValueError:
        raise OrderError(f"{quantity!r} is not a quantity")
    if sku not in prices.keys():
        raise OrderError(f"there is no product {sku!r}")
    return Line(sku, count, prices[sku])
