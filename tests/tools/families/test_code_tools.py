"""Renaming, formatting and running."""

import json
import sys
from dataclasses import replace
from typing import Any

import pytest

from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.models.base import ToolCall
from bullpen.sandbox.base import Sandbox
from bullpen.testing.base import Environment
from bullpen.tools.base import ToolContext
from bullpen.tools.rename import rename_in_tree
from bullpen.tools.toolbox import Answer, Approval, Toolbox, every_tool
from bullpen.tools.workspace import Scope

TREE = {
    "src/pkg/a.py": b'__all__ = ["old"]\n# \xc3\xa9\ndef old(x):\n    old = 3\n    return old\n\n\ndef other():\n    return old(1)\n',
    "src/pkg/b.py": b"from .a import old\nimport pkg.a\nfrom pkg import a\nprint(old, a.old, pkg.a.old(), x.old)\ndef f(old): return old\n",
    "c.py": b"from pkg.a import old as q\nfrom elsewhere import old\nq(old)\n",
}


async def use(context: ToolContext, tool: str, **arguments: object) -> dict[str, Any]:
    result = await Toolbox(every_tool()).run(ToolCall("c1", tool, json.dumps(arguments)), context)
    return json.loads(result.content)


@pytest.mark.req("TOL-03")
def test_a_rename_follows_the_ways_to_import() -> None:
    for line in (
        "from .a import old",
        "from ..pkg.a import old",
        "from pkg.a import (x, old)",
        "import pkg.a; old = pkg.a.old",
    ):
        files = {"src/pkg/a.py": b"def old(): ...\n", "src/pkg/b.py": f"{line}\nprint(old)\n".encode()}
        changes = rename_in_tree(files, "src/pkg/a.py", "old", "new")
        kept = line.startswith("import")
        expected = line.replace("a.old", "a.new") if kept else line.replace("old", "new")
        assert changes[1].after == f"{expected}\nprint({'old' if kept else 'new'})\n".encode()


@pytest.mark.req("TOL-03")
def test_a_rename_follows_scopes_and_imports() -> None:
    after = {change.path: change.after for change in rename_in_tree(TREE, "src/pkg/a.py", "old", "new")}
    assert after == {
        "src/pkg/a.py": b'__all__ = ["new"]\n# \xc3\xa9\ndef new(x):\n    old = 3\n    return old\n\n\ndef other():\n    return new(1)\n',
        "src/pkg/b.py": b"from .a import new\nimport pkg.a\nfrom pkg import a\nprint(new, a.new, pkg.a.new(), x.old)\ndef f(old): return old\n",
        "c.py": b"from pkg.a import new as q\nfrom elsewhere import old\nq(old)\n",
    }


@pytest.mark.parametrize(
    ("files", "new", "kind"),
    [
        ({"a.py": b"def old(): ...\nnew = 1\n"}, "new", Conflict),
        ({"a.py": b"def old(): ...\ndef f(new):\n    return old(new)\n"}, "new", Conflict),
        ({"a.py": b"def old(): ...\n", "b.py": b"from a import old\nnew = old\n"}, "new", Conflict),
        ({"a.py": b"def f():\n    old = 1\n"}, "new", NotFound),
        ({"a.py": b"def old(: ...\n"}, "new", InvalidInput),
    ],
)
def test_a_rename_that_would_mislead_is_refused(
    files: dict[str, bytes], new: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        rename_in_tree(files, "a.py", "old", new)


async def test_a_rename_is_written_to_every_file(context: ToolContext) -> None:
    (context.workspace / "use.py").write_text("from app import run\nrun(1)\n")
    done = await use(context, "rename_symbol", path="src/app.py", old="run", new="is_none")
    assert sorted(done["changed"]) == ["src/app.py", "use.py"]
    assert (context.workspace / "use.py").read_text() == "from app import is_none\nis_none(1)\n"
    assert (
        "not a name"
        in (await use(context, "rename_symbol", path="src/app.py", old="is_none", new="if"))["error"]
    )


@pytest.mark.req("TOL-03")
async def test_a_file_is_formatted_only_as_the_project_wishes(context: ToolContext) -> None:
    source = context.workspace / "src/app.py"
    source.write_text("x = {'a':1}\n")
    assert "configures no formatter" in (await use(context, "format_file", path="src/app.py"))["error"]
    (context.workspace / "pyproject.toml").write_text("[tool.ruff.format]\nquote-style = 'single'\n")
    assert (await use(context, "format_file", path="src/app.py"))["changed"] == ["src/app.py"]
    assert source.read_text() == "x = {'a': 1}\n"
    assert (await use(context, "format_file", path="src/app.py"))["changed"] == []
    source.write_text("x = (\n")
    assert "could not format" in (await use(context, "format_file", path="src/app.py"))["error"]


@pytest.mark.req("TOL-03")
async def test_code_and_commands_run_in_the_sandbox(context: ToolContext) -> None:
    there = replace(context, environment=Environment("here", sys.executable, variables=(("A", "1"),)))
    done = await use(
        there, "run_code", code="import sys; print(sys.stdin.read() * 2); sys.exit(3)", stdin="ab"
    )
    assert (done["ended"], done["exit_status"], done["stdout"]) == ("exited", 3, "abab\n")
    done = await use(there, "run_command", argv=["printf", "%s", "$HOME; `id`"])
    assert done["stdout"] == "$HOME; `id`"
    long = await use(there, "run_code", code="print('a' * 9000 + 'the end')")
    assert long["stdout"].endswith("the end\n")
    assert "characters left out" in long["stdout"]


@pytest.mark.req("BOX-02")
async def test_only_the_named_hosts_are_passed_on_and_only_if_a_person_agrees(context: ToolContext) -> None:
    asked = {"argv": ["true"], "hosts": ["example.org:443"]}
    assert "not approved" in (await use(context, "run_online", **asked))["error"]
    assert context.sandbox.commands == []

    async def yes(approval: Approval) -> Answer:
        return Answer.GRANTED

    call = ToolCall("c2", "run_online", json.dumps(asked))
    result = await Toolbox(every_tool(), approver=yes).run(call, context)
    assert json.loads(result.content)["refused"] == []
    await use(context, "run_command", argv=["true"])
    assert [one.hosts for one in context.sandbox.commands] == [("example.org:443",), ()]


@pytest.mark.req("TOL-03")
@pytest.mark.needs("bubblewrap")
async def test_code_runs_where_it_can_do_no_harm(context: ToolContext, sandbox: Sandbox) -> None:
    """In the real sandbox: no network, nothing of the host, nothing left in the workspace."""
    real = replace(context, sandbox=sandbox, scope=Scope({"src/app.py": ()}))
    real = replace(real, environment=Environment("here", "/usr/bin/python3", import_paths=("/work/src",)))
    code = (
        "import app, os, pathlib, socket\nprint(app.run(None), os.getcwd(), os.getuid())\n"
        "try: socket.create_connection(('127.0.0.1', 1)); print('reached')\nexcept OSError: pass\n"
        "try: pathlib.Path('left').touch(); print('wrote')\nexcept OSError: pass\n"
    )
    done = await use(real, "run_code", code=code)
    assert (done["stdout"], done["exit_status"]) == ("True /work 10001\n", 0), done["stderr"]
    assert not (context.workspace / "left").exists()


@pytest.mark.req("IMP-11")
async def test_a_command_may_write_only_if_everything_is_agreed(context: ToolContext) -> None:
    narrow = replace(context, scope=Scope({"src/app.py": ()}))
    for one in (context, narrow):
        await use(one, "run_command", argv=["true"])
    wide, tight = context.sandbox.commands
    assert (wide.workspace_writable, tight.workspace_writable) == (True, False)
