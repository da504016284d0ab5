"""The judge against labelled sets: nothing bad of the first is kept; the second was never used to choose anything."""

from pathlib import Path

import pytest

from bullpen.domain.errors import Missing
from bullpen.flow.calibration.calibrate import Calibration, calibrate
from bullpen.flow.calibration.court import open_court
from bullpen.flow.calibration.labelled import LabelledSet, read_set
from bullpen.kernel.settings import read_settings

FOLDER = Path(__file__).parent
HELD_OUT = FOLDER / "held_out"
KNOWN_FALSE_ACCEPTS = frozenset(
    {
        "only the beginning of a signature counts",
        "the project's style is broken",
        "a state is copied at the top only",
    }
)
KNOWN_FALSE_REFUSALS = frozenset(
    {
        "a command becomes a list of arguments",
        "the spool is for its owner alone",
        "a receiver that hangs does not hold a delivery for ever",
        "an error is made in one call",
    }
)


async def calibrated(home: Path, labelled: LabelledSet) -> Calibration:
    try:
        async with open_court(read_settings(home=home, test_seconds=60), labelled) as court:
            return await calibrate(court, labelled.changes)
    except Missing as error:
        pytest.skip(error.sentence)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.req("WFL-05", "IMP-06")
async def test_nothing_bad_is_kept_and_nearly_everything_good_is(tmp_path: Path) -> None:
    found = await calibrated(tmp_path, read_set(FOLDER))
    assert [one.change.name for one in found.false_accepts] == []
    assert found.accuracy >= 0.95, [one.change.name for one in found.false_refusals]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.req("WFL-05")
async def test_the_held_out_set_is_decided_no_worse_than_it_was(tmp_path: Path) -> None:
    found = await calibrated(tmp_path, read_set(HELD_OUT))
    known = KNOWN_FALSE_ACCEPTS | KNOWN_FALSE_REFUSALS
    wrong = {one.change.name for one in (*found.false_accepts, *found.false_refusals)}
    assert wrong <= known, wrong - known


@pytest.mark.parametrize(("folder", "at_least", "good_at_least"), [(FOLDER, 40, 10), (HELD_OUT, 60, 20)])
def test_a_set_is_large_and_of_both_kinds(folder: Path, at_least: int, good_at_least: int) -> None:
    changes = read_set(folder).changes
    good = sum(change.good for change in changes)
    assert len(changes) >= at_least
    assert good >= good_at_least
    assert len(changes) - good >= good_at_least
