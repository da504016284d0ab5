"""Answers, retries, pre-emption, second runs, balance and registration: nothing is lost, nothing counts twice."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput, LimitExceeded
from bullpen.domain.ids import OrganizationId, SessionId, TaskId
from bullpen.flow.schedule import register as registration
from bullpen.flow.schedule.balance import balance
from bullpen.flow.schedule.base import Agent, Job
from bullpen.flow.schedule.fairness import Usage, fair_order
from bullpen.flow.schedule.record import measured
from bullpen.flow.schedule.register import register
from bullpen.flow.schedule.running import (
    Accepted,
    Answer,
    GivenUp,
    Ignored,
    Retry,
    Running,
    accept,
    after_failure,
    lease,
    overdue,
    preempt,
    stragglers,
)

NOW = 100.0


def job(name: str = "t1", organization: str = "acme", session: str = "s1", **other: object) -> Job:
    base = Job(TaskId(name), ("python",), OrganizationId(organization), SessionId(session))
    return replace(base, **other)  # type: ignore[arg-type]


def running(what: Job | None = None, agent: str = "a", attempt: int = 1, **other: object) -> Running:
    return replace(Running(what or job(), agent, attempt, 0.0, 200.0), **other)  # type: ignore[arg-type]


answers = st.builds(
    Answer,
    st.sampled_from(["t1", "t2", "t3"]).map(TaskId),
    st.sampled_from(["a", "b", "liar"]),
    st.integers(0, 3),
    st.booleans(),
)


@pytest.mark.req("SCH-02")
@given(st.lists(st.tuples(answers, st.floats(0, 400)), max_size=40))
def test_whatever_is_handed_in_a_job_is_won_at_most_once_and_only_by_who_holds_it(
    flood: list[tuple[Answer, float]],
) -> None:
    held = [running(job("t1")), running(job("t1"), "b", 2, speculative=True), running(job("t2"), "b", 1)]
    holders = {(one.job.task, one.agent, one.attempt) for one in held}
    won: list[TaskId] = []
    for answer, now in sorted(flood, key=lambda pair: pair[1]):
        found = accept(held, answer, now)
        if isinstance(found, Ignored):
            assert found.reason
            continue
        assert (answer.task, answer.agent, answer.attempt) in holders
        assert now <= 200.0
        gone = [
            *found.stop,
            *(one for one in held if (one.agent, one.attempt) == (answer.agent, answer.attempt)),
        ]
        held = [one for one in held if one not in gone or one.job.task != answer.task]
        won += [answer.task] if answer.won else []
    assert len(won) == len(set(won))


@pytest.mark.req("SCH-02")
@pytest.mark.parametrize(
    ("answer", "now", "word"),
    [
        (Answer(TaskId("t9"), "a", 1, True), NOW, "not running"),
        (Answer(TaskId("t1"), "b", 1, True), NOW, "does not hold"),
        (Answer(TaskId("t1"), "a", 0, True), NOW, "does not hold"),
        (Answer(TaskId("t1"), "a", 1, True), 230.0, "30 s after its time was up"),
    ],
)
def test_an_answer_that_does_not_count_says_why(answer: Answer, now: float, word: str) -> None:
    found = accept([running()], answer, now)
    assert isinstance(found, Ignored)
    assert word in found.reason


@pytest.mark.req("SCH-02")
def test_the_first_to_succeed_stops_the_other_runner_and_a_failure_does_not() -> None:
    pair = [running(), running(agent="b", attempt=2, speculative=True)]
    first = accept(pair, Answer(TaskId("t1"), "b", 2, True), NOW)
    assert first == Accepted(Answer(TaskId("t1"), "b", 2, True), (pair[0],))
    failed = accept(pair, Answer(TaskId("t1"), "b", 2, False), NOW)
    assert isinstance(failed, Accepted)
    assert failed.stop == ()


@pytest.mark.req("SCH-02")
def test_who_never_answers_is_overdue_and_the_job_goes_to_another() -> None:
    silent = running(lease_until=50.0)
    assert overdue([silent, running(agent="b")], NOW) == [silent]
    found = after_failure(silent.job, silent.agent, NOW)
    assert isinstance(found, Retry)
    assert (found.job.tried, found.job.attempts, found.at) == ({"a"}, 1, NOW + 1)


@pytest.mark.req("SCH-02")
@given(st.integers(1, 8))
def test_attempts_end_and_pauses_double(most: int) -> None:
    what, pauses = job(), []
    while isinstance(found := after_failure(what, f"a{what.attempts}", NOW, most), Retry):
        pauses.append(found.at - NOW)
        what = found.job
    assert isinstance(found, GivenUp)
    assert pauses == [2.0**n for n in range(most - 1)]
    assert str(most) in found.reason


@pytest.mark.req("SCH-02")
def test_a_lease_is_a_multiple_of_what_is_usual_but_not_beyond_the_deadline() -> None:
    assert lease(100.0, None, NOW) == NOW + 400
    assert lease(0.0, None, NOW) == NOW + 60
    assert lease(100.0, NOW + 10, NOW) == NOW + 10
    assert lease(100.0, NOW - 10, NOW) == NOW


urgent = job("urgent", priority=5)


@pytest.mark.req("SCH-02")
def test_the_least_urgent_that_began_last_gives_way_and_loses_nothing() -> None:
    old = running(job("old"), "a", started_at=1.0, resumable=True)
    new = running(job("new"), "b", started_at=9.0, resumable=True, kept="step 3")
    higher = running(job("high", priority=1), "c", started_at=50.0, resumable=True)
    found = preempt(urgent, [old, higher, new], frozenset("abc"))
    assert found is not None
    assert found.victim == new
    assert found.waits == new.job  # the same attempts, the same agents tried: as if it had never been given
    assert "goes on later from step 3" in found.reason


@pytest.mark.req("SCH-02")
@pytest.mark.parametrize(
    "held",
    [
        running(job("x"), resumable=False),
        running(job("x", priority=5), resumable=True),
        running(job("x", organization="globex"), resumable=True),
        running(job("x"), agent="cannot", resumable=True),
        running(job("x"), agent="author", resumable=True),
    ],
    ids=["would lose work", "as urgent", "of others", "not able", "wrote it"],
)
def test_nobody_gives_way_where_work_others_or_rules_would_suffer(held: Running) -> None:
    asked = replace(urgent, not_by=frozenset({"author"}))
    assert preempt(asked, [held], frozenset({"a", "author"})) is None


@pytest.mark.req("SCH-02")
def test_who_uses_more_than_its_share_gives_way_to_others() -> None:
    held = running(job("x", organization="globex"), resumable=True)
    found = preempt(urgent, [held], frozenset("a"), over_share=frozenset({"globex"}))
    assert found is not None
    assert found.victim == held


@pytest.mark.req("SCH-02")
def test_a_straggler_gets_a_second_run_by_somebody_else() -> None:
    slow = running(started_at=0.0, kind="fix")
    found = stragglers(
        [slow, running(job("t2"), "b", kind="fix", started_at=90.0)], {"fix": [10.0] * 9}, NOW, 4
    )
    assert [one.running for one in found] == [slow]
    assert "a" in found[0].job.not_by
    assert "has taken 100 s with a; three of four end within 10 s" in found[0].reason


@pytest.mark.req("SCH-02")
@pytest.mark.parametrize(
    ("others", "durations", "free"),
    [
        ([], {"fix": [10.0] * 4}, 4),
        ([], {}, 4),
        ([], {"fix": [10.0] * 9}, 0),
        ([], {"fix": [90.0] * 9}, 4),
        ([running(agent="b", attempt=2, speculative=True)], {"fix": [10.0] * 9}, 4),
    ],
    ids=["too few to compare", "unknown kind", "nobody free", "not late", "runs twice already"],
)
def test_no_second_run_without_a_good_reason(
    others: list[Running], durations: dict[str, list[float]], free: int
) -> None:
    assert stragglers([running(kind="fix"), *others], durations, NOW, free) == []


@pytest.mark.req("SCH-02")
@given(st.lists(st.floats(0, 99), max_size=60), st.integers(0, 9))
def test_second_runs_are_few(starts: list[float], free: int) -> None:
    held = [running(job(f"t{n}"), kind="fix", started_at=at) for n, at in enumerate(starts)]
    assert len(stragglers(held, {"fix": [1.0] * 9}, NOW, free)) <= min(free, max(1, len(held) // 10))


@pytest.mark.req("SCH-02")
def test_waiting_jobs_move_from_a_busy_agent_to_an_idle_one_that_is_about_as_good() -> None:
    def one(name: str, skill: float, load: int) -> Agent:
        return Agent(name, {"python": skill}, 2, load, {"python": measured(int(skill * 50), 50, NOW)})

    queue = {"busy": (job("t1"), job("t2"), job("t3"))}
    agents = [one("busy", 0.9, 2), one("idle", 0.86, 0), one("poor", 0.2, 0)]
    found = balance(agents, queue, NOW)
    assert [(move.job.task, move.target) for move in found] == [("t3", "idle"), ("t2", "idle")]
    assert "t3 waits at busy; idle: capability" in found[0].reason
    assert balance(reversed(agents), queue, NOW) == found
    assert balance(agents, {"gone": (job("t1"),)}, NOW) == []


@pytest.mark.req("SCH-01")
def test_registering_again_keeps_the_record_and_the_load() -> None:
    known = {"a": Agent("a", {"python": 0.5}, 2, 1, {"python": measured(0, 9, NOW)})}
    back = register(known, Agent("a", {"python": 7.0, "docs": -1.0}, 4, 0))["a"]
    assert back.capabilities == {"python": 1.0, "docs": 0.0}
    assert (back.load, back.record("python").tries, back.capacity) == (1, 9, 4)
    boastful = register(known, Agent("new", {"python": 1.0}, records={"python": measured(99, 99, NOW)}))[
        "new"
    ]
    assert boastful.records == {}


@pytest.mark.req("SCH-01")
@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (Agent("", {"python": 1.0}), InvalidInput),
        (Agent("x" * 300, {"python": 1.0}), InvalidInput),
        (Agent("x", {}), InvalidInput),
        (Agent("x", {"python": float("nan")}), InvalidInput),
        (Agent("x", {"python": 1.0}, capacity=0), InvalidInput),
        (Agent("x", {"python": 1.0}, capacity=10**9), InvalidInput),
        (Agent("x", {f"c{n}": 1.0 for n in range(65)}), LimitExceeded),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(bad: Agent, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        register({}, bad)


@pytest.mark.req("SCH-01")
def test_a_flood_of_agents_ends_at_the_most_there_can_be() -> None:
    one = Agent("a", {"python": 1.0})
    full = dict.fromkeys(map(str, range(registration.MOST_AGENTS)), one)
    with pytest.raises(LimitExceeded):
        register(full, one)
    assert register(full, replace(one, id="7"))["7"].capacity == 1


@pytest.mark.req("SCH-01")
def test_a_flood_of_urgent_jobs_does_not_starve_another_organization() -> None:
    flood = [job(f"f{n}", "loud", priority=9) for n in range(100)]
    order = fair_order([*flood, job("q1", "quiet"), job("q2", "quiet")])
    assert [one.task for one in order if one.organization == "quiet"] == ["q1", "q2"]
    assert {one.task for one in order[:4]} >= {"q1", "q2"}


@pytest.mark.req("SCH-01")
def test_weights_and_what_was_used_before_count() -> None:
    many = [job(f"{name}{n}", name) for name in ("big", "small") for n in range(30)]
    first = fair_order(many, Usage(weights={"big": 3.0}))[:20]
    assert sum(one.organization == "big" for one in first) == 15
    first = fair_order(many, Usage(organizations={"big": 10.0}))[:10]
    assert all(one.organization == "small" for one in first)


@pytest.mark.req("SCH-01")
@given(
    st.lists(
        st.builds(
            job,
            st.uuids().map(str),
            st.sampled_from("xyz"),
            st.sampled_from(["s1", "s2"]),
            priority=st.integers(0, 3),
            deadline=st.none() | st.floats(0, 9),
        ),
        unique_by=lambda one: one.task,
    )
)
def test_fair_order_loses_nothing_serves_all_alike_and_keeps_priorities_within_a_session(
    jobs: list[Job],
) -> None:
    order = fair_order(jobs)
    assert order == fair_order(list(reversed(jobs)))
    assert sorted(one.task for one in order) == sorted(one.task for one in jobs)
    for name in {(one.organization, one.session) for one in jobs}:
        own = [one.priority for one in order if (one.organization, one.session) == name]
        assert own == sorted(own, reverse=True)
    counts = {name: sum(one.organization == name for one in jobs) for name in {j.organization for j in jobs}}
    least = min(counts.values(), default=0)
    for name in counts:
        assert sum(one.organization == name for one in order[: least * len(counts)]) == least
