"""The counts reports and the terminal tell are exact."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen.domain.finding import Severity
from bullpen.domain.session import Stage
from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.domain.work_item import ItemState
from bullpen.flow.reports import story
from bullpen.flow.reports.base import ItemStory
from bullpen.flow.reports.changes import landed_changes
from bullpen.flow.reports.formats.json import document
from bullpen.flow.reports.timeline import timeline

pytestmark = pytest.mark.req("IMP-03")

items = st.lists(
    st.tuples(st.sampled_from(ItemState), st.booleans(), st.sampled_from(["", "tidy"])), max_size=30
)
outcomes = st.dictionaries(st.integers(0, 12).map("t::{}".format), st.sampled_from(TestOutcome))


def _stories(made: SimpleNamespace, states: list[tuple[ItemState, bool, str]]) -> list[ItemStory]:
    return [
        ItemStory(made.item(number, state, worked=worked, recipe=recipe), None, b"")
        for number, (state, worked, recipe) in enumerate(states)
    ]


def _suite(results: dict[str, TestOutcome]) -> TestReport:
    told = tuple(TestResult(name, outcome) for name, outcome in results.items())
    return TestReport("pytest", (), SuiteEnd.FINISHED, told)


@given(states=items)
@settings(max_examples=60, deadline=None)
def test_every_item_is_counted_once(made: SimpleNamespace, states: list[tuple[ItemState, bool, str]]) -> None:
    report = made.run_report(told=_stories(made, states))
    groups = story.by_outcome(report)
    counted = [one.item.id for stories in groups.values() for one in stories]
    assert sorted(counted) == sorted(one.item.id for one in report.stories)
    undone = sum(len(group.stories) for group in story.undone_groups(report))
    assert len(landed_changes(report)) + undone == len(states)
    assert sum(document(report).counts.values()) == len(states)


@given(states=items)
@settings(max_examples=60, deadline=None)
def test_landed_is_done_and_nothing_else_is(
    made: SimpleNamespace, states: list[tuple[ItemState, bool, str]]
) -> None:
    report = made.run_report(told=_stories(made, states))
    landed = story.by_outcome(report)[story.Outcome.LANDED]
    assert len(landed) == sum(state is ItemState.DONE for state, _worked, _recipe in states)


@given(before=outcomes, after=outcomes)
@settings(max_examples=60, deadline=None)
def test_tests_add_up(
    made: SimpleNamespace, before: dict[str, TestOutcome], after: dict[str, TestOutcome]
) -> None:
    report = replace(made.run_report(), tests_before=_suite(before), tests_after=_suite(after))
    assert story.tally(report.tests_before).total == len(before)
    passed = {name for name, outcome in before.items() if outcome is TestOutcome.PASSED}
    kept = {name for name in passed if after.get(name) is TestOutcome.PASSED}
    assert len(kept) + len(story.regressions(report)) == len(passed)
    assert not set(story.regressions(report)) & set(story.mended_tests(report))


@given(
    before=st.lists(st.sampled_from(Severity)),
    after=st.lists(st.sampled_from(Severity)),
    most=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_findings_add_up(
    made: SimpleNamespace, before: list[Severity], after: list[Severity], most: int
) -> None:
    old = tuple(made.finding(number, severity) for number, severity in enumerate(before))
    new = tuple(made.finding(number, severity) for number, severity in enumerate(after))
    report = replace(made.run_report(), before=old, after=new)
    for series in (story.findings_by_severity(report), story.findings_by_concern(report)):
        assert sum(one.before for one in series) == len(before)
        assert sum(one.after for one in series) == len(after)
    left = story.findings_left(report, most)
    assert len(left.shown) + sum(count for _name, count in left.rest) == len(after)
    assert [one.severity for one in left.shown] == sorted((one for one in after), reverse=True)[:most]
    assert sum(voice.before for voice in story.voices(report)) <= len(before)


def test_every_outcome_has_a_way_out_except_landed(made: SimpleNamespace) -> None:
    groups = story.undone_groups(made.run_report())
    assert {group.outcome for group in groups} == set(story.Outcome) - {story.Outcome.LANDED}
    assert all(group.way for group in groups)


def test_the_headline_counts_items_with_a_recipe_and_regressions(made: SimpleNamespace) -> None:
    report = made.run_report()
    assert story.headline(report).sentence == "3 of 9 items with a recipe landed as commits; 1 regression."
    assert story.headline(report).detail.endswith("; 1 item waits for your yes.")
    assert story.headline(report).tone is story.Tone.BAD
    calm = replace(report, tests_after=report.tests_before)
    assert story.headline(calm).sentence.endswith("; 0 regressions.")
    assert story.headline(calm).tone is story.Tone.GOOD


@pytest.mark.parametrize(
    ("told", "tone", "words"),
    [
        ((), story.Tone.QUIET, "none of which makes an item"),
        ((ItemState.READY,), story.Tone.QUIET, "1 item found, none landed: nothing was worked on."),
        ((ItemState.BLOCKED,), story.Tone.QUIET, "none of 1 attempt could be proved"),
    ],
)
def test_a_run_without_commits_says_so(
    made: SimpleNamespace, told: tuple[ItemState, ...], tone: story.Tone, words: str
) -> None:
    stories = [ItemStory(made.item(0, one, worked=one is ItemState.BLOCKED), None, b"") for one in told]
    headline = story.headline(made.run_report(told=stories))
    assert words in headline.sentence
    assert headline.tone is tone


def test_what_was_not_looked_at_again_is_not_called_free_of_regressions(made: SimpleNamespace) -> None:
    report = replace(made.run_report(), looked_again=False)
    assert "regression" not in story.headline(report).sentence
    assert "no second look" in story.headline(report).detail


def test_a_failed_session_says_so_first(made: SimpleNamespace) -> None:
    report = made.run_report()
    failed = replace(report, session=replace(report.session, stage=Stage.FAILED))
    assert story.headline(failed).sentence == "The session failed; 3 commits had landed."


def test_coverage_tells_only_files_that_changed(made: SimpleNamespace) -> None:
    report = made.run_report()
    (change,) = story.coverage_changes(report)
    assert (change.path, change.lines_before, change.lines_after) == ("src/a.py", 9, 11)
    assert change.before == pytest.approx(8 / 9)
    assert change.after == pytest.approx(8 / 11)
    assert story.coverage_changes(replace(report, tests_after=report.tests_before)) == ()
    unmeasured = replace(report, tests_after=replace(report.tests_after, coverage=None))
    assert story.coverage_shares(unmeasured)[1] is None
    assert story.coverage_changes(unmeasured) == ()


def test_spans_follow_each_other_from_start_to_end(made: SimpleNamespace) -> None:
    line = timeline(made.run_report())
    assert line.seconds == 10
    assert [(one.name, one.start, one.end) for one in line.spans] == [
        ("opening the repository", 0, 1),
        ("tests and analysers", 1, 3),
        ("planning", 3, 4),
        ("wave 1", 4, 6),
        ("wave 2", 6, 8),
        ("second look", 8, 9),
        ("handing over", 9, 10),
    ]
    assert [(mark.at, mark.changes) for mark in line.landings] == [(6, 2), (8, 1)]


def test_commits_are_in_the_order_of_the_branch(made: SimpleNamespace) -> None:
    landed = landed_changes(made.run_report())
    assert [(one.number, one.item.id) for one in landed] == [
        (1, "item-0001"),
        (2, "item-0000"),
        (3, "item-0002"),
    ]


def test_the_branch_of_a_url_is_fetched_and_that_of_a_checkout_is_not(made: SimpleNamespace) -> None:
    report = made.run_report()
    assert story.take_commands(replace(report, where="/home/me/a b"))[0] == "cd '/home/me/a b'"
    fetched = story.take_commands(replace(report, where=report.mirror))[0]
    assert fetched.startswith(f"git fetch {report.mirror} ")
    assert story.take_commands(replace(report, branch="")) == ()
