"""Patterns, performance and adapting: what stands out is found, flukes are not, and bad trials are taken back."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.money import Money
from bullpen.domain.tuning import Tuned
from bullpen.insights.adapt import Crowding, Limits, Trial, propose, review
from bullpen.insights.intervals import chance_of_equal, discoveries, wilson
from bullpen.insights.patterns import find_patterns
from bullpen.insights.performance import Trend, performance, trend
from bullpen.insights.runs import Factor, FinishedRun


def runs(won: int, tries: int, at: float = 0.0, **other: object) -> list[FinishedRun]:
    """``tries`` runs a second apart, of which ``won`` succeed, spread evenly."""
    words = {
        "kind": "security",
        "shape": "single",
        "agent": "a",
        "role": "developer",
        "model": "m",
        "recipe": "",
    }
    words |= other  # type: ignore[arg-type]
    marks = [n * won // tries != (n + 1) * won // tries for n in range(tries)]
    return [
        FinishedRun(**words, succeeded=mark, seconds=10.0, cost=Money(100), at=at + n)  # type: ignore[arg-type]
        for n, mark in enumerate(marks)
    ]


@pytest.mark.req("LRN-02")
@pytest.mark.parametrize(
    ("successes", "tries", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
        (0, 0, 0, 1),
    ],
)
def test_wilsons_interval_is_the_published_one(successes: int, tries: int, low: float, high: float) -> None:
    """The fourth is the example of Newcombe (1998), table I, method 3."""
    found = wilson(successes, tries)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.req("LRN-02")
@given(st.integers(0, 300), st.integers(0, 300))
def test_an_interval_holds_its_share_and_narrows_with_confidence(won: int, lost: int) -> None:
    wide, narrow = wilson(won, won + lost, 0.99), wilson(won, won + lost, 0.8)
    assert 0 <= wide.low <= narrow.low <= narrow.rate or won + lost == 0
    assert narrow.rate <= narrow.high <= wide.high <= 1


@pytest.mark.req("LRN-01")
def test_fishers_test_is_the_published_one() -> None:
    """The tea-tasting lady: 3 of 4 against 1 of 4."""
    assert chance_of_equal(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert chance_of_equal(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert chance_of_equal(0, 0, 5, 9) == 1.0
    assert chance_of_equal(1100, 2000, 1000, 2000) == pytest.approx(0.0017, abs=2e-4)


@pytest.mark.req("LRN-01")
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_a_chance_is_a_chance_and_the_sides_are_alike(a: int, b: int, c: int, d: int) -> None:
    chance = chance_of_equal(a, a + b, c, c + d)
    assert 0 <= chance <= 1
    assert chance == pytest.approx(chance_of_equal(c, c + d, a, a + b))
    assert chance == pytest.approx(chance_of_equal(b, a + b, d, c + d))


@pytest.mark.req("LRN-01")
def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    """The example of their paper: four of fifteen."""
    published = (
        "0.0001 0.0004 0.0019 0.0095 0.0201 0.0278 0.0298 0.0344 0.0459 0.3240 0.4262 0.5719 0.6528 0.7590 1"
    )
    assert sum(discoveries([float(one) for one in published.split()])) == 4
    assert discoveries([]) == []


@pytest.mark.req("LRN-01")
def test_what_makes_a_difference_is_found_with_its_kind_and_said_in_one_sentence() -> None:
    good, bad = runs(20, 20, recipe="timeouts"), runs(5, 20, recipe="guess")
    other_kind = [*runs(10, 20, kind="qa", recipe="timeouts"), *runs(10, 20, kind="qa", recipe="guess")]
    found = find_patterns([*good, *bad, *other_kind])
    assert {(one.kind, one.factor, one.value, one.better) for one in found} == {
        ("security", Factor.RECIPE, "timeouts", True),
        ("security", Factor.RECIPE, "guess", False),
    }
    sentence = next(one.sentence for one in found if one.better)
    assert sentence.startswith(
        "security items: recipe 'timeouts' succeeds in 20 of 20 (100%, between 84% and 100%)"
    )


@pytest.mark.req("LRN-01")
def test_too_few_runs_are_no_pattern_and_luck_rarely_is() -> None:
    assert find_patterns([*runs(7, 7, agent="a"), *runs(0, 50, agent="b")]) == []
    source = random.Random(5)  # noqa: S311 - luck, not secrets
    reports = 0
    for _ in range(40):
        same = [
            one
            for name in "abcde"
            for one in runs(sum(source.random() < 0.5 for _ in range(30)), 30, agent=name, model=name * 2)
        ]
        reports += bool(find_patterns(same))
    assert reports <= 5  # of 40 in which there is nothing to find


@pytest.mark.req("LRN-02")
def test_one_lucky_run_is_not_at_the_top_and_figures_are_right() -> None:
    every = [
        *runs(1, 1, agent="lucky"),
        *runs(45, 50, agent="steady"),
        *runs(0, 5, agent="poor"),
        *runs(1, 1, agent=""),
    ]
    found = performance(every, Factor.AGENT)
    assert [one.name for one in found] == ["steady", "lucky", "poor"]
    steady, _, poor = found
    assert (steady.success.rate, steady.cost, steady.cost_of_success) == (0.9, Money(5000), Money(111))
    assert (poor.cost_of_success, steady.median_seconds, steady.rework) == (None, 10.0, 0.0)
    assert steady.sentence.startswith("steady: 45 of 50 (90%, between 79% and 96%), median 10 s, ")


@pytest.mark.req("LRN-02")
@pytest.mark.parametrize(
    ("early", "late", "wanted"),
    [(5, 18, Trend.BETTER), (18, 5, Trend.WORSE), (10, 12, Trend.STEADY)],
)
def test_a_trend_is_told_from_noise(early: int, late: int, wanted: Trend) -> None:
    both = [*runs(early, 20), *runs(late, 20, at=100.0)]
    assert trend(both) is wanted
    assert trend(both[::-1]) is wanted
    assert trend([*runs(0, 9), *runs(9, 9, at=100.0)]) is Trend.STEADY


SETTINGS = Tuned({"security": ("a", "b", "new")}, ("m", "n"), retries=2, parallel=4)


@pytest.mark.req("LRN-03")
def test_routes_and_fallback_follow_what_was_measured_and_nobody_is_left_out() -> None:
    measured = [*runs(5, 40, agent="a", model="m"), *runs(38, 40, agent="b", model="n")]
    found = propose(SETTINGS, measured, 99.0, enabled=True)
    assert found is not None
    assert found.settings.routes == {"security": ("b", "a", "new")}
    assert found.settings.fallback == ("n", "m")
    assert (found.before, found.began) == (SETTINGS, 99.0)
    assert any("b before a: 38 of 40" in one for one in found.reasons)


@pytest.mark.req("LRN-03")
def test_nothing_is_tried_without_the_flag_or_without_evidence() -> None:
    measured = [*runs(5, 40, agent="a"), *runs(38, 40, agent="b")]
    assert propose(SETTINGS, measured, 0.0, enabled=False) is None
    assert propose(SETTINGS, [], 0.0, enabled=True) is None
    assert propose(SETTINGS, [*runs(1, 9, agent="a"), *runs(9, 9, agent="b")], 0.0, enabled=True) is None
    assert propose(SETTINGS, [*runs(20, 40, agent="a"), *runs(24, 40, agent="b")], 0.0, enabled=True) is None


@pytest.mark.req("LRN-03")
@pytest.mark.parametrize(
    ("won", "start", "wanted"), [(30, 2, 3), (0, 2, 1), (5, 2, 2), (30, 5, 5), (0, 0, 0)]
)
def test_retries_follow_what_the_last_try_is_worth_within_bounds(won: int, start: int, wanted: int) -> None:
    settings = Tuned(retries=start)
    found = propose(settings, runs(won, 90, rework=start), 0.0, enabled=True)
    assert (found.settings if found else settings).retries == wanted


@pytest.mark.req("LRN-03")
@pytest.mark.parametrize(
    ("here", "there", "start", "wanted"),
    [
        (Crowding(4, 100, 0, 50), Crowding(5, 100, 0, 50), 4, 5),
        (Crowding(4, 100, 0, 50), Crowding(5, 200, 0, 50), 4, 4),
        (Crowding(4, 100, 25, 50), Crowding(3, 100, 0, 50), 4, 3),
        (Crowding(4, 100, 0, 50), Crowding(5, 100, 0, 5), 4, 4),
        (Crowding(16, 100, 0, 50), Crowding(17, 50, 0, 50), 16, 16),
    ],
)
def test_parallelism_follows_throughput_within_bounds(
    here: Crowding, there: Crowding, start: int, wanted: int
) -> None:
    settings = Tuned(parallel=start)
    found = propose(settings, [], 0.0, enabled=True, crowding=[here, there])
    assert (found.settings if found else settings).parallel == wanted


TRIAL = Trial(Tuned(retries=3), Tuned(retries=2), 1000.0, ())


@pytest.mark.req("LRN-03")
def test_worse_results_bring_the_earlier_settings_back() -> None:
    found = review(TRIAL, [*runs(45, 50), *runs(20, 50, at=1000.0)], enabled=True)
    assert (found.settings, found.trial, found.reverted) == (TRIAL.before, None, True)
    assert "Results got worse (before 45 of 50" in found.reason


@pytest.mark.req("LRN-03")
def test_too_few_runs_conclude_nothing_and_a_good_trial_is_kept_in_the_end() -> None:
    early = review(TRIAL, [*runs(45, 50), *runs(0, 19, at=1000.0)], enabled=True)
    assert (early.trial, early.reverted) == (TRIAL, False)
    trial: Trial | None = TRIAL
    for look in range(1, 11):
        assert trial is not None
        so_far = [*runs(40, 50), *runs(16 * look, 20 * look, at=1000.0)]
        found = review(trial, so_far, enabled=True)
        if found.trial:
            assert review(found.trial, so_far, enabled=True).trial == found.trial  # nothing new, so no look
        trial = found.trial
        assert (trial is None) == (look == 10)
    assert found.settings == TRIAL.settings


@pytest.mark.req("LRN-03")
def test_switching_it_off_goes_back_at_once() -> None:
    assert review(TRIAL, [], enabled=False).settings == TRIAL.before


@pytest.mark.req("LRN-03")
def test_a_trial_that_changes_nothing_is_rarely_taken_back_and_a_harmful_one_nearly_always() -> None:
    """Simulated: a look every 20 runs, ten looks."""
    source = random.Random(11)  # noqa: S311 - luck, not secrets

    def taken_back(rate: float) -> bool:
        seen = [one for n in range(100) for one in runs(int(source.random() < 0.8), 1, at=float(n))]
        trial: Trial | None = TRIAL
        while trial is not None:
            at = 1000.0 + len(seen)
            seen += [one for _ in range(20) for one in runs(int(source.random() < rate), 1, at=at)]
            found = review(trial, seen, enabled=True, limits=Limits())
            trial = found.trial
        return found.reverted

    assert sum(taken_back(0.8) for _ in range(60)) <= 6
    assert sum(taken_back(0.5) for _ in range(60)) >= 54


@pytest.mark.req("LRN-03")
@pytest.mark.parametrize(
    ("count", "seconds", "start", "wanted"),
    [(58, 10.0, 1800.0, 1800.0), (59, 10.0, 1800.0, 60.0), (59, 100.0, 1800.0, 400.0), (59, 300.0, 1800.0, 1800.0),
     (59, 55.0, 60.0, 220.0), (59, 10.0, 0.0, 0.0)],
)  # fmt: skip
def test_the_time_of_an_item_follows_the_longest_success_of_who_has_enough(
    count: int, seconds: float, start: float, wanted: float
) -> None:
    settings = Tuned(seconds=start)
    measured = [replace(one, seconds=seconds) for one in runs(count, count, agent="quick")]
    measured += [replace(one, seconds=900.0) for one in runs(5, 5, agent="slow")]
    found = propose(settings, measured, 0.0, enabled=True)
    assert (found.settings if found else settings).seconds == wanted
    assert (found.settings.timed if found else ()) == (("quick",) if wanted != start else ())


@pytest.mark.req("LRN-03")
@pytest.mark.parametrize(("conflicts", "count", "wanted"), [(0, 100, 5), (0, 40, 4), (40, 80, 3), (8, 80, 4)])
def test_a_width_that_was_never_tried_is_tried_by_the_share_of_conflicts(
    conflicts: int, count: int, wanted: int
) -> None:
    settings = Tuned(parallel=4)
    found = propose(settings, [], 0.0, enabled=True, crowding=[Crowding(4, 10.0, conflicts, count)])
    assert (found.settings if found else settings).parallel == wanted


@pytest.mark.req("LRN-02")
def test_a_trend_parts_no_session() -> None:
    one = [replace(run, session="a") for run in [*runs(20, 20), *runs(0, 20, at=100.0)]]
    assert trend(one) is Trend.STEADY
    two = [
        *(replace(run, session="a") for run in runs(5, 20)),
        *(replace(run, session="b") for run in runs(20, 22, at=99.0)),
    ]
    assert trend(two) is Trend.BETTER
