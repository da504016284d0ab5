"""The project's own ruff configuration is held against a change, and never used to change it."""

from pathlib import Path

import pytest

from bullpen.flow.style import style_problems
from bullpen.sandbox.base import Sandbox

UNUSED = "import os\nimport sys\n\nprint(sys.argv)\n"


def project(root: Path, configuration: str, code: str) -> Path:
    root.mkdir()
    (root / "pyproject.toml").write_text(configuration)
    (root / "shop.py").write_text(code)
    return root


@pytest.mark.req("IMP-06")
async def test_a_project_that_lets_ruff_fix_is_only_looked_at(tmp_path: Path, sandbox: Sandbox) -> None:
    root = project(tmp_path / "project", "[tool.ruff]\nfix = true\nshow-fixes = true\n", UNUSED)
    assert await style_problems(root, ["shop.py"], sandbox) == {"shop.py: F401 #1"}
    assert (root / "shop.py").read_text() == UNUSED


@pytest.mark.req("IMP-06")
async def test_what_a_change_brings_is_told_from_what_was_there(tmp_path: Path, sandbox: Sandbox) -> None:
    configuration = "[tool.ruff]\nfix = true\nline-length = 40\n[tool.ruff.lint]\nselect = ['E', 'F']\n"
    before = project(tmp_path / "before", configuration, UNUSED)
    after = project(
        tmp_path / "after", configuration, f"{UNUSED}print('a line that is longer than is allowed')\n"
    )
    new = await style_problems(after, ["shop.py"], sandbox) - await style_problems(
        before, ["shop.py"], sandbox
    )
    assert new == {"shop.py: E501 #1"}


@pytest.mark.req("IMP-06")
async def test_formatting_counts_where_it_is_configured(tmp_path: Path, sandbox: Sandbox) -> None:
    code = "x = {'a':1}\n"
    without = project(tmp_path / "without", "[tool.ruff]\n", code)
    formatted = project(tmp_path / "formatted", "[tool.ruff.format]\n", code)
    assert await style_problems(without, ["shop.py"], sandbox) == frozenset()
    assert await style_problems(formatted, ["shop.py"], sandbox) == {"shop.py: not formatted"}
