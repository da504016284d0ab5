"""What is waited for, and what comes of asking for it."""

from dataclasses import dataclass

from bullpen.domain.errors import Conflict, InvalidInput

LONGEST_LEASE = 3600.0
LONGEST_NAME = 200
LONGEST_HOLDER = 120


class Deadlock(Conflict):
    """Whoever asked would wait for itself, through others. It must release what it holds before it asks again."""

    code = "deadlock"


@dataclass(frozen=True, slots=True)
class Semaphore:
    """``capacity`` holders at a time. A lock is a semaphore of one."""

    name: str
    capacity: int = 1

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise InvalidInput(f"A name has 1 to {LONGEST_NAME} characters; this has {len(self.name)}.")
        if not 1 <= self.capacity <= 100_000:
            raise InvalidInput(
                f"{self.name} is to have {self.capacity} holders at a time; 1 to 100000 can be."
            )


@dataclass(frozen=True, slots=True)
class Barrier:
    """Opens when all ``members`` have come to it, and closes again behind them."""

    name: str
    members: frozenset[str]

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise InvalidInput(f"A name has 1 to {LONGEST_NAME} characters; this has {len(self.name)}.")
        if not self.members:
            raise InvalidInput(f"The barrier {self.name} has no members.")


def lock(name: str) -> Semaphore:
    """One holder at a time."""
    return Semaphore(name)


@dataclass(frozen=True, slots=True)
class Lease:
    """``holder`` has it until ``until`` (seconds of the database's clock). ``token`` is higher than all before it."""

    name: str
    holder: str
    token: int
    until: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not yet. ``on`` are those who have it, or who have not come to the barrier; ``generation`` is a barrier's."""

    name: str
    on: tuple[str, ...]
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """It will not get it, for the reason given; it does not wait any more."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """All have come to the barrier; it was its opening number ``generation``, from 0."""

    name: str
    generation: int


def ended(lease: Lease) -> Conflict:
    """The refusal of whoever acts under a lease that is over."""
    return Conflict(
        f"The lease of {lease.holder} on {lease.name} (token {lease.token}) has ended.",
        remedy="Somebody else may hold it now: ask for it again, and begin anew.",
        code="lease-ended",
    )
