"""Ruff's fixes at the given sites and nowhere else, by the real ruff in a real sandbox."""

from pathlib import Path

import pytest

from bullpen.domain.change import Site
from bullpen.domain.errors import Unavailable
from bullpen.recipes.base import RecipeJob, catalogue
from bullpen.recipes.ruff_fixes import project_ruff
from bullpen.sandbox.base import Sandbox

SAFE, UNSAFE = "ruff-safe-fixes", "ruff-unsafe-fixes"
KEYS = "d = {}\nfor k in d.keys():\n    pass\nfor j in d.keys():  # żółć\n    pass\n"


async def fixed(
    sandbox: Sandbox, root: Path, content: bytes, *sites: Site, recipe: str = SAFE, path: str = "sample.py"
) -> bytes:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)
    changes = await catalogue().named(recipe).apply(RecipeJob(root, path, sites, sandbox))
    assert (root / path).read_bytes() == content
    return changes[0].after or b"" if changes else content


async def test_only_the_fault_at_the_site_is_fixed(sandbox: Sandbox, tmp_path: Path) -> None:
    after = await fixed(sandbox, tmp_path, KEYS.encode(), Site(4, 5, rule="ruff:SIM118"))
    assert after.decode() == KEYS.replace("for j in d.keys():", "for j in d:")


async def test_all_sites_are_fixed_at_once_and_a_second_run_finds_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sites = (Site(2, 5, rule="ruff:SIM118"), Site(4, rule="ruff:SIM118"))
    after = await fixed(sandbox, tmp_path, KEYS.encode(), *sites)
    assert after.decode() == KEYS.replace(".keys()", "")
    assert await fixed(sandbox, tmp_path, after, *sites) == after


@pytest.mark.parametrize(
    "site",
    [
        Site(3, rule="ruff:SIM118"),
        Site(2, 9, rule="ruff:SIM118"),
        Site(2, 5, rule="ruff:F401"),
        Site(2, 5, rule="ast-grep:SIM118"),
        Site(2, 5, rule="ruff:SIM118,F401"),
        Site(2, 5),
    ],
)
async def test_other_places_rules_and_tools_change_nothing(
    sandbox: Sandbox, tmp_path: Path, site: Site
) -> None:
    assert await fixed(sandbox, tmp_path, KEYS.encode(), site) == KEYS.encode()


async def test_windows_line_ends_byte_order_mark_and_wide_characters_are_kept(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    source = (
        "\ufeffd = {}; s = '🦀数据'; b = [k for k in d.keys()]\r\nt = '🦀'; c = [k for k in d.keys()]\r\n"
    )
    sites = (Site(1, rule="ruff:SIM118"), Site(2, rule="ruff:SIM118"))
    after = await fixed(sandbox, tmp_path, source.encode(), *sites)
    assert after.decode() == source.replace(".keys()", "")


async def test_unsafe_fixes_wait_for_their_own_recipe(sandbox: Sandbox, tmp_path: Path) -> None:
    source, site = b"x = y == None\n", Site(1, 10, rule="ruff:E711")
    assert await fixed(sandbox, tmp_path, source, site) == source
    assert await fixed(sandbox, tmp_path, source, site, recipe=UNSAFE) == b"x = y is None\n"


async def test_a_fix_that_another_rule_would_take_up_is_done_to_its_end(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    source = 'a = "{}".format(x)\nb = "%s of %s" % (x, y)  # żółć\nc = "%s" % (x,)\n'
    after = await fixed(sandbox, tmp_path, source.encode(), Site(2, 5, rule="ruff:UP031"), recipe=UNSAFE)
    assert after.decode() == 'a = "{}".format(x)\nb = f"{x} of {y}"  # żółć\nc = "%s" % (x,)\n'


async def test_unused_names_of_one_import_go_together(sandbox: Sandbox, tmp_path: Path) -> None:
    sites = (Site(1, 8, rule="ruff:F401"), Site(1, 12, rule="ruff:F401"))
    assert await fixed(sandbox, tmp_path, b"import os, sys\nx = 1\n", *sites) == b"x = 1\n"


async def test_imports_of_the_project_are_told_from_installed_ones(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "src" / "mine").mkdir(parents=True)
    (tmp_path / "src" / "mine" / "__init__.py").write_text("")
    source = b"import mine\nimport yaml\n\nmine.use(yaml)\n"
    after = await fixed(sandbox, tmp_path, source, Site(1, rule="ruff:I001"))
    assert after == b"import yaml\n\nimport mine\n\nmine.use(yaml)\n"


async def test_suppressed_findings_stay(sandbox: Sandbox, tmp_path: Path) -> None:
    source = b"import os  # noqa: F401\n"
    assert await fixed(sandbox, tmp_path, source, Site(1, 8, rule="ruff:F401")) == source


@pytest.mark.parametrize("content", [b"def (\n", b"import os\nx = '\xe9'\n", b""])
async def test_unreadable_files_are_left_alone(sandbox: Sandbox, tmp_path: Path, content: bytes) -> None:
    assert await fixed(sandbox, tmp_path, content, Site(1, rule="ruff:F401")) == content


async def test_hostile_file_name_is_an_argument_not_an_option(sandbox: Sandbox, tmp_path: Path) -> None:
    path = "--fix \n;x/-odd name.py"
    after = await fixed(sandbox, tmp_path, KEYS.encode(), Site(2, rule="ruff:SIM118"), path=path)
    assert after.decode() == KEYS.replace("for k in d.keys():", "for k in d:")


async def test_line_length_of_the_project_decides_what_fits(sandbox: Sandbox, tmp_path: Path) -> None:
    source = b"def f(a):\n    if a:\n        return 'some words'\n    else_value = 0\n    return else_value\n"
    one_line = b"def g(a):\n    if a:\n        b = 'some words'\n    else:\n        b = 'other words'\n    return b\n"
    site = Site(2, 5, rule="ruff:SIM108")
    assert await fixed(sandbox, tmp_path, source, site, recipe=UNSAFE) == source
    wide = await fixed(sandbox, tmp_path, one_line, site, recipe=UNSAFE)
    assert b"b = 'some words' if a else 'other words'" in wide
    (tmp_path / "ruff.toml").write_text("line-length = 20\n")
    assert await fixed(sandbox, tmp_path, one_line, site, recipe=UNSAFE) == one_line


async def test_rule_that_ruff_does_not_know_is_said(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"sample\.py"):
        await fixed(sandbox, tmp_path, KEYS.encode(), Site(1, rule="ruff:NOPE999"))


def test_settings_come_from_the_nearest_readable_configuration(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=3.9"\n[tool.ruff]\nline-length = 99\n'
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ruff.toml").write_text('target-version = "py312"\nline-length = "wide"\n')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pyproject.toml").write_text("[tool.ruff\n")
    top = project_ruff(tmp_path, "broken/a.py")
    assert (top.line_length, top.target_version) == (99, "py39")
    below = project_ruff(tmp_path, "sub/deep/a.py")
    assert (below.line_length, below.target_version) == (None, "py312")


def test_configuration_outside_the_tree_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text("line-length = 77\n")
    root = tmp_path / "tree"
    root.mkdir()
    (root / "ruff.toml").symlink_to(tmp_path / "secret.toml")
    assert project_ruff(root, "a.py").line_length is None
