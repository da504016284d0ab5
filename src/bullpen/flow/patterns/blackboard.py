"""A blackboard: in rounds, everybody sees all facts there are and adds what follows, until what is asked for is there.

After Hayes-Roth, "A blackboard architecture for control" (Artificial Intelligence 26, 1985). A fact that is on the board
stays: who says something else of it later is recorded, and not heard.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from bullpen.domain.ids import TaskId
from bullpen.flow.consensus.conflicts import Claim, Side, contradictions
from bullpen.flow.consensus.resolve import Resolution, resolve
from bullpen.flow.patterns.base import Brief, Options, Step, read_options, step_task, values_in
from bullpen.flow.teams.base import Conclusion, Course, Kept, Results, TeamTask

MOST_FACTS = 1_000


class Blackboard(Options):
    """Facts that must be on the board at the end, those it begins with, who adds to it, and how many rounds at most."""

    until: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_FACTS)]
    facts: dict[str, str] = Field(default_factory=dict[str, str])
    add: str = "add"
    rounds: Annotated[int, Field(ge=1, le=100)] = 10


_FACTS: TypeAdapter[dict[str, str]] = TypeAdapter(Annotated[dict[str, str], Field(max_length=MOST_FACTS)])


@dataclass(frozen=True, slots=True)
class _Board:
    """Facts with the side that said them, and what was said besides."""

    facts: dict[str, str]
    resolutions: tuple[Resolution, ...]
    rounds: int
    news: bool  # the last round that ended added something


def arrange(brief: Brief) -> Course:
    """See ``Pattern``."""
    options = read_options(Blackboard, brief)
    names = brief.able(options.add)

    def grow(results: Results) -> Sequence[TeamTask]:
        board = _board(brief.goal, options, names, results)
        if not board.news or _missing(options, board) == [] or board.rounds >= options.rounds:
            return []
        return _steps(brief.goal, names, board)

    def conclude(results: Results) -> Conclusion:
        board = _board(brief.goal, options, names, results)
        missing = _missing(options, board)
        said = f"{len(board.facts)} facts after {board.rounds} rounds"
        end = f"; {', '.join(missing)} could not be found" if missing else ""
        return Conclusion(f"{said}{end}.", board.facts, board.resolutions, reached=not missing)

    first = _steps(brief.goal, names, _Board(dict(options.facts), (), 0, news=True))
    return Course("blackboard", brief.goal, tuple(first), conclude, grow)


def _steps(goal: str, names: Iterable[str], board: _Board) -> list[TeamTask]:
    number = board.rounds
    return [
        step_task(
            Step(
                ("blackboard", goal, str(number), name),
                f"Round {number + 1}, {name}: what follows?",
                f"agent:{name}",
                (),
                {"facts": board.facts, "round": number + 1},
                "add",
                group=f"round {number + 1}",
                returns=("facts",),
                position=number,
            )
        )
        for name in names
    ]


def _task(goal: str, number: int, name: str) -> TaskId:
    return step_task(Step(("blackboard", goal, str(number), name), "", "")).id


def _board(goal: str, options: Blackboard, names: Sequence[str], results: Results) -> _Board:
    """The board after all rounds that have ended."""
    facts = dict(options.facts)
    claims = [Claim(Side("the beginning", "", landed=True), name, text) for name, text in facts.items()]
    rounds, news = 0, True
    while all(_task(goal, rounds, name) in results for name in names):
        ended = [(name, results[_task(goal, rounds, name)]) for name in names]
        added = _add(facts, claims, ended)
        rounds, news = rounds + 1, added
    return _Board(facts, tuple(resolve(one) for one in contradictions(claims)), rounds, news)


def _add(facts: dict[str, str], claims: list[Claim], ended: Iterable[tuple[str, Kept]]) -> bool:
    added = False
    for name, kept in ended:
        for fact, text in values_in(kept, "facts", _FACTS, {}).items():
            is_new = fact not in facts
            claims.append(Claim(Side(kept.task, name, at=kept.ended_at, landed=is_new), fact, text))
            if is_new:
                facts[fact] = text
                added = True
    return added


def _missing(options: Blackboard, board: _Board) -> list[str]:
    return [name for name in options.until if name not in board.facts]
