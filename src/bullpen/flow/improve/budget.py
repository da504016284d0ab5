"""A session's money: what was spent, what is held for agents at work, and what may still be given. Pure.

All of it follows from the session's events, so every process counts the same. An agent's money is held before it begins,
and what it did not use is free again when it ends; so those at work at the same moment cannot spend it twice.
"""

from dataclasses import dataclass, field

from bullpen.domain.events import Event
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.events.improve import BudgetReleased, BudgetReserved
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money

Attempt = tuple[TaskId, int]
NOTHING = Money()


@dataclass(frozen=True, slots=True)
class Hold:
    """Micro-dollars an attempt may spend in all, until it ends, or at the latest at ``until`` (seconds since 1970)."""

    micro_usd: int
    until: float


@dataclass(slots=True)
class Purse:
    """What the events up to ``counted_to`` add up to, in micro-dollars."""

    spent: int = 0
    by_attempt: dict[Attempt, int] = field(default_factory=dict[Attempt, int])
    holds: dict[Attempt, Hold] = field(default_factory=dict[Attempt, Hold])
    counted_to: int = 0

    def count(self, event: Event) -> None:
        """Take in the next event of the session."""
        match event:
            case ModelReplied():
                attempt = (event.task_id, event.attempt)
                self.spent += event.cost_micro_usd
                self.by_attempt[attempt] = self.by_attempt.get(attempt, 0) + event.cost_micro_usd
            case BudgetReserved(task, number):
                for older in [one for one in self.holds if one[0] == task]:
                    del self.holds[older]  # a task is done by one at a time: whoever had it has died
                self.holds[task, number] = Hold(event.micro_usd, event.until)
            case BudgetReleased(task, number):
                self.holds.pop((task, number), None)
            case _:
                pass

    def held(self, at: float, asks: TaskId) -> int:
        """What attempts at other tasks than ``asks`` may still spend."""
        return sum(
            max(0, hold.micro_usd - self.by_attempt.get(attempt, 0))
            for attempt, hold in self.holds.items()
            if attempt[0] != asks and hold.until > at
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What an attempt may spend in all, with what it has spent already. Nothing, and ``waits``: others may leave some.

    Nothing otherwise: the budget is used up.
    """

    money: Money = NOTHING
    waits: bool = False


def grant(purse: Purse, budget: Money, attempt: Attempt, wanted: Money | None, at: float) -> Grant:
    """What an attempt at ``at`` gets of a budget: what it wants (None: all there is), or the rest where nobody else is at work.

    One that wants more than there is waits for others to end, rather than begin with crumbs. What wants nothing, for it is
    free, waits for nobody.
    """
    rest = budget.micro_usd - purse.spent
    if rest <= 0:
        return Grant()
    if wanted == NOTHING:
        return Grant(Money(rest))
    held, own = purse.held(at, attempt[0]), purse.by_attempt.get(attempt, 0)
    left = own + rest - held
    if held and (wanted is None or wanted.micro_usd > left):
        return Grant(waits=True)
    return Grant(Money(left if wanted is None else min(wanted.micro_usd, left)))
