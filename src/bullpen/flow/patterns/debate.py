"""A debate: each takes a side, hears the others, and votes; where sides remain, tests or the vote decide.

Reasons are heard before ballots are cast, as in Du and others ("Improving Factuality and Reasoning in Language Models
through Multiagent Debate", 2023). Tests stand above votes: a choice whose tests fail is not taken by a majority.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, TypeAdapter

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskState
from bullpen.flow.consensus.base import Ballot, Decision, Question, Standing, TieRule, Voter
from bullpen.flow.consensus.conflicts import Claim, Conflict, Side, contradictions
from bullpen.flow.consensus.hold import PROTOCOLS, hold
from bullpen.flow.consensus.resolve import Known, Opinion, Resolution, ResolvedBy, Trial, resolve
from bullpen.flow.patterns.base import Brief, Options, Step, read_options, step_task, values_in
from bullpen.flow.teams.base import Conclusion, Course, Kept, Results, TeamTask


class Debate(Options):
    """What is to be chosen, who debates (a capability), how often all are heard, and who tests a choice, if anybody."""

    choices: Annotated[tuple[str, ...], Field(min_length=2, max_length=32)]
    debaters: str = "debate"
    rounds: Annotated[int, Field(ge=1, le=8)] = 2
    protocol: str = "majority"
    tester: str = ""


_COUNT: TypeAdapter[int] = TypeAdapter(int)


def arrange(brief: Brief) -> Course:
    """See ``Pattern``."""
    options = read_options(Debate, brief)
    names = brief.able(options.debaters)
    PROTOCOLS.load(options.protocol)
    if len(set(options.choices)) != len(options.choices):
        raise InvalidInput("The choices of a debate must differ.")
    rounds = [_round(brief.goal, options, names, number) for number in range(options.rounds)]
    tests = _tests(brief, options)

    def conclude(results: Results) -> Conclusion:
        last = {name: results.get(task) or Kept(task, TaskState.WAITING) for name, task in rounds[-1].items()}
        return _decided(brief.goal, options, last, {one: results.get(task) for one, task in tests.items()})

    tasks = [one for number in range(options.rounds) for one in _steps(brief.goal, options, names, number)]
    trials = _test_steps(brief, options)
    return Course("debate", brief.goal, (*tasks, *trials), conclude)


def _round(goal: str, options: Debate, names: Sequence[str], number: int) -> dict[str, TaskId]:
    tasks = _steps(goal, options, names, number)
    return {name: one.id for name, one in zip(names, tasks, strict=True)}


def _steps(goal: str, options: Debate, names: Sequence[str], number: int) -> list[TeamTask]:
    """One turn for each debater; from the second round on, all have heard the round before."""
    heard = tuple(_round(goal, options, names, number - 1).values()) if number else ()
    last = number == options.rounds - 1
    return [
        step_task(
            Step(
                ("debate", goal, str(number), name),
                f"{'Vote' if last else 'Take a side'}, {name}: {goal}",
                f"agent:{name}",
                heard,
                {"choices": options.choices, "round": number + 1, "last": last},
                "debate",
                group=f"round {number + 1}",
                takes_partial=True,
                returns=("choice", "argument"),
                position=number,
            )
        )
        for name in names
    ]


def _test_steps(brief: Brief, options: Debate) -> list[TeamTask]:
    if not options.tester:
        return []
    brief.able(options.tester)
    return [
        step_task(
            Step(
                ("debate", brief.goal, "test", choice),
                f"Test {choice}",
                options.tester,
                (),
                {"choice": choice},
                "test",
                group="tests",
                returns=("passed", "broken"),
            )
        )
        for choice in options.choices
    ]


def _tests(brief: Brief, options: Debate) -> dict[str, TaskId]:
    tasks = _test_steps(brief, options)
    return dict(zip(options.choices, [one.id for one in tasks], strict=True)) if tasks else {}


def _decided(
    goal: str, options: Debate, last: Mapping[str, Kept], tested: Mapping[str, Kept | None]
) -> Conclusion:
    decision = _vote(options, last)
    conflict = _conflict(goal, options, last)
    if conflict is None:
        if decision.standing is not Standing.DECIDED:
            return Conclusion(f"Undecided. {decision.reason}", decisions=((goal, decision),), reached=False)
        said = f"{decision.choice}, with one voice. {decision.reason}"
        return Conclusion(said, {"choice": decision.choice}, decisions=((goal, decision),))
    resolution = _resolved(options, conflict, decision, last, tested)
    choice = _choice_of(last, resolution.winners)
    found = {"choice": choice, "by": resolution.by.value} if choice else {}
    said = f"{choice}, by {_WORDS[resolution.by]}." if choice else "Undecided."
    return Conclusion(said, found, (resolution,), ((goal, decision),), reached=bool(choice))


_WORDS = {
    ResolvedBy.RULE: "rule",
    ResolvedBy.EVIDENCE: "its tests",
    ResolvedBy.JUDGE: "the vote",
    ResolvedBy.PERSON: "a person",
}


def _vote(options: Debate, last: Mapping[str, Kept]) -> Decision:
    """All voters are heard or have failed, so the vote is over: its deadline is the last ballot."""
    end = max((one.ended_at for one in last.values()), default=0.0)
    ballots = [Ballot(name, (_said(one),), one.ended_at) for name, one in last.items() if one.done]
    voters = tuple(Voter(name) for name in last)
    question = Question(options.choices, voters, end, ties=TieRule.NOBODY)
    return hold(question, ballots, options.protocol, end + 1.0)


def _conflict(goal: str, options: Debate, last: Mapping[str, Kept]) -> Conflict | None:
    """The sides that remain, each spoken for by the first who took it."""
    first: dict[str, Claim] = {}
    for name, one in last.items():
        choice = _said(one)
        if one.done and choice in options.choices:
            first.setdefault(choice, Claim(Side(one.task, name, at=one.ended_at), goal, choice))
    return next(iter(contradictions(first.values())), None)


def _resolved(
    options: Debate,
    conflict: Conflict,
    decision: Decision,
    last: Mapping[str, Kept],
    tested: Mapping[str, Kept | None],
) -> Resolution:
    by_task = {one.task: one for one in last.values()}
    choices = {side.task: _said(by_task[TaskId(side.task)]) for side in conflict.sides}
    found = {task: _trial(tested.get(choice)) for task, choice in choices.items()}
    trials = {task: trial for task, trial in found.items() if trial is not None}
    winner = next((task for task, choice in choices.items() if choice == decision.choice), "")
    judges = (Opinion(f"the vote ({options.protocol})", winner, decision.reason),) if winner else ()
    return resolve(conflict, Known(trials, judges))


def _trial(kept: Kept | None) -> Trial | None:
    """What a tester handed in; None where it is no such thing."""
    if kept is None or not kept.done:
        return None
    passed = values_in(kept, "passed", _COUNT, -1)
    broken = values_in(kept, "broken", _COUNT, -1)
    return Trial(passed, broken, wanted_shown=passed > 0) if passed >= 0 and broken >= 0 else None


def _choice_of(last: Mapping[str, Kept], winners: Sequence[str]) -> str:
    return next((_said(one) for one in last.values() if one.task in winners), "")


def _said(one: Kept) -> str:
    return one.data.get("choice", "")
