"""The intent map: who means to touch what, so that overlaps are seen before anybody edits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, islice, pairwise

from bullpen.domain.errors import LimitExceeded
from bullpen.domain.ids import TaskId

MOST_OVERLAPS = 100_000


@dataclass(frozen=True, slots=True)
class Intent:
    """What an agent declares before it edits: files to change, and symbols of them (``path::Class.method``).

    ``files`` includes those of the symbols. A file without a symbol of it may be changed anywhere. ``aim`` is what is
    to be reached, in the words of the item's rule; equal aims may be merged. A higher ``priority`` goes first.
    """

    task: TaskId
    agent: str
    files: frozenset[str]
    symbols: frozenset[str] = frozenset()
    aim: str = ""
    priority: int = 0

    def symbols_of(self, path: str) -> frozenset[str]:
        """The declared symbols of one file."""
        return frozenset(one for one in self.symbols if one.partition("::")[0] == path)


class Meeting(StrEnum):
    """How two intents meet."""

    SYMBOL = "symbol"  # the same symbol
    FILE = "file"  # the same file, and one of them may change it anywhere
    NEIGHBOURS = "neighbours"  # the same file, other symbols
    IMPORT = "import"  # one changes what the other's file imports


class Advice(StrEnum):
    """What the scheduler does about it."""

    ORDER = "order"  # one after the other
    MERGE = "merge"  # one agent does both
    WATCH = "watch"  # side by side; the later one rebases
    ASK = "ask"  # a person decides


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two intents that meet, what to do, and why. With ``order``, ``first`` goes before ``then``."""

    first: TaskId
    then: TaskId
    meeting: Meeting
    advice: Advice
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class IntentPlan:
    """All overlaps; ``after`` is free of cycles. ``groups`` are tasks to be done as one by one agent."""

    overlaps: tuple[Overlap, ...]
    after: Mapping[TaskId, tuple[TaskId, ...]]
    groups: tuple[tuple[TaskId, ...], ...]
    questions: tuple[Overlap, ...]


def plan_intents(intents: Iterable[Intent], imports: Mapping[str, Sequence[str]]) -> IntentPlan:
    """What meets, and what follows. ``imports`` are the edges of the import graph: path to the paths it imports.

    An agent that declares for one task twice has the union of both. Intents of the same agent do not meet: it works on
    one after the other. Pure; the order of declaration does not matter.

    Raises:
        LimitExceeded: they meet so often that nobody could look at it.
    """
    declared = _united(intents)
    met = list(islice(_meetings(declared, imports), MOST_OVERLAPS + 1))
    if len(met) > MOST_OVERLAPS:
        raise LimitExceeded(
            f"The intents of {len(declared)} tasks meet more than {MOST_OVERLAPS} times.",
            remedy="Let fewer tasks run at once, or declare the files they change instead of whole folders.",
        )
    overlaps = sorted(met, key=lambda one: (one.first, one.then, one.subject))
    strongest = _strongest(overlaps)
    after, asked = _acyclic(strongest)
    settled = tuple(asked.get((one.first, one.then), one) for one in strongest)
    questions = tuple(one for one in settled if one.advice is Advice.ASK)
    return IntentPlan(settled, after, _groups(settled), questions)


def _united(intents: Iterable[Intent]) -> dict[TaskId, Intent]:
    found: dict[TaskId, Intent] = {}
    for one in sorted(intents, key=lambda each: (each.task, each.agent, each.aim, each.priority)):
        symbols = one.symbols
        files = one.files | {symbol.partition("::")[0] for symbol in symbols}
        known = found.get(one.task)
        # whoever once said "anywhere in the file" is not narrowed by a later symbol
        if known:
            whole = {p for p in known.files if not known.symbols_of(p)} | {
                p for p in files if not any(s.startswith(f"{p}::") for s in symbols)
            }
            files, symbols = files | known.files, symbols | known.symbols
            symbols = frozenset(s for s in symbols if s.partition("::")[0] not in whole)
        found[one.task] = Intent(one.task, one.agent, frozenset(files), symbols, one.aim, one.priority)
    return found


def _meetings(declared: Mapping[TaskId, Intent], imports: Mapping[str, Sequence[str]]) -> Iterator[Overlap]:
    by_file: dict[str, list[Intent]] = {}
    for task in sorted(declared):
        for path in declared[task].files:
            by_file.setdefault(path, []).append(declared[task])
    for path in sorted(by_file):
        for one, other in combinations(by_file[path], 2):
            if one.agent != other.agent:
                yield _in_one_file(path, one, other)
        for imported in dict.fromkeys(imports.get(path, ())):
            if imported != path:
                yield from _across(imported, by_file.get(imported, ()), path, by_file[path])


