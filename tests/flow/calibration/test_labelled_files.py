"""Files of labelled changes: what fits, and what is said of what does not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.flow.calibration.court import open_court, require_fit
from bullpen.flow.calibration.labelled import (
    Edit,
    LabelledChange,
    Project,
    edited,
    read_project,
    read_set,
)
from bullpen.kernel.settings import read_settings

FOLDER = Path(__file__).parent
SETS = (FOLDER, FOLDER / "held_out", FOLDER / "held_out_2")
LABELLED = [read_set(folder) for folder in SETS]
ALL = [(one.project, change) for one in LABELLED for change in one.changes]

CHANGE = """\
# a set

[[change]]
name = "first"
good = true
why = "x"
rule = "ruff:F401"
path = "a.py"
[[change.edit]]
path = "a.py"
old = "import os"
new = ""

[[change]]
name = "second"
good = "perhaps"
why = "x"
rule = "ruff:F401"
path = "a.py"
edit = []
"""
PROJECT = '[files]\n"a.py" = "import os\\n"\n'


def written(folder: Path, changes: str, project: str = PROJECT) -> Path:
    (folder / "project").mkdir()
    (folder / "project" / "own.toml").write_text(project, "utf-8")
    (folder / "changes.toml").write_text(changes, "utf-8")
    return folder


@pytest.mark.parametrize(("project", "change"), ALL, ids=lambda one: getattr(one, "name", ""))
def test_every_change_fits_its_project_and_changes_it(project: Project, change: LabelledChange) -> None:
    require_fit(project, change)


def test_a_text_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInput, match="exactly once"):
        edited({"a": b"x"}, [Edit(path="a", old="y", new="z")])


def test_a_change_of_nothing_is_refused() -> None:
    change = LabelledChange(
        name="n", good=False, why="w", rule="r", path="a", edit=(Edit(path="a", old="x", new="x"),)
    )
    with pytest.raises(InvalidInput, match="n: it changes nothing"):
        require_fit(Project({"a": b"x"}), change)
    require_fit(
        Project({"a": b"x"}),
        change.model_copy(update={"edit": (Edit(path="a", old="x", new="x", mode="755"),)}),
    )


@given(st.text(), st.text(min_size=1), st.text(), st.text())
def test_an_edit_puts_the_new_text_in_place_of_the_old(before: str, old: str, new: str, after: str) -> None:
    content = f"{before}{old}{after}".encode("utf-8", "surrogatepass")
    if content.count(old.encode("utf-8", "surrogatepass")) == 1:
        changed = edited({"a": content}, [Edit(path="a", old=old, new=new)])
        assert changed == {"a": f"{before}{new}{after}".encode()}


@pytest.mark.req("WFL-05")
def test_a_label_that_is_none_is_named_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_set(written(tmp_path, CHANGE))
    assert f"{tmp_path / 'changes.toml'}, line 16: change 2: good:" in caught.value.sentence
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ('why = "x"\n', "", "line 3: change 1: why: Field required"),
        ("good = true", "good = tru", "line 5: this is not TOML"),
        ('old = "import os"', 'odl = "import os"', "line 11: change 1: edit.odl: Extra inputs"),
        ("# a set", "title = 1", "line 1: only [[change]] tables"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_line(
    tmp_path: Path, was: str, now: str, words: str
) -> None:
    text = CHANGE.replace('good = "perhaps"', "good = false").replace(was, now, 1)
    with pytest.raises(InvalidInput) as caught:
        read_set(written(tmp_path, text))
    assert words in caught.value.sentence
    assert str(tmp_path / "changes.toml") in caught.value.sentence
    assert caught.value.remedy


def test_two_changes_of_one_name_are_refused(tmp_path: Path) -> None:
    text = CHANGE.replace('good = "perhaps"', "good = false").replace('"second"', '"first"')
    with pytest.raises(InvalidInput, match="two changes are called 'first'"):
        read_set(written(tmp_path, text))


def test_a_folder_without_a_project_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds 0 TOML files") as caught:
        read_set(tmp_path)
    assert "project/NAME.toml" in caught.value.remedy


def test_a_folder_without_changes_says_so(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "own.toml").write_text(PROJECT, "utf-8")
    with pytest.raises(InvalidInput, match="no labelled change"):
        read_set(tmp_path)


@pytest.mark.parametrize("text", ["[files]\n'a' = 1\n", "files = 3\n", "[files]\n[more]\n"])
def test_a_project_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=r"p\.toml, line \d"):
        read_project(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_project(path)


async def test_an_edit_that_does_not_fit_is_told_before_anything_runs(tmp_path: Path) -> None:
    text = CHANGE.replace('good = "perhaps"', "good = false").replace('"import os"', '"import sys"')
    labelled = read_set(written(tmp_path, text))
    home = tmp_path / "home"
    with pytest.raises(InvalidInput, match=r"first: a\.py does not hold this text"):
        async with open_court(read_settings(home=home), labelled):
            pass
    assert not (home / "calibration.git").exists()
