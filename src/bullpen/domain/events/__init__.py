"""Facts in the past tense, one file per area. A fact's name is its class name; ``version`` grows when its shape changes."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Fields are plain values: str, int, float, bool, tuples and frozen dataclasses of these."""

    version: ClassVar[int] = 1