def _in_one_file(path: str, one: Intent, other: Intent) -> Overlap:
    first, then = (one, other) if (-one.priority, one.task) <= (-other.priority, other.task) else (other, one)
    mine, theirs = first.symbols_of(path), then.symbols_of(path)
    shared = sorted(mine & theirs)
    if mine and theirs and not shared:
        why = f"{first.task} and {then.task} change other parts of {path}; the later one rebases"
        return Overlap(first.task, then.task, Meeting.NEIGHBOURS, Advice.WATCH, path, why)
    subject = shared[0] if shared else path
    meeting = Meeting.SYMBOL if shared else Meeting.FILE
    if first.aim and first.aim == then.aim:
        why = f"{first.task} and {then.task} both change {subject} for {first.aim!r}, so one agent does both"
        return Overlap(first.task, then.task, meeting, Advice.MERGE, subject, why)
    if shared and first.priority == then.priority and first.aim and then.aim:
        why = f"{first.task} ({first.aim!r}) and {then.task} ({then.aim!r}) change {subject} with equal priority"
        return Overlap(first.task, then.task, meeting, Advice.ASK, subject, why)
    why = f"{first.task} and {then.task} both change {subject}; {first.task} goes first"
    return Overlap(first.task, then.task, meeting, Advice.ORDER, subject, why)


def _across(
    imported: str, below: Sequence[Intent], importer: str, above: Sequence[Intent]
) -> Iterator[Overlap]:
    for first in below:
        for then in above:
            if first.task == then.task or first.agent == then.agent or first.files & then.files:
                continue
            why = f"{importer} ({then.task}) imports {imported} ({first.task}), so what is imported is changed first"
            yield Overlap(first.task, then.task, Meeting.IMPORT, Advice.ORDER, imported, why)


_STRENGTH = (Advice.ASK, Advice.MERGE, Advice.ORDER, Advice.WATCH)


def _strongest(overlaps: Sequence[Overlap]) -> list[Overlap]:
    """One overlap for each pair: what needs most care, and two ways round of ordering become a question."""
    found: dict[frozenset[TaskId], Overlap] = {}
    for one in overlaps:
        pair = frozenset({one.first, one.then})
        known = found.get(pair)
        if known and one.advice is known.advice is Advice.ORDER and one.first != known.first:
            why = f"{known.reason}; but {one.reason}"
            found[pair] = Overlap(known.first, known.then, known.meeting, Advice.ASK, known.subject, why)
        elif known is None or _STRENGTH.index(one.advice) < _STRENGTH.index(known.advice):
            found[pair] = one
    return sorted(found.values(), key=lambda one: (one.first, one.then))


def _acyclic(
    overlaps: Sequence[Overlap],
) -> tuple[dict[TaskId, tuple[TaskId, ...]], dict[tuple[TaskId, TaskId], Overlap]]:
    """The order, and the overlaps that had to become questions because they close a cycle."""
    waits: dict[TaskId, set[TaskId]] = {}
    edges = {(one.first, one.then): one for one in overlaps if one.advice is Advice.ORDER}
    for first, then in edges:
        waits.setdefault(then, set()).add(first)
        waits.setdefault(first, set())
    asked: dict[tuple[TaskId, TaskId], Overlap] = {}
    while cycle := _cycle(waits):
        first, then = max(pair for pair in pairwise(cycle) if pair in edges)
        one = edges[first, then]
        why = f"{one.reason}; but {' before '.join(cycle)} is a circle"
        asked[first, then] = Overlap(first, then, one.meeting, Advice.ASK, one.subject, why)
        waits[then].discard(first)
    return {task: tuple(sorted(before)) for task, before in sorted(waits.items()) if before}, asked


def _cycle(waits: Mapping[TaskId, set[TaskId]]) -> list[TaskId]:
    """A circle, each before the next; empty if there is none."""
    try:
        TopologicalSorter({task: sorted(before) for task, before in sorted(waits.items())}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _groups(overlaps: Sequence[Overlap]) -> tuple[tuple[TaskId, ...], ...]:
    """Tasks that are connected by merging."""
    group: dict[TaskId, set[TaskId]] = {}
    for one in overlaps:
        if one.advice is Advice.MERGE:
            joined = group.get(one.first, {one.first}) | group.get(one.then, {one.then})
            group.update(dict.fromkeys(joined, joined))
    return tuple(sorted({tuple(sorted(members)) for members in group.values()}))
