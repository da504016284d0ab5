"""What one session tells the next: merged in any order, the newer wins with a note, provenance kept."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.actor import Actor, Scope
from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.events import Event
from bullpen.domain.events.improve import EnvironmentPrepared
from bullpen.domain.events.session import FactCarried, FactDropped
from bullpen.domain.events.work import ApprovalAnswered, ApprovalAsked, ItemMoved, ItemProposed
from bullpen.domain.ids import ActorId, OrganizationId, SessionId
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.storage.database import Database
from bullpen.sessions import actions, queries
from bullpen.sessions.carried import CarriedFact, FactKind, learned_from, merge

STRANGER = Actor(ActorId("stranger"), OrganizationId("elsewhere"), frozenset(Scope))
FACT = CarriedFact(
    FactKind.CONVENTION, "style: quotes", "double quotes", SessionId("ses-1"), "person", 86_400.0
)

facts = st.lists(
    st.builds(
        CarriedFact,
        st.sampled_from(FactKind),
        st.sampled_from(["k1", "k2"]),
        st.sampled_from(["yes", "no", "Yes ", "maybe"]),
        st.sampled_from([SessionId("s1"), SessionId("s2")]),
        st.just("person"),
        st.sampled_from([1.0, 2.0, 3.0]),
    ),
    max_size=8,
)


def words(some: list[CarriedFact]) -> dict[tuple[FactKind, str], str]:
    return {key: " ".join(one.text.split()).casefold() for key, one in merge([], some).facts.items()}


@pytest.mark.req("SES-05")
@given(some=facts, data=st.data())
def test_the_order_they_come_in_is_of_no_matter(some: list[CarriedFact], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations(some))
    assert words(mixed) == words(some)
    all_at_once = merge([], some).facts
    cut = data.draw(st.integers(0, len(some)))
    assert merge(merge([], some[:cut]).facts.values(), some[cut:]).facts == all_at_once
    assert merge(all_at_once.values(), all_at_once.values()).changed == ()


@pytest.mark.req("SES-05")
def test_the_newer_wins_with_a_note() -> None:
    newer = replace(FACT, text="single quotes", session=SessionId("ses-2"), at=90_000.0)
    merged = merge([FACT], [newer])
    (held,) = merged.facts.values()
    assert (held.text, held.note) == (
        "single quotes", "replaces 'double quotes' of session ses-1 (1970-01-02)",
    )  # fmt: skip
    assert merged.changed == ((held, FACT),)
    late = merge([newer], [FACT])  # what was said earlier comes later
    assert (list(late.facts.values()), late.changed, late.outdated) == ([newer], (), (FACT,))
    assert merge([FACT], [replace(FACT, text="Double  quotes", at=0.0)]).changed == ()


@pytest.mark.req("SES-05")
async def test_later_sessions_of_the_project_are_told(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        for name, project in (("ses-1", "/p"), ("ses-2", "/p"), ("ses-3", "/other")):
            await actions.create_session(
                uow, SessionId(name), kind="improve", goal="g", project=project, options="{}"
            )
        await actions.carry_facts(uow, SessionId("ses-1"), [FACT])
    newer = replace(FACT, text="single quotes", session=SessionId("ses-2"), at=90_000.0)
    async with database.transaction(person) as uow:
        await actions.carry_facts(uow, SessionId("ses-2"), [newer])
        await actions.carry_facts(uow, SessionId("ses-2"), [newer])  # again: nothing changes
    async with database.view(person) as uow:
        (held,) = await queries.list_carried(uow, "/p")
        told = [
            one.event for one in await replay(uow, SessionId("ses-2")) if isinstance(one.event, FactCarried)
        ]
        assert await queries.list_carried(uow, "/other") == []
    assert (held.text, held.session, held.by, held.at) == ("single quotes", "ses-2", "person", 90_000.0)
    assert [(one.text, one.was) for one in told] == [("single quotes", "double quotes")]
    assert "double quotes" in held.note
    async with database.view(STRANGER) as uow:
        assert await queries.list_carried(uow, "/p") == []
    async with database.transaction(person) as uow:
        await actions.forget_fact(uow, "/p", FactKind.CONVENTION, "style: quotes")
        assert await queries.list_carried(uow, "/p") == []
        with pytest.raises(NotFound, match="Nothing is carried"):
            await actions.forget_fact(uow, "/p", FactKind.CONVENTION, "style: quotes")
    async with database.view(person) as uow:
        (*_, last) = await replay(uow, SessionId("ses-2"))
    assert last.event == FactDropped("convention", "style: quotes", "single quotes", "person")


@pytest.mark.req("SES-05")
@pytest.mark.parametrize(
    ("key", "text"), [("", "x"), (" k", "x"), ("k\nl", "x"), ("k" * 301, "x"), ("k", " "), ("k", "x" * 2001)]
)
async def test_what_cannot_be_kept_is_refused(database: Database, person: Actor, key: str, text: str) -> None:
    async with database.transaction(person) as uow:
        await actions.create_session(
            uow, SessionId("s"), kind="improve", goal="g", project="/p", options="{}"
        )
        with pytest.raises(InvalidInput):
            await actions.carry_facts(uow, SessionId("s"), [replace(FACT, key=key, text=text)])


def recorded(*events: Event) -> list[Recorded]:
    return [Recorded(n, SessionId("ses-1"), float(n), "person", one) for n, one in enumerate(events, 1)]


@pytest.mark.req("SES-05")
def test_what_a_session_teaches() -> None:
    item = ItemProposed("i", "t", "ruff:F401", "a\nb.py", 1, 1.0, 1.0)
    found = learned_from(
        recorded(
            item,
            EnvironmentPrepared("uv.lock", (), 1.0),
            ApprovalAsked("a1", "rule S602", "high", "r", 9.0),
            ApprovalAsked("a2", "rule S603", "high", "r", 9.0),
            ApprovalAnswered("a1", "approved", "person"),
            ApprovalAnswered("a2", "expired", "person"),
            ItemMoved("i", "rejected", "agent:developer", "too hard"),
            ItemMoved("i", "rejected", "person", "we want it so"),
            ItemMoved("none", "rejected", "person", "x"),
        )
    )
    assert [(one.kind.value, one.key, one.text, one.at) for one in found] == [
        ("fact", "tests: environment", "uv.lock", 2.0),
        ("decision", "approval: rule S602", "approved", 5.0),
        ("decision", "item: ruff:F401 in a b.py", "left: we want it so", 8.0),
    ]
