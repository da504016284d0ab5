"""The intent map of an improve session: what each item means to touch, and which items may be worked side by side.

Items that change the same symbol, or lines close to each other, are worked one after the other. Items that only share
a file, or of whose files one imports the other, stay side by side and are watched: each is proved alone, the merge
queue tries the merge exactly, and runs all tests upon both. Deeper changes wait for what they import by their
dependencies, not by this map.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from bullpen.codegraph.base import FileFacts, Moment
from bullpen.codegraph.graph import KeptFacts, code_graph, suffix_of, suffixes
from bullpen.domain.events.team import IntentDeclared, OverlapDetected
from bullpen.domain.ids import ItemId, SessionId, TaskId
from bullpen.domain.work_item import WorkItem
from bullpen.flow.improve.plan import item_task
from bullpen.flow.items.order import NEAR_LINES, are_near
from bullpen.flow.schedule.intents import Advice, Intent, Meeting, Overlap, plan_intents
from bullpen.kernel.bus.log import recorded_of
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.recipes.base import Catalogue, Selective
from bullpen.vcs.trees import list_tree, read_blobs

LOOKED_AT_ONCE = 32  # candidates whose intents are mapped together with those that are chosen already
MOST_TOLD = 64  # overlaps of one wave that are recorded
TESTS = ("tests", "test")

Pair = tuple[ItemId, ItemId]


@dataclass(frozen=True, slots=True)
class Ground:
    """What intents are read from: the files of the items as the session found them."""

    files: Mapping[str, FileFacts | None]
    imports: Mapping[str, Sequence[str]]
    tests: str = TESTS[0]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that waits, and what it means to touch."""

    item: WorkItem
    intent: Intent


@dataclass(frozen=True, slots=True)
class Wave:
    """What is worked side by side, what was declared for it, and where intents met."""

    items: tuple[WorkItem, ...] = ()
    intents: tuple[Intent, ...] = ()
    overlaps: tuple[Overlap, ...] = ()


async def read_ground(mirror: Path, base: str, items: Iterable[WorkItem]) -> Ground:
    """The symbols and imports of the items' files. Contents are read from git; a file seen before is not read again."""
    wanted = {item.draft.path for item in items}
    entries = {entry.path: entry for entry in await list_tree(mirror, base) if entry.is_file}
    known = {path: entry.blob for path, entry in entries.items() if suffix_of(path) in suffixes()}
    blobs = await read_blobs(mirror, {blob for path, blob in known.items() if path in wanted})
    # the others are only named, so that it is known which folders are packages
    sources = {path: blobs[blob] if path in wanted else b"" for path, blob in known.items()}
    graph = code_graph(sources, _kept())
    folders = {path.partition("/")[0] for path in entries}
    tests = next((name for name in TESTS if name in folders), TESTS[0])
    return Ground(graph.files, graph.imports.edges(tuple(Moment)), tests)


@cache
def _kept() -> KeptFacts:
    """What files said, for the life of the process: their content decides, not their session."""
    return KeptFacts()


def declare(items: Sequence[WorkItem], ground: Ground, recipes: Catalogue) -> list[Candidate]:
    """Items in their order of work with what each means to touch."""
    names = [one.name for one in recipes.recipes if isinstance(one, Selective)]
    return [
        Candidate(item, _intent(item, ground, priority, writes_tests=item.draft.recipe in names))
        for priority, item in zip(range(len(items), 0, -1), items, strict=True)
    ]


def _intent(item: WorkItem, ground: Ground, priority: int, *, writes_tests: bool) -> Intent:
    """Every item speaks for itself: which agent will do it is not known yet."""
    draft, task = item.draft, TaskId(item.id)
    if writes_tests:
        symbol = f"{ground.tests}::{draft.path} by {draft.recipe}"
        return Intent(task, item.id, frozenset({ground.tests}), frozenset({symbol}), draft.rule, priority)
    symbols = frozenset(f"{draft.path}::{_symbol_at(ground, draft.path, line)}" for line in draft.lines)
    return Intent(task, item.id, frozenset({draft.path}), symbols, draft.rule, priority)


def _symbol_at(ground: Ground, path: str, line: int) -> str:
    """The innermost definition around a line; outside of all, the line itself."""
    facts = ground.files.get(path)
    around = [one for one in facts.definitions if one.line <= line <= one.last] if facts else []
    return min(around, key=lambda one: one.last - one.line).name if around else f"line {line}"


