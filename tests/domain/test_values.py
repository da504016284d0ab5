"""Values of the vocabulary: money, identifiers, actors, errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain import errors
from bullpen.domain.actor import Scope, agent_actor, local_person
from bullpen.domain.errors import BullpenError, InvalidInput, PermissionRefused
from bullpen.domain.ids import OrganizationId, derived_id, new_id
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.domain.test_report import Coverage, FileCoverage, SuiteEnd, TestOutcome, TestReport, TestResult


@pytest.mark.parametrize(
    ("text", "micro"),
    [("1.50", 1_500_000), ("$1.50", 1_500_000), (" $0.000001 ", 1), ("0", 0), ("1e3", 1_000_000_000)],
)
def test_amounts_are_read_exactly(text: str, micro: int) -> None:
    assert Money.parse(text) == Money(micro)


@pytest.mark.parametrize("text", ["", "x", "$", "-1", "0.0000001", "NaN", "inf", "1,50", "$$1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not an amount") as refused:
        Money.parse(text)
    assert refused.value.remedy == "Write it like 2.50."


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_sums_are_exact_and_amounts_ordered(one: int, two: int) -> None:
    assert Money(one) + Money(two) == Money(one + two)
    assert (Money(one) < Money(two)) is (one < two)
    assert Money.parse(f"{one // 1_000_000}.{one % 1_000_000:06}") == Money(one)


def test_amounts_are_shown_in_cents() -> None:
    assert [str(Money(n)) for n in (0, 1_500_000, 5_000)] == ["$0.00", "$1.50", "$0.00"]


def test_identifiers() -> None:
    names = {new_id("ses") for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == 14 and name.startswith("ses-") for name in names)
    assert set("".join(name[4:] for name in names)) <= set("0123456789abcdefghjkmnpqrstvwxyz")
    assert len(new_id("x", 3)) == 5


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1, max_size=4))
def test_derived_identifiers_depend_on_every_part(parts: list[str]) -> None:
    assert derived_id("itm", *parts) == derived_id("itm", *parts)
    assert derived_id("itm", *parts) != derived_id("itm", *parts, "")
    assert len(derived_id("itm", *parts, length=20)) == 24
    assert derived_id("itm", *parts, length=20).startswith(derived_id("itm", *parts))


def test_derived_identifiers_stay_the_same_between_versions() -> None:
    assert derived_id("itm", "a", "b\udcff") == derived_id("itm", "a", "b\udcff")
    assert derived_id("itm", "ab", "c") != derived_id("itm", "a", "bc")


def test_agents_never_approve() -> None:
    agent = agent_actor(OrganizationId("o"), "judge")
    assert agent.id == "agent:judge"
    assert agent.organization_id == "o"
    assert agent.scopes == {Scope.READ, Scope.RUN, Scope.WORK_WRITE}
    with pytest.raises(
        PermissionRefused, match=r"agent:judge may not do this: the scope 'approve' is missing"
    ):
        agent.require(Scope.APPROVE)
    for scope in Scope:
        local_person().require(scope)


def test_the_error_tree() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BullpenError)
    ]
    assert len({kind.code for kind in kinds}) == len(kinds) == 9
    statuses = {kind.__name__: (kind.status, kind.exit_status) for kind in kinds}
    assert statuses == {
        "BullpenError": (500, 1), "InvalidInput": (400, 2), "UnusableRepository": (400, 2),
        "PermissionRefused": (403, 3), "NotFound": (404, 2), "Conflict": (409, 4), "LimitExceeded": (429, 5),
        "Missing": (424, 6), "Unavailable": (503, 7),
    }  # fmt: skip
    error = InvalidInput("No.", remedy="Yes.", code="odd", data={"a": "b"})
    assert (str(error), error.sentence, error.remedy, error.code, error.data) == (
        "No.", "No.", "Yes.", "odd", {"a": "b"},
    )  # fmt: skip
    assert (InvalidInput("No.").code, InvalidInput("No.").remedy, dict(InvalidInput("No.").data)) == (
        "invalid-input", "", {},
    )  # fmt: skip


def test_which_tasks_have_ended() -> None:
    assert {one for one in TaskState if not one.is_final} == {TaskState.WAITING, TaskState.RUNNING}


def test_reports_of_tests() -> None:
    results = tuple(TestResult(outcome.value, outcome) for outcome in TestOutcome)
    report = TestReport("pytest", (), SuiteEnd.FINISHED, results)
    assert report.passed() == {"passed"}
    assert report.failed() == {"failed", "error"}


def test_shares_of_coverage() -> None:
    some, none = FileCoverage(frozenset({1, 2, 3}), frozenset({4})), FileCoverage(frozenset(), frozenset())
    assert (some.share, none.share) == (0.75, 1.0)
    assert Coverage({"a": some, "b": none}).share == 0.75
    assert Coverage({"a": some, "b": FileCoverage(frozenset(), frozenset({1, 2}))}).share == 0.5
    assert Coverage({}).share == 1.0
