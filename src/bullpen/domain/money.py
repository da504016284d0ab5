"""Money as whole micro-dollars: sums are exact, and no float rounds a budget away."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Self

from bullpen.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in millionths of a US dollar."""

    micro_usd: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """``"1.50"`` or ``"$1.50"``; more than six decimals is refused."""
        try:
            micro = Decimal(text.strip().removeprefix("$")) * 1_000_000
        except InvalidOperation:
            raise InvalidInput(f"{text!r} is not an amount of money.", remedy="Write it like 2.50.") from None
        if not micro.is_finite() or micro != micro.to_integral_value() or micro < 0:
            raise InvalidInput(f"{text!r} is not an amount of money.", remedy="Write it like 2.50.")
        return cls(int(micro))

    def __add__(self, other: "Money") -> "Money":
        return Money(self.micro_usd + other.micro_usd)

    def __str__(self) -> str:
        return f"${Decimal(self.micro_usd) / 1_000_000:.2f}"
