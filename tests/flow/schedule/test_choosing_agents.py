"""Choosing an agent: what counts, what is refused, and that the index gives what looking at everybody would."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.ids import OrganizationId, SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.flow.schedule.assign import assign
from bullpen.flow.schedule.base import Agent, Choice, Job, NoChoice, Policy
from bullpen.flow.schedule.choose import choose
from bullpen.flow.schedule.index import AgentIndex
from bullpen.flow.schedule.record import Record, estimate, measured, with_outcome

NOW = 1_000.0
POLICY = Policy()
SKILLS = ("python", "review", "docs")


def job(name: str = "t1", *wanted: str, **other: object) -> Job:
    base = Job(TaskId(name), wanted or ("python",), OrganizationId("acme"), SessionId("ses-1"))
    return replace(base, **other)  # type: ignore[arg-type]


def agent(name: str, skill: float = 0.8, **other: object) -> Agent:
    return replace(Agent(name, {"python": skill}, capacity=4), **other)  # type: ignore[arg-type]


def chosen(agents: list[Agent], what: Job, policy: Policy = POLICY) -> Choice:
    found = choose(AgentIndex(agents, policy, NOW), what, NOW)
    assert isinstance(found, Choice), found
    return found


def refused(agents: list[Agent], what: Job) -> NoChoice:
    found = choose(AgentIndex(agents, POLICY, NOW), what, NOW)
    assert isinstance(found, NoChoice), found
    return found


def track(wins: int, tries: int) -> dict[str, Record]:
    return {"python": measured(wins, tries, NOW)}


@st.composite
def pools(draw: st.DrawFn) -> list[Agent]:
    names = draw(st.lists(st.sampled_from([f"a{n}" for n in range(12)]), unique=True, min_size=1))
    return [draw(one_agent(name)) for name in names]


@st.composite
def one_agent(draw: st.DrawFn, name: str) -> Agent:
    skills = draw(st.dictionaries(st.sampled_from(SKILLS), st.sampled_from([0.0, 0.3, 0.9, 1.0]), min_size=1))
    tries = draw(st.integers(0, 20))
    wins = draw(st.integers(0, tries))
    capacity = draw(st.integers(1, 5))
    return Agent(
        name,
        skills,
        capacity,
        draw(st.integers(0, capacity)),
        {one: measured(wins, tries, draw(st.floats(0, NOW))) for one in skills},
        Money(draw(st.sampled_from([0, 30_000, 2_000_000]))),
        draw(st.sampled_from([1.0, 60.0])),
        draw(st.sampled_from(["", "north", "south"])),
        draw(st.booleans()),
    )


@st.composite
def jobs(draw: st.DrawFn, name: str = "t1") -> Job:
    return Job(
        TaskId(name),
        tuple(draw(st.lists(st.sampled_from(SKILLS), unique=True, min_size=1, max_size=2))),
        OrganizationId(draw(st.sampled_from(["acme", "globex"]))),
        SessionId(draw(st.sampled_from(["s1", "s2"]))),
        draw(st.integers(0, 3)),
        deadline=draw(st.sampled_from([None, NOW + 30])),
        place=draw(st.sampled_from(["", "north"])),
        not_by=frozenset(draw(st.lists(st.sampled_from(["a0", "a1"])))),
        tried=frozenset(draw(st.lists(st.sampled_from(["a2", "a3"])))),
    )


def by_looking_at_everybody(agents: list[Agent], what: Job, policy: Policy) -> str | None:
    """The same choice, written down without an index."""

    def score(one: Agent) -> float:
        found = [
            estimate(one.record(c), one.capabilities[c], policy.prior, NOW, policy.half_life)
            for c in what.capabilities
        ]
        value = min(each.mean + policy.curiosity * each.deviation for each in found)
        value -= policy.cost * one.cost.micro_usd / 1e6 + policy.load * (one.load * 8 // one.capacity) / 8
        value += policy.local if what.place and one.place == what.place else 0.0
        late = what.deadline is not None and NOW + one.seconds > what.deadline
        return value - (policy.late if late else 0.0)

    free = [a for a in agents if a.available and a.load < a.capacity and a.id not in what.not_by]
    able = [a for a in free if all(c in a.capabilities for c in what.capabilities)]
    fresh = [a for a in able if a.id not in what.tried] or able
    return min(fresh, key=lambda a: (-round(score(a), 9), a.id)).id if fresh else None


@pytest.mark.req("SCH-01")
@given(pools(), jobs())
def test_the_index_chooses_whom_looking_at_everybody_would_choose(agents: list[Agent], what: Job) -> None:
    found = choose(AgentIndex(agents, POLICY, NOW), what, NOW)
    wanted = by_looking_at_everybody(agents, what, POLICY)
    if isinstance(found, Choice):
        best = next(a for a in agents if a.id == wanted)
        alone = choose(AgentIndex([best], POLICY, NOW), what, NOW)
        assert isinstance(alone, Choice)
        assert found.score == pytest.approx(alone.score)
    else:
        assert wanted is None


@pytest.mark.req("SCH-01")
def test_the_reason_is_one_sentence_of_numbers() -> None:
    record = {"python": measured(12, 13, NOW)}
    found = chosen([agent("QA-2", 0.7, load=1, records=record, cost=Money(30_000))], job())
    assert found.reason == "QA-2: capability 0.9, load 1/4, 12 of 13 past successes, $0.03"


@pytest.mark.req("SCH-01")
@pytest.mark.parametrize(
    ("better", "worse", "what"),
    [
        (agent("b", 0.9), agent("a", 0.5), job()),
        (agent("b", records=track(19, 20)), agent("a", records=track(5, 20)), job()),
        (agent("b", load=0), agent("a", load=3), job()),
        (agent("b", cost=Money(10_000)), agent("a", cost=Money(900_000)), job()),
        (agent("b", place="here"), agent("a", place="there"), job(place="here")),
        (agent("b", 0.7, seconds=5.0), agent("a", 0.9, seconds=50.0), job(deadline=NOW + 10)),
    ],
    ids=["capability", "measured success", "load", "cost", "locality", "deadline"],
)
def test_each_consideration_decides_where_all_else_is_alike(better: Agent, worse: Agent, what: Job) -> None:
    assert chosen([better, worse], what).agent == "b"
    assert chosen([worse, better], what).agent == "b"


@pytest.mark.req("SCH-01")
@pytest.mark.parametrize("how", [{"available": False}, {"load": 4}, {"load": 9}])
def test_an_agent_that_is_away_or_full_is_not_chosen(how: dict[str, object]) -> None:
    assert chosen([agent("best", 1.0, **how), agent("other", 0.3)], job()).agent == "other"
    reason = refused([agent("best", 1.0, **how)], job())
    assert not reason.hopeless
    assert "busy or away" in reason.reason


@pytest.mark.req("SCH-01")
def test_the_author_never_reviews_its_own_work_even_if_nobody_else_can() -> None:
    author, other = agent("author", 1.0), agent("other", 0.1)
    review = job(not_by=frozenset({"author"}))
    assert chosen([author, other], review).agent == "other"
    alone = refused([author], review)
    assert alone.hopeless
    assert "somebody else has to do this" in alone.reason


@pytest.mark.req("SCH-01")
def test_an_unknown_capability_is_said_by_name() -> None:
    assert refused([agent("a")], job("t", "cobol")) == NoChoice(
        TaskId("t"), "No agent offers 'cobol'.", hopeless=True
    )
    nothing = refused([agent("a")], replace(job(), capabilities=()))
    assert nothing.hopeless
    assert refused([], job()).hopeless


@pytest.mark.req("SCH-02")
def test_who_failed_at_it_is_chosen_again_only_if_nobody_else_is_free() -> None:
    again = job(tried=frozenset({"good"}))
    assert chosen([agent("good", 0.9), agent("poor", 0.1)], again).agent == "poor"
    last = chosen([agent("good", 0.9), agent("poor", 0.1, load=4)], again)
    assert (last.agent, last.again) == ("good", True)
    assert "failed at it before" in last.reason


@pytest.mark.req("SCH-01")
@given(st.floats(0, 1), st.integers(0, 200), st.integers(0, 200))
def test_an_estimate_is_a_chance_and_measuring_outweighs_a_lie(skill: float, wins: int, losses: int) -> None:
    record = measured(wins, wins + losses, NOW)
    found = estimate(record, skill, POLICY.prior, NOW, POLICY.half_life)
    assert 0 <= found.mean <= 1
    assert 0 <= found.deviation <= 0.5
    if wins + losses >= 100:
        assert abs(found.mean - wins / (wins + losses)) < 0.02


@pytest.mark.req("SCH-01")
def test_a_liar_loses_its_place_after_a_few_failures() -> None:
    liar, honest = agent("liar", 1.0), agent("honest", 0.6, records=track(12, 20))
    chosen_first = chosen([liar, honest], job()).agent
    for _ in range(6):
        failed = with_outcome(liar.record("python"), False, NOW, POLICY.half_life)
        liar = replace(liar, records={"python": failed})
    assert (chosen_first, chosen([liar, honest], job()).agent) == ("liar", "honest")


@pytest.mark.req("SCH-01")
def test_evidence_fades_so_an_agent_that_got_better_is_tried_again() -> None:
    failed = {"python": measured(0, 6, 0.0)}
    agents = [agent("b", 0.9, records=failed), agent("a", 0.6, records=track(12, 20))]
    assert chosen(agents, job()).agent == "a"
    later = AgentIndex(agents, POLICY, 100 * POLICY.half_life)
    found = choose(later, job(), 100 * POLICY.half_life)
    assert isinstance(found, Choice)
    assert found.agent == "b"


@pytest.mark.req("SCH-01")
@given(pools(), st.lists(st.integers(0, 30), unique=True, max_size=12), st.data())
def test_a_round_keeps_capacities_and_does_not_depend_on_the_order_of_lists(
    agents: list[Agent], numbers: list[int], data: st.DataObject
) -> None:
    waiting = [data.draw(jobs(f"t{number}")) for number in numbers]
    found = assign(agents, waiting, NOW)
    assert found == assign(reversed(agents), reversed(waiting), NOW)
    assert sorted([*(c.task for c in found.placed), *(n.task for n in found.waiting)]) == sorted(
        one.task for one in waiting
    )
    for one in agents:
        given_to = sum(choice.agent == one.id for choice in found.placed)
        assert given_to <= max(0, one.capacity - one.load) * one.available


@pytest.mark.req("SCH-01")
@given(pools(), jobs(), st.data())
def test_an_index_kept_up_to_date_equals_one_built_anew(
    agents: list[Agent], what: Job, data: st.DataObject
) -> None:
    kept = AgentIndex(agents, POLICY, NOW)
    now = list(agents)
    for _ in range(data.draw(st.integers(0, 5))):
        changed = data.draw(one_agent(data.draw(st.sampled_from([one.id for one in now]))))
        now = [changed if one.id == changed.id else one for one in now]
        kept.put(changed, NOW)
    kept.refresh(NOW, data.draw(st.integers(0, 20)))
    if len(now) > 1:
        kept.drop(now.pop().id)
    assert choose(kept, what, NOW) == choose(AgentIndex(now, POLICY, NOW), what, NOW)
    assert len(kept) == len(now)
