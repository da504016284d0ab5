"""Codes that make an order cheaper."""

from dataclasses import dataclass

from orders import pricing
from orders.models import Order


@dataclass(frozen=True)
class Promotion:
    """Percent, or an amount in cents, off orders from a smallest value."""

    code: str
    kind: str
    value: int
    smallest: int = 0


PROMOTIONS = (
    Promotion("SPRING10", "percent", 10),
    Promotion("FIVER", "amount", 500, 2500),
    Promotion("TEAM20", "percent", 20, 20000),
)


def worth(promotion: Promotion, amount: int) -> int:
    """Cents that a promotion takes off an amount."""
    if amount < promotion.smallest:
        return 0
    if promotion.kind == "percent":
        return amount * promotion.value // 100
    return min(promotion.value, amount)


def best_promotion(order: Order, codes: tuple[str, ...]) -> Promotion | None:
    """The code that takes most off, if one applies."""
    amount = pricing.subtotal(order)
    best, most = None, 0
    for promotion in PROMOTIONS:
        if promotion.code not in codes:
            continue
        saved = worth(promotion, amount)
        if saved > most:
            best, most = promotion, saved
    return best
