"""A change stays in what was agreed."""

from pathlib import Path

import pytest

from bullpen.domain.change import FileChange
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.scope import outside_scope
from bullpen.vcs.commits import BULLPEN, commit_tree, put_files
from bullpen.vcs.diffs import diff_trees
from bullpen.vcs.git import git

pytestmark = pytest.mark.req("IMP-06")
SOURCE = """\
import os


def one(x):
    if x == None:
        return 1
    return x


def two(x):
    return x


RATE = 2
"""


async def strayed(
    tmp_path: Path, after: bytes | None, path: str = "a.py", kind: str = "general", before: str = SOURCE
) -> list[str]:
    mirror = tmp_path.with_name(f"{tmp_path.name}.git")
    await git(mirror, "init", "--quiet", "--bare", "--template=", str(mirror))
    empty = (await git(mirror, "mktree")).text
    tip = await commit_tree(
        mirror,
        await put_files(mirror, empty, {"a.py": before.encode(), "a.js": b"x\n" * 20}),
        [],
        "m",
        BULLPEN,
        0,
    )
    tree = await put_files(mirror, tip, {path: after})
    old = {"a.py": before.encode(), "a.js": b"x\n" * 20}.get(path)
    item = "a.js" if path == "a.js" else "a.py"
    draft = ItemDraft(
        ItemId("i"), kind, "Mend it here", "w", "ruff:E711", item, (5,), Concern.QA, Severity.LOW,
        ("e",), ("a",), "p", 1, ("f",),
    )  # fmt: skip
    return outside_scope(
        draft, await diff_trees(mirror, tip, tree, renames=False), [FileChange(path, old, after)]
    )


@pytest.mark.parametrize(
    ("old", "new", "inside"),
    [
        ("x == None", "x is None", True),
        ("    if x == None:\n        return 1\n    return x\n\n\ndef", "    return x or 1\n\n\ndef", True),
        ("import os\n", "import os\nimport re\n", True),
        ("import os\n", "", True),
        ("def one", "LIMIT = 3\n\n\ndef one", True),
        ("def one", "def zero():\n    return 0\n\n\ndef one", True),
        ("RATE = 2\n", "RATE = 3\n", False),
        ("def two(x):\n    return x", "def two(x):\n    return 2", False),
        ("def two(x):\n    return x", "def two(x):\n    x += 1\n    return x", False),
        ("RATE = 2\n", "RATE = 2\n\n\ndef one(x):\n    return 1\n", False),
        ("RATE = 2\n", "RATE = 2\none = abs\n", False),
        ("RATE = 2\n", "RATE = 2\nfrom fake import two\n", False),
        ("RATE = 2\n", "RATE = 2\nprint(RATE)\n", False),
    ],
)
async def test_places_in_the_file(tmp_path: Path, old: str, new: str, inside: bool) -> None:
    assert SOURCE.count(old) == 1
    assert (await strayed(tmp_path, SOURCE.replace(old, new).encode()) == []) is inside


async def test_other_files_kinds_and_deletion(tmp_path: Path) -> None:
    assert await strayed(tmp_path / "1", b"x = 1\n", "b.py") == ["b.py:1"]
    assert await strayed(tmp_path / "2", b"x = 1\n", "tests/test_b.py") == ["tests/test_b.py:1"]
    assert await strayed(tmp_path / "3", b"x = 1\n", "tests/test_b.py", kind="qa") == []
    assert await strayed(tmp_path / "4", None) == ["a.py:1"]
    assert await strayed(tmp_path / "5", b"\x00\x01") != []


async def test_where_there_is_no_syntax_only_what_is_near_may_change(tmp_path: Path) -> None:
    lines = ["x"] * 20
    near, far, imported = list(lines), list(lines), ["import a from './a'", *lines]
    near[5] = far[15] = "y"
    for number, (text, inside) in enumerate(
        [(near, True), (far, False), (imported, True), ([*lines, "z()"], False)]
    ):
        content = ("\n".join(text) + "\n").encode()
        assert (await strayed(tmp_path / str(number), content, "a.js") == []) is inside


GO = (
    'package main\n\nimport (\n\t"errors"\n\t"fmt"\n\t_ "embed"\n)\n\nvar table = []string{\n\t"a",\n}\n'
    + "\n" * 9
    + 'func main() {\n\tpanic(errors.New(fmt.Sprintf("%d", 1)))\n}\n'
)


@pytest.mark.parametrize(
    ("removed", "inside"),
    [('\t"errors"\n', True), ('\t_ "embed"\n', False), ('\t"a",\n', False)],
    ids=["an import", "an import for what it does", "a text that is no import"],
)
async def test_of_go_an_import_may_go_with_what_needed_it(tmp_path: Path, removed: str, inside: bool) -> None:
    after = GO.replace(removed, "", 1).encode()
    mirror = tmp_path.with_name(f"{tmp_path.name}.git")
    await git(mirror, "init", "--quiet", "--bare", "--template=", str(mirror))
    empty = (await git(mirror, "mktree")).text
    tree = await put_files(mirror, empty, {"main.go": GO.encode()})
    tip = await commit_tree(mirror, tree, [], "m", BULLPEN, 0)
    changed = await put_files(mirror, tip, {"main.go": after})
    draft = ItemDraft(
        ItemId("i"), "general", "Mend it here", "w", "go-errorf", "main.go", (22,), Concern.QA, Severity.LOW,
        ("e",), ("a",), "p", 1, ("f",),
    )  # fmt: skip
    changes = [FileChange("main.go", GO.encode(), after)]
    found = outside_scope(draft, await diff_trees(mirror, tip, changed, renames=False), changes)
    assert (found == []) is inside
