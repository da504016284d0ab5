"""The plugin of the guide is put together from its pages, installed, and does what the page says."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bullpen
from bullpen.kernel.extend import ExtensionPoint

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
MARKED = "let a = 1;\n<<<<<<< ours\n=======\n>>>>>>> theirs\nlet b = 2;\n"

Run = Callable[..., Any]


def block(page: str, language: str) -> str:
    """The first fenced block of a language on a page of the guide."""
    found = re.search(
        rf"^```{language}\n(.*?)^```$", (GUIDE / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the plugin, as an installer leaves it."""
    site = tmp_path / "site"
    package, info = site / "acme_bullpen", site / "acme_bullpen-1.0.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").touch()
    (package / "conflict_markers.py").write_text(block("analyser.md", "python"))
    (package / "conflicts.py").write_text(block("recipe.md", "python"))
    project = tomllib.loads(block("plugin.md", "toml"))["project"]
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in parts.items())
        for group, parts in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))
    return site


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Bullpen with the plugin; gives the JSON it prints."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BULLPEN_", "GIT_"))}
    source = Path(bullpen.__file__).parents[1]
    environment = {
        **kept,
        "PYTHONPATH": f"{site}{os.pathsep}{source}",
        "BULLPEN_HOME": str(tmp_path / "home"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_NAME": "ada" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "ada@x" for who in ("AUTHOR", "COMMITTER")},
    }
    entry = "from bullpen.cli.main import main; main()"

    def run(*argv: str) -> Any:
        command = argv if argv[0] == "git" else (sys.executable, "-c", entry, *argv, "--json")
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout if argv[0] == "git" else json.loads(done.stdout)

    return run


@pytest.mark.slow
@pytest.mark.req("DOCS-01", "ROA-02")
def test_the_plugin_of_the_guide_finds_and_mends(run: Run, tmp_path: Path) -> None:
    assert "conflict-markers" in {one["name"] for one in run("analysers")}
    assert "remove-empty-conflict" in {one["name"] for one in run("recipes")}
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "cart.js").write_text(MARKED)
    run("git", "init", "-q", "-b", "main", "shop")
    run("git", "-C", "shop", "add", "-A")
    run("git", "-C", "shop", "commit", "-q", "-m", "cart")
    run("improve", "shop", "--session", "plugged")
    assert run("git", "-C", "shop", "show", "bullpen/plugged:cart.js") == "let a = 1;\nlet b = 2;\n"


def test_the_page_lists_every_extension_point() -> None:
    pages = re.findall(r"`(bullpen\.[a-z_.]+)` \| `(\w+)`", (GUIDE / "plugin.md").read_text("utf-8"))
    source = Path(bullpen.__file__).parent
    made = re.compile(r"ExtensionPoint(?:\[.+\])?\(\s*\"(bullpen\.[a-z_.]+)\", \"(\w+)\"")
    there = {found for file in source.rglob("*.py") for found in made.findall(file.read_text("utf-8"))}
    assert set(pages) == there
    assert all(ExtensionPoint(group, attribute).names() for group, attribute in there)
