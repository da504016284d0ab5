"""The judge against the labelled set: nothing bad is kept."""

from pathlib import Path

import pytest

from bullpen.domain.errors import InvalidInput, Missing
from bullpen.flow.calibration.calibrate import bare_means, calibrate, open_court
from bullpen.flow.calibration.labelled import Edit, edited, read_labelled, read_project
from bullpen.kernel.settings import read_settings
from bullpen.kernel.storage.database import open_store
from bullpen.sandbox.choose import choose_sandbox

FOLDER = Path(__file__).parent
PROJECT = FOLDER / "project" / "shop.toml"


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.req("WFL-05", "IMP-06")
async def test_nothing_bad_is_kept_and_nearly_everything_good_is(tmp_path: Path) -> None:
    try:
        sandbox, _probe = await choose_sandbox()
    except Missing as error:
        pytest.skip(error.sentence)
    settings = read_settings(home=tmp_path, test_seconds=60)
    store = await open_store(settings.database)
    means = bare_means(settings, store, sandbox)
    try:
        found = await calibrate(await open_court(means, read_project(PROJECT)), read_labelled(FOLDER))
    finally:
        await store.close()
    assert [one.change.name for one in found.false_accepts] == []
    assert found.accuracy >= 0.95, [one.change.name for one in found.false_refusals]


def test_the_set_is_large_and_of_both_kinds() -> None:
    changes = read_labelled(FOLDER)
    good = sum(change.good for change in changes)
    assert len(changes) >= 40
    assert good >= 10
    assert len({change.name for change in changes}) == len(changes)


@pytest.mark.parametrize("change", read_labelled(FOLDER), ids=lambda change: change.name)
def test_every_change_fits_the_project_and_changes_it(change: object) -> None:
    files = read_project(PROJECT)
    (labelled,) = [one for one in read_labelled(FOLDER) if one == change]
    changed = edited(files, labelled.edit)
    assert changed
    assert any(files.get(path) != content for path, content in changed.items())


def test_a_text_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInput, match="exactly once"):
        edited({"a": b"x"}, [Edit(path="a", old="y", new="z")])