def choose_wave(
    candidates: Sequence[Candidate],
    ended: Collection[str],
    size: int,
    imports: Mapping[str, Sequence[str]],
    apart: Collection[Pair] = (),
) -> Wave:
    """The next items to work side by side, in their order: what they wait for has ``ended``, and intents allow it.

    ``apart`` are pairs that met in a conflict before. Pure: the same arguments give the same wave.
    """
    free = [one for one in candidates if all(before in ended for before in one.item.depends_on)]
    found = _Choice(size, imports, frozenset(frozenset(pair) for pair in apart))
    for start in range(0, len(free), LOOKED_AT_ONCE):
        if len(found.taken) == size:
            break
        found.look_at(free[start : start + LOOKED_AT_ONCE])
    told = found.overlaps[:MOST_TOLD]
    named = {one.item.id for one in found.taken} | {name for one in told for name in (one.first, one.then)}
    intents = tuple(one.intent for one in free if one.item.id in named)
    return Wave(tuple(one.item for one in found.taken), intents, tuple(told))


@dataclass(slots=True)
class _Choice:
    """A wave as it fills."""

    size: int
    imports: Mapping[str, Sequence[str]]
    apart: frozenset[frozenset[ItemId]]
    taken: list[Candidate] = field(default_factory=list[Candidate])
    overlaps: list[Overlap] = field(default_factory=list[Overlap])

    def look_at(self, window: Sequence[Candidate]) -> None:
        """Take what may run beside those that were taken, until the wave is full."""
        plan = plan_intents((one.intent for one in (*self.taken, *window)), self.imports)
        mapped = {frozenset((one.first, one.then)): one for one in plan.overlaps}
        for candidate in window:
            if len(self.taken) == self.size:
                return
            met = list(self._meetings(candidate, mapped))
            held = [one for one in met if one.advice is not Advice.WATCH]
            self.overlaps += held[:1] or met
            if not held:
                self.taken.append(candidate)

    def _meetings(
        self, candidate: Candidate, mapped: Mapping[frozenset[TaskId], Overlap]
    ) -> Iterator[Overlap]:
        for other in self.taken:
            pair = frozenset((other.intent.task, candidate.intent.task))
            if found := _settled(other, candidate, mapped.get(pair), self.apart):
                yield found


def _settled(
    first: Candidate, then: Candidate, found: Overlap | None, apart: frozenset[frozenset[ItemId]]
) -> Overlap | None:
    """How an item that was taken and one behind it meet; ``found`` is what the map says of them."""
    one, other = first.item, then.item
    pair = (first.intent.task, then.intent.task)
    if frozenset((one.id, other.id)) in apart:
        why = f"{one.id} and {other.id} met in a conflict before, so {other.id} is done upon what {one.id} leaves"
        return Overlap(*pair, Meeting.FILE, Advice.ORDER, one.draft.path, why)
    if found and found.meeting in (Meeting.SYMBOL, Meeting.FILE):
        return replace(_ordered(found), first=pair[0], then=pair[1])
    if are_near(one, other):
        why = f"{one.id} and {other.id} change lines of {one.draft.path} within {NEAR_LINES} of each other"
        return Overlap(*pair, Meeting.NEIGHBOURS, Advice.ORDER, one.draft.path, f"{why}; {one.id} goes first")
    if found and found.meeting is Meeting.IMPORT:
        lower, upper = found.first, found.then
        why = (
            f"{found.subject} ({lower}) is imported where {upper} works; the merge queue tests both together"
        )
        return replace(found, advice=Advice.WATCH, reason=why)
    return found


def _ordered(found: Overlap) -> Overlap:
    """One after the other where the map would merge, since each item is a commit of its own, or ask: the order decides."""
    if found.advice is Advice.ORDER:
        return found
    why = f"{found.first} and {found.then} both change {found.subject}; {found.first} goes first"
    return replace(found, advice=Advice.ORDER, reason=why)


async def record_wave(uow: UnitOfWork, session_id: SessionId, wave: Wave) -> None:
    """Keep what was declared and where it meets; what was told before is not told again."""
    task = {one.task: item_task(session_id, one.task) for one in wave.intents}
    declared = {one.task_id for one in await recorded_of(uow, session_id, IntentDeclared)}
    for one in wave.intents:
        if task[one.task] not in declared:
            files, symbols = tuple(sorted(one.files)), tuple(sorted(one.symbols))
            uow.record(session_id, IntentDeclared(task[one.task], files, symbols, one.aim))
    told = {frozenset((one.first, one.then)) for one in await recorded_of(uow, session_id, OverlapDetected)}
    for one in wave.overlaps:
        first, then = task[one.first], task[one.then]
        if frozenset((first, then)) not in told:
            how = (one.meeting.value, one.advice.value, one.subject, one.reason)
            uow.record(session_id, OverlapDetected(first, then, *how))
