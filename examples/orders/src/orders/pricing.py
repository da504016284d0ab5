"""What an order costs."""

import os
from decimal import ROUND_HALF_UP, Decimal

from orders import promotions
from orders.models import Line, Order

TAX_PERCENT = {"DE": 19, "FR": 20, "NL": 21, "CH": 8}
FREE_SHIPPING = 5000
SHIPPING = 490


def rounded(amount: Decimal) -> int:
    """Whole cents, halves upwards."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def quantity_discount(quantity: int) -> int:
    """Percent off for many pieces of one product."""
    if quantity >= 50:
        return 10
    elif quantity >= 10:
        return 5
    else:
        return 0


def line_price(line: Line) -> int:
    """Cents for one line, discount taken off."""
    percent = quantity_discount(line.quantity)
    return line.total() - rounded(Decimal(line.total()) * percent / 100)


def subtotal(order: Order) -> int:
    """Cents for all lines."""
    amount = 0
    for line in order.lines:
        amount += line_price(line)
    return amount


def price_order(order: Order, country: str = "DE", codes: tuple[str, ...] = (), express: bool = False) -> int:
    """Cents for an order with everything."""
    amount = 0
    for line in order.lines:
        if line.quantity >= 50:
            amount += line.total() - rounded(Decimal(line.total()) * 10 / 100)
        elif line.quantity >= 10:
            amount += line.total() - rounded(Decimal(line.total()) * 5 / 100)
        else:
            amount += line.total()
    promotion = promotions.best_promotion(order, codes)
    if promotion is not None:
        if promotion.kind == "percent":
            amount -= rounded(Decimal(amount) * promotion.value / 100)
        elif promotion.kind == "amount":
            if promotion.value > amount:
                amount = 0
            else:
                amount -= promotion.value
    if amount < FREE_SHIPPING and amount > 0:
        amount += SHIPPING
        if express:
            amount += SHIPPING
    elif express and amount > 0:
        amount += SHIPPING
    if country in TAX_PERCENT:
        if country == "CH" and amount < 6500:
            tax = 0
        else:
            tax = rounded(Decimal(amount) * TAX_PERCENT[country] / 100)
    else:
        tax = 0
    return amount + tax


def instalments(total: int, months: int) -> list[int]:
    """A total in monthly parts that differ by a cent at most."""
    if months < 1:
        raise ValueError("at least one month is needed")
    part, rest = divmod(total, months)
    return [part + 1] * rest + [part] * (months - rest)
