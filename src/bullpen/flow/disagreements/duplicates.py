"""Items that are after the same at one place, though their rules differ."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from pydantic import TypeAdapter

from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.consensus.conflicts import Claim, Side, duplicate_work
from bullpen.flow.consensus.resolve import Resolution, resolve
from bullpen.kernel.yaml_text import read_yaml

AIMS: TypeAdapter[dict[str, tuple[str, ...]]] = TypeAdapter(dict[str, tuple[str, ...]])


def same_work(items: Sequence[WorkItem]) -> list[Resolution]:
    """Pairs and groups of items with one aim at one line, each resolved: who is ahead does it, once.

    What can be worked on now is ahead, then what is more urgent. Whatever the first leaves is still mended by the other.
    """
    ranked = sorted(items, key=lambda one: (one.state is not ItemState.READY, -one.priority.score, one.id))
    claims = [
        Claim(Side(item.id, item.draft.concern.value, -rank), f"{item.draft.path}:{line}", aim)
        for rank, item in enumerate(ranked)
        if (aim := aim_of(item.draft.rule))
        for line in item.draft.lines
    ]
    return [resolve(conflict) for conflict in duplicate_work(claims)]


def aim_of(rule: str) -> str:
    """What a rule is after, in words; empty where no other rule is after the same."""
    return next((aim for aim, rules in _aims().items() if any(fnmatchcase(rule, one) for one in rules)), "")


@cache
def _aims() -> Mapping[str, tuple[str, ...]]:
    text = files("bullpen.flow.disagreements").joinpath("same-aims.yaml").read_text("utf-8")
    return AIMS.validate_python(read_yaml(text))
