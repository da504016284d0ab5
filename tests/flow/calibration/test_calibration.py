"""The judge against labelled sets: nothing bad of the first is kept; the others were labelled before anything was judged.

Runs of pytest are forks of one warm process here; ``bench.judge_calibration`` starts each anew.
"""

from pathlib import Path

import pytest

from bullpen.domain.errors import Missing
from bullpen.flow.calibration.calibrate import Calibration, calibrate
from bullpen.flow.calibration.court import open_court
from bullpen.flow.calibration.labelled import LabelledSet, read_set
from bullpen.kernel.settings import read_settings

FOLDER = Path(__file__).parent
HELD_OUT = FOLDER / "held_out"
HELD_OUT_2 = FOLDER / "held_out_2"
KNOWN = {  # decided otherwise than labelled, each with its reason in docs/benchmarks.md
    HELD_OUT: {
        "only the beginning of a signature counts",
        *("a command becomes a list of arguments", "the spool is for its owner alone"),
        "a receiver that hangs does not hold a delivery for ever",
        "a state is cloned, not written and read",
    },
    HELD_OUT_2: {
        *("every fault of reading is swallowed", "quotes are doubled and the query stays text"),
        *("a name is a parameter of the query", "an argument of a script is quoted"),
        "a banner is made without an empty placeholder, and tested",
    },
}


async def calibrated(home: Path, labelled: LabelledSet) -> Calibration:
    try:
        async with open_court(read_settings(home=home, test_seconds=15), labelled, warm=True) as court:
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
@pytest.mark.parametrize("folder", [HELD_OUT, HELD_OUT_2], ids=lambda folder: folder.name)
async def test_the_held_out_sets_are_decided_no_worse_than_they_were(tmp_path: Path, folder: Path) -> None:
    found = await calibrated(tmp_path, read_set(folder))
    known = KNOWN[folder]
    wrong = {one.change.name for one in (*found.false_accepts, *found.false_refusals)}
    assert wrong <= known, wrong - known


@pytest.mark.parametrize(
    ("folder", "at_least", "good_at_least"), [(FOLDER, 40, 10), (HELD_OUT, 60, 20), (HELD_OUT_2, 40, 20)]
)
def test_a_set_is_large_and_of_both_kinds(folder: Path, at_least: int, good_at_least: int) -> None:
    changes = read_set(folder).changes
    good = sum(change.good for change in changes)
    assert len(changes) >= at_least
    assert good >= good_at_least
    assert len(changes) - good >= good_at_least
