"""Reading and changing files through the toolbox, as an agent does."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bullpen.models.base import ToolCall
from bullpen.tools.base import ToolContext
from bullpen.tools.toolbox import Toolbox, every_tool
from bullpen.tools.workspace import Scope, content_hash


async def use(context: ToolContext, tool: str, **arguments: object) -> dict[str, Any]:
    result = await Toolbox(every_tool()).run(ToolCall("c1", tool, json.dumps(arguments)), context)
    said = json.loads(result.content)
    assert ("error" in said) is not result.ok
    return said


@pytest.mark.req("TOL-03")
async def test_a_file_is_read_in_parts_with_the_hash_of_the_whole(context: ToolContext) -> None:
    raw = (context.workspace / "notes.txt").read_bytes()
    read = await use(context, "read_file", path="notes.txt", first=2, count=1)
    assert read == {
        "path": "notes.txt",
        "hash": content_hash(raw),
        "first": 2,
        "last": 2,
        "total": 3,
        "text": "second\r\n",
    }


async def test_a_long_file_is_read_as_far_as_a_result_reaches(context: ToolContext) -> None:
    (context.workspace / "long.txt").write_text("".join(f"{number:099d}\n" for number in range(1, 1001)))
    seen: list[str] = []
    first = 1
    while first <= 1000:
        read = await use(context, "read_file", path="long.txt", first=first)
        seen += read["text"].splitlines()
        first = read["last"] + 1
    assert [int(line) for line in seen] == list(range(1, 1001))


async def test_bytes_that_are_not_text_are_not_read(context: ToolContext) -> None:
    (context.workspace / "image").write_bytes(b"\x89PNG\0\0")
    assert "not a text file" in (await use(context, "read_file", path="image"))["error"]


@pytest.mark.req("TOL-03")
async def test_an_edit_changes_exactly_that_and_keeps_odd_bytes(context: ToolContext) -> None:
    read = await use(context, "read_file", path="notes.txt")
    assert read["text"].startswith("caf\udce9")
    done = await use(
        context,
        "edit_file",
        path="notes.txt",
        old="caf\udce9\r\n",
        new="th\udce9\r\n",
        file_hash=read["hash"],
    )
    after = (context.workspace / "notes.txt").read_bytes()
    assert after == b"th\xe9\r\nsecond\r\nlast"
    assert done["hash"] == content_hash(after)


@pytest.mark.req("TOL-03")
async def test_a_stale_read_is_seen(context: ToolContext) -> None:
    read = await use(context, "read_file", path="src/app.py")
    (context.workspace / "src/app.py").write_text("changed = 1\n")
    said = await use(context, "edit_file", path="src/app.py", old="x", new="y", file_hash=read["hash"])
    assert "has changed since it was read" in said["error"]
    said = await use(context, "write_file", path="src/app.py", text="mine")
    assert "has changed since it was read" in said["error"]
    assert (context.workspace / "src/app.py").read_text() == "changed = 1\n"


@pytest.mark.parametrize(
    ("old", "every", "said"),
    [("absent", False, "is not in"), ("", False, "is not in"), ("o", False, "occurs 3 times")],
)
async def test_an_edit_that_is_not_exact_is_refused(
    context: ToolContext, old: str, every: bool, said: str
) -> None:
    (context.workspace / "a.txt").write_text("o o o")
    digest = content_hash(b"o o o")
    answer = await use(context, "edit_file", path="a.txt", old=old, new="x", file_hash=digest, every=every)
    assert said in answer["error"]
    await use(context, "edit_file", path="a.txt", old="o", new="x", file_hash=digest, every=True)
    assert (context.workspace / "a.txt").read_text() == "x x x"


@pytest.mark.req("IMP-11")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("write_file", {"path": "new.py", "text": "x"}),
        ("edit_file", {"path": "src/app.py", "old": "import os", "new": "import sys", "file_hash": ""}),
        (
            "apply_patch",
            {"patch": "--- a/src/app.py\n+++ b/src/app.py\n@@ -1 +1 @@\n-import os\n+import sys\n"},
        ),
        ("rename_symbol", {"path": "src/app.py", "old": "run", "new": "go"}),
    ],
)
async def test_edits_outside_the_agreed_lines_change_nothing(
    context: ToolContext, tool: str, arguments: dict[str, str]
) -> None:
    source = context.workspace / "src/app.py"
    before = source.read_bytes()
    if "file_hash" in arguments:
        arguments = {**arguments, "file_hash": content_hash(before)}
    narrow = replace(context, scope=Scope({"src/app.py": (range(5, 6),)}))
    said = await use(narrow, tool, **arguments)
    assert "agreed" in said["error"]
    assert source.read_bytes() == before
    assert not (context.workspace / "new.py").exists()


@pytest.mark.req("IMP-11")
async def test_agreed_lines_are_those_of_the_file_as_it_was(context: ToolContext) -> None:
    narrow = replace(context, scope=Scope({"src/app.py": (range(5, 6),)}))
    for old, new in (("    return x == None", "    y = x\n    return y == None"), ("y == None", "y is None")):
        digest = content_hash((context.workspace / "src/app.py").read_bytes())
        said = await use(narrow, "edit_file", path="src/app.py", old=old, new=new, file_hash=digest)
        assert "error" not in said
    await use(narrow, "restore_files", paths=["src/app.py"])
    assert (context.workspace / "src/app.py").read_text().endswith("return x == None\n")


@pytest.mark.req("TOL-03")
async def test_a_patch_creates_changes_and_removes_all_or_nothing(context: ToolContext) -> None:
    new = "--- /dev/null\n+++ b/made/new.txt\n@@ -0,0 +1 @@\n+hello\n"
    change = "--- a/src/app.py\n+++ b/src/app.py\n@@ -5 +5 @@\n-    return x == None\n+    return x is None\n"
    wrong = "--- a/notes.txt\n+++ b/notes.txt\n@@ -1 +1 @@\n-nothing like it\n+x\n"
    said = await use(context, "apply_patch", patch=new + change + wrong)
    assert "does not fit" in said["error"]
    assert not (context.workspace / "made").exists()
    said = await use(context, "apply_patch", patch=new + change)
    assert said["changed"] == ["made/new.txt", "src/app.py"]
    assert "x is None" in (context.workspace / "src/app.py").read_text()
    await use(context, "apply_patch", patch="--- a/made/new.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-hello\n")
    assert not (context.workspace / "made/new.txt").exists()


@pytest.mark.req("AGT-08")
async def test_a_patch_that_failed_before_is_refused(context: ToolContext) -> None:
    patch = "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+hello\n"
    key = (await use(context, "apply_patch", patch=patch))["approach"]
    await use(context, "restore_files", paths=["x"])
    said = await use(replace(context, tried=frozenset({key})), "apply_patch", patch=patch)
    assert "tried before" in said["error"]


async def test_a_mark_of_a_secret_is_never_written(context: ToolContext) -> None:
    said = await use(context, "write_file", path="x.py", text="key = '[redacted]'")
    assert "stands for a secret" in said["error"]


@pytest.mark.req("TOL-03")
async def test_files_and_texts_are_found(context: ToolContext) -> None:
    (context.workspace / "big.bin").write_bytes(b"\0return")
    assert (await use(context, "list_files", pattern="*.py"))["paths"] == ["src/app.py"]
    assert (await use(context, "list_files", folder="src"))["paths"] == ["src/app.py"]
    found = await use(context, "search_text", text="RETURN", ignore_case=True)
    assert found["matches"] == [{"path": "src/app.py", "line": 5, "text": "    return x == None"}]
    assert found["complete"] is True
    (context.workspace / "many.txt").write_text("hit\n" * 500)
    assert (await use(context, "search_text", text="hit"))["complete"] is False
