"""Work items from findings: one for each rule in each file, worded by the template of its concern."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import groupby

from pydantic import BaseModel, ConfigDict

from bullpen.domain.finding import Concern, Finding
from bullpen.domain.ids import ItemId, SessionId, derived_id
from bullpen.domain.work_item import ItemDraft
from bullpen.kernel.yaml_text import read_yaml

MOST_SITES = 40  # a change a person still reads; what is beyond it becomes a further item
LONGEST_BRIEF = 72
_OWN_TEMPLATES = (
    Concern.SECURITY,
    Concern.PERFORMANCE,
    Concern.ARCHITECTURE,
    Concern.QA,
    Concern.DEPENDENCY,
    Concern.ACCESSIBILITY,
)


class Template(BaseModel):
    """Words for one kind of item."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    why: str
    acceptance: tuple[str, ...]
    proof: str
    effort_minutes: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecipeNote:
    """What a generator needs to know of the recipe that would do the work.

    ``precise`` means that it is for this rule: one that takes whatever an analyser offers cannot say why.
    """

    name: str
    why: str
    precise: bool = True


FindRecipe = Callable[[str, str], RecipeNote | None]  # by rule, and by the fix the analyser offers


def draft_items(
    session_id: SessionId, findings: Sequence[Finding], find_recipe: FindRecipe
) -> list[ItemDraft]:
    """Items for findings, in the findings' order of severity, then path; the same findings give the same ids."""
    ordered = sorted(findings, key=lambda one: (*_alike(one), one.place.line, one.fingerprint))
    groups = (list(group) for _key, group in groupby(ordered, key=_alike))
    drafts = [
        _draft(session_id, alike[start : start + MOST_SITES], find_recipe)
        for alike in groups
        for start in range(0, len(alike), MOST_SITES)
    ]
    return sorted(drafts, key=lambda draft: (-draft.severity, draft.path, draft.rule, draft.lines))


def reworded(draft: ItemDraft, findings: Sequence[Finding]) -> ItemDraft:
    """The draft for these of its findings alone: places, fingerprints and a title that speaks of no more than those.

    Its id stays: it is still that item, or a part of it. With no findings it stays as it is.
    """
    if not findings:
        return draft
    ordered = sorted(findings, key=lambda one: (one.place.line, one.fingerprint))
    return replace(
        draft,
        title=_templates()[draft.kind].title.format_map(_words(ordered, None)),
        lines=tuple(sorted({one.place.line for one in ordered})),
        evidence=tuple(_witnessed(one) for one in ordered),
        fingerprints=tuple(sorted(one.fingerprint for one in ordered)),
    )


def _witnessed(finding: Finding) -> str:
    return f"{finding.place}: {finding.message} ({', '.join(finding.witnesses)})"


def _alike(finding: Finding) -> tuple[str, str, str]:
    """What makes findings one item: the same rule in the same file, mended in the same way."""
    return finding.place.path, finding.rule, finding.fix


def _draft(session_id: SessionId, alike: Sequence[Finding], find_recipe: FindRecipe) -> ItemDraft:
    first = alike[0]
    kind = first.concern.value if first.concern in _OWN_TEMPLATES else "general"
    template = _templates()[kind]
    recipe = next(
        (note for rule in (first.rule, *first.same_as) if (note := find_recipe(rule, first.fix))), None
    )
    words = _words(alike, recipe)
    fingerprints = tuple(sorted(one.fingerprint for one in alike))
    return ItemDraft(
        id=ItemId(derived_id("item", session_id, *fingerprints)),
        kind=kind,
        title=template.title.format_map(words),
        why=template.why.format_map(words).strip(),
        rule=first.rule,
        path=first.place.path,
        lines=tuple(sorted({one.place.line for one in alike})),
        concern=first.concern,
        severity=max(one.severity for one in alike),
        evidence=tuple(_witnessed(one) for one in alike),
        acceptance=tuple(line.format_map(words) for line in template.acceptance),
        proof=template.proof.format_map(words),
        effort_minutes=template.effort_minutes + 2 * (len(alike) - 1),
        fingerprints=fingerprints,
        recipe=recipe.name if recipe else "",
        fix=first.fix,
        labels=(*template.labels, first.rule.split(":", 1)[0]),
    )


def _words(alike: Sequence[Finding], recipe: RecipeNote | None) -> Mapping[str, str]:
    first, count = alike[0], len(alike)
    message = first.message.rstrip(".")
    brief = shortened(message, LONGEST_BRIEF)
    return {
        "rule": first.rule,
        "path": first.place.path,
        "count": str(count),
        "count_words": "a hole" if count == 1 else f"{count} holes",
        "brief": brief,
        "short": brief + (f" ({count} places)" if count > 1 else ""),
        "message": message,
        "why": _why(f"{message}.", recipe),
    }


def shortened(text: str, most: int) -> str:
    """At most so many characters, cut between two words and not within a quotation of code."""
    if len(text) <= most:
        return text
    head = text[: most - 1]
    head = head.rsplit(" ", 1)[0] if " " in head else head
    if head.count("`") % 2:
        head = head.rpartition("`")[0]
    return head.rstrip(" ,;:(-") + "…"


def _why(message: str, recipe: RecipeNote | None) -> str:
    if recipe is None:
        return message
    return recipe.why if recipe.precise else f"{message} {recipe.why}"


@cache
def _templates() -> Mapping[str, Template]:
    folder = files("bullpen.flow.items").joinpath("templates")
    return {
        entry.name.removesuffix(".yaml"): Template.model_validate(read_yaml(entry.read_text("utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }
