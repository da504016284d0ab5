"""From findings to waves: what must hold whatever the findings are."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.finding import Concern, Finding, Place, Severity
from bullpen.domain.ids import ItemId, SessionId
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.flow.items.generate import MOST_SITES, RecipeNote, draft_items, reworded
from bullpen.flow.items.order import find_dependencies
from bullpen.flow.items.prioritise import FileFacts, prioritise
from bullpen.flow.items.validate import validate_item

SESSION = SessionId("ses-1")
PATHS = ("a.py", "b.py", "c.py")
RULES = ("ruff:F401", "bandit:B105", "lizard:C")


def no_recipe(_rule: str, _fix: str) -> RecipeNote | None:
    return None


@st.composite
def findings(draw: st.DrawFn) -> list[Finding]:
    count = draw(st.integers(0, 60))
    return [
        Finding(
            fingerprint=f"f{number}",
            rule=draw(st.sampled_from(RULES)),
            message=draw(st.sampled_from(["Bad.", "Worse {here}", "x" * 200])),
            severity=draw(st.sampled_from(list(Severity))),
            concern=draw(st.sampled_from(list(Concern))),
            place=Place(draw(st.sampled_from(PATHS)), draw(st.integers(1, 90))),
            witnesses=("ruff",),
            fix=draw(st.sampled_from(["", "safe"])),
        )
        for number in range(count)
    ]


@pytest.mark.req("WRK-01")
@given(findings(), st.randoms())
def test_every_finding_is_in_one_item_and_order_does_not_matter(found: list[Finding], random: object) -> None:
    drafts = draft_items(SESSION, found, no_recipe)
    assert Counter(one for draft in drafts for one in draft.fingerprints) == Counter(
        f.fingerprint for f in found
    )
    assert len({draft.id for draft in drafts}) == len(drafts)
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert draft_items(SESSION, shuffled, no_recipe) == drafts
    assert all(len(draft.fingerprints) <= MOST_SITES for draft in drafts)
    assert [draft.severity for draft in drafts] == sorted((d.severity for d in drafts), reverse=True)


@pytest.mark.req("WRK-01")
@given(findings())
def test_part_of_an_item_is_worded_for_that_part(found: list[Finding]) -> None:
    known = {one.fingerprint: one for one in found}
    for whole in draft_items(SESSION, found, no_recipe):
        mine = [known[one] for one in whole.fingerprints]
        assert reworded(whole, mine) == whole
        first = min(mine, key=lambda one: (one.place.line, one.fingerprint))
        part = reworded(whole, [first])
        (alone,) = draft_items(SESSION, [first], no_recipe)
        assert (part.title, part.lines, part.fingerprints, part.evidence) == (
            alone.title,
            alone.lines,
            alone.fingerprints,
            alone.evidence,
        )
        assert part.id == whole.id
        assert reworded(whole, []) == whole


@pytest.mark.req("WRK-01")
@given(findings())
def test_other_sessions_have_other_items(found: list[Finding]) -> None:
    mine = {draft.id for draft in draft_items(SESSION, found, no_recipe)}
    assert not mine & {draft.id for draft in draft_items(SessionId("ses-2"), found, no_recipe)}


@pytest.mark.req("WRK-02")
@given(findings())
def test_generated_items_are_sound_and_a_second_time_they_are_duplicates(found: list[Finding]) -> None:
    drafts = draft_items(SESSION, found, no_recipe)
    counts = dict.fromkeys(PATHS, 100)
    seen = {one: draft.id for draft in drafts for one in draft.fingerprints}
    for draft in drafts:
        assert validate_item(draft, counts, {}).problems == ()
        again = validate_item(draft, counts, seen)
        assert again.quality < 1
        assert "says again" in again.problems[0]
        assert "not a file" in validate_item(draft, {}, {}).problems[0]


def draft(name: str = "i", **other: object) -> ItemDraft:
    base = ItemDraft(
        id=ItemId(name),
        kind="general",
        title="Mend something",
        why="Because.",
        rule="ruff:F401",
        path="a.py",
        lines=(1,),
        concern=Concern.MAINTAINABILITY,
        severity=Severity.LOW,
        evidence=("e",),
        acceptance=("a",),
        proof="p",
        effort_minutes=20,
        fingerprints=(name,),
    )
    return replace(base, **other)  # type: ignore[arg-type]


FACTS = st.builds(
    FileFacts,
    importers=st.none() | st.integers(0, 500),
    changes=st.none() | st.integers(0, 500),
    covered=st.none() | st.floats(0, 1),
    age_days=st.none() | st.floats(0, 5000),
    is_test=st.booleans(),
)


@pytest.mark.req("WRK-03")
@given(FACTS, st.integers(1, 600), st.booleans())
def test_priority_grows_with_severity_and_shrinks_with_effort(
    facts: FileFacts, minutes: int, known: bool
) -> None:
    recipe = "r" if known else ""
    scores = [
        prioritise(draft(severity=severity, effort_minutes=minutes, recipe=recipe), facts).score
        for severity in Severity
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
    more = prioritise(draft(severity=Severity.HIGH, effort_minutes=minutes * 2, recipe=recipe), facts)
    assert more.score <= scores[Severity.HIGH]


@pytest.mark.req("WRK-03")
@given(FACTS, st.integers(0, 100))
def test_priority_grows_with_what_depends_on_the_file(facts: FileFacts, more: int) -> None:
    less = prioritise(draft(), replace(facts, importers=facts.importers or 0))
    assert prioritise(draft(), replace(facts, importers=(facts.importers or 0) + more)).score >= less.score


@pytest.mark.req("WRK-03")
@given(FACTS)
def test_the_numbers_behind_a_priority_give_it(facts: FileFacts) -> None:
    found = prioritise(draft(lines=(1, 2)), facts)
    assert found.score == pytest.approx(found.impact * found.likelihood / found.effort, rel=1e-2, abs=2e-3)
    assert len(found.reasons) >= 2


@st.composite
def items(draw: st.DrawFn) -> list[WorkItem]:
    count = draw(st.integers(0, 12))
    return [
        WorkItem(
            draft(
                f"i{number}",
                path=draw(st.sampled_from(PATHS)),
                kind=draw(st.sampled_from(["general", "qa", "architecture"])),
                lines=tuple(sorted(draw(st.sets(st.integers(1, 60), min_size=1, max_size=3)))),
            ),
            ItemState.READY,
            Priority(draw(st.floats(0, 50)), 1, 1, 1),
            1.0,
        )
        for number in range(count)
    ]


IMPORTS = st.dictionaries(st.sampled_from(PATHS), st.lists(st.sampled_from(PATHS), max_size=3), max_size=3)


@pytest.mark.req("WRK-04")
@given(items(), IMPORTS)
def test_no_cycle_is_left_and_every_cut_is_explained(
    found: list[WorkItem], imports: dict[str, list[str]]
) -> None:
    order = find_dependencies(found, imports)
    assert set(order.after) == {item.id for item in found}
    done: set[ItemId] = set()
    while left := [one for one in order.after if one not in done]:
        free = [one for one in left if set(order.after[one]) <= done]
        assert free, order.after
        done.update(free)
    for edge in order.broken:
        assert edge.no_longer_after not in order.after[edge.item]
        assert edge.item in edge.reason
        assert edge.no_longer_after in edge.reason
    assert find_dependencies(list(reversed(found)), imports) == order
