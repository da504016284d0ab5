"""Questions about symbols, calls and imports, asked through the toolbox."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bullpen.models.base import ToolCall
from bullpen.tools.base import Risk, ToolContext
from bullpen.tools.families.graph import TOOLS
from bullpen.tools.policy import Policy, Rule
from bullpen.tools.toolbox import Toolbox, every_tool

pytestmark = pytest.mark.req("TOL-03")


async def use(context: ToolContext, tool: str, **arguments: object) -> dict[str, Any]:
    result = await Toolbox(every_tool(), Policy()).run(ToolCall("c1", tool, json.dumps(arguments)), context)
    return json.loads(result.content)


@pytest.fixture
def tree(workspace: Path) -> Path:
    files = {
        "a.py": "import b\ndef start():\n    b.middle()\n",
        "b.py": "import c\nfrom src import app\ndef middle():\n    return app.run(c.end())\n",
        "c.py": "import a\nclass End: ...\ndef end(): return End()\n",
        "alone.py": "x = 1\n",
        "broken.py": "def (:\n",
        "node_modules/lib/index.js": "function end() {}\n",
        os.fsdecode(b"odd \xff\n.py"): "import c\n",
    }
    for name, text in files.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (workspace / "out.py").symlink_to("/etc/passwd")
    return workspace


async def test_where_a_symbol_is(context: ToolContext, tree: Path) -> None:
    found = await use(context, "find_symbol", name="end")
    assert found == {
        "symbols": [{"name": "end", "kind": "function", "path": "c.py", "first": 3, "last": 3}],
        "more": 0,
        "unread": ["broken.py"],
    }


async def test_who_calls_it(context: ToolContext, tree: Path) -> None:
    (call,) = (await use(context, "find_callers", name="run"))["calls"]
    assert call == {"path": "b.py", "line": 4, "inside": "middle", "written": "app.run", "linked": True}


async def test_what_a_file_imports_and_who_imports_it(context: ToolContext, tree: Path) -> None:
    shown = await use(context, "show_imports", path="./c.py")
    assert shown["imports"] == [{"path": "a.py", "line": 1, "when": "load"}]
    assert [one["path"] for one in shown["imported_by"]] == ["b.py", "odd \udcff\n.py"]


async def test_the_way_from_one_file_to_another(context: ToolContext, tree: Path) -> None:
    assert (await use(context, "find_import_path", start="a.py", end="src/app.py"))["path"] == [
        "a.py",
        "b.py",
        "src/app.py",
    ]
    assert (await use(context, "find_import_path", start="src/app.py", end="a.py"))["path"] == []


async def test_cycles(context: ToolContext, tree: Path) -> None:
    (cycle,) = (await use(context, "find_import_cycles"))["cycles"]
    assert cycle == {"files": ["a.py", "b.py", "c.py"], "shortest": ["a.py", "b.py", "c.py"]}


async def test_what_breaks_if_it_breaks(context: ToolContext, tree: Path) -> None:
    found = await use(context, "find_dependents", path="src/app.py")
    assert found["count"] == 4
    assert [(one["path"], one["steps"]) for one in found["files"]] == [
        ("b.py", 1),
        ("a.py", 2),
        ("c.py", 3),
        ("odd \udcff\n.py", 4),
    ]
    assert (await use(context, "find_dependents", path="alone.py"))["count"] == 0


async def test_an_edit_is_seen_at_once(context: ToolContext, tree: Path) -> None:
    await use(context, "find_symbol", name="x")
    (tree / "alone.py").write_text("import c\ny = 1\n")
    assert (await use(context, "find_symbol", name="x"))["symbols"] == []
    assert (await use(context, "show_imports", path="alone.py"))["imports"][0]["path"] == "c.py"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gone.py", "There is no file"),
        ("out.py", "There is no file"),
        ("../c.py", "leads out"),
        ("notes.txt", "no language known"),
        ("broken.py", "cannot be parsed"),
    ],
)
async def test_a_file_that_is_not_in_the_graph_is_named(
    context: ToolContext, tree: Path, path: str, said: str
) -> None:
    assert said in (await use(context, "show_imports", path=path))["error"]


async def test_long_answers_are_cut_and_say_so(context: ToolContext, workspace: Path) -> None:
    (workspace / "many.py").write_text("def f(): ...\n" + "f()\n" * 130)
    found = await use(context, "find_callers", name="f")
    assert (len(found["calls"]), found["more"]) == (100, 30)


def test_asking_is_allowed_where_reading_is() -> None:
    assert {one.risk for one in TOOLS} == {Risk.READ}
    assert Policy().rule(Risk.READ) is Rule.ALLOW
