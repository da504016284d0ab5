"""The documents are true: links lead somewhere, code and commands in them work, reference pages fit the code."""

import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bullpen.agents.card import parse_card
from bullpen.analysis.links import markdown_anchors, markdown_links
from bullpen.kernel.settings import Settings
from bullpen.recipes.base import catalogue

PROJECT = Path(__file__).parents[2]
PAGES = sorted(
    [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "changes").glob("*.md")]
)
GUIDES = sorted([PROJECT / "README.md", *(PROJECT / "docs" / "guide").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks of a language."""
    return (code for found, code in BLOCK.findall(page.read_text("utf-8")) if found == language)


def name(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def broken_links(page: Path) -> list[str]:
    """Relative links of a page whose file or heading is not there."""
    broken: list[str] = []
    for link in markdown_links(page.read_text("utf-8")):
        if re.match(r"[a-z][a-z0-9+.-]*:", link.target):
            continue
        meant = page.parent / link.target if link.target else page
        if not meant.exists() or (
            link.fragment and link.fragment not in markdown_anchors(meant.read_text("utf-8"))
        ):
            broken.append(f"{link.target}#{link.fragment}" if link.fragment else link.target)
    return broken


@pytest.mark.req("DOCS-01")
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert not broken_links(page)


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n[gone](gone.md) [here](#title) [not here](#other) [far](https://example.org)\n"
    )
    assert broken_links(page) == ["gone.md", "#other"]


def test_every_picture_is_there() -> None:
    text = (PROJECT / "README.md").read_text("utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures
    assert all((PROJECT / picture).is_file() for picture in pictures)


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {
        target
        for page in (*GUIDES, PROJECT / "AGENTS.md", PROJECT / "CONTRIBUTING.md")
        for target in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert {"run", "test", "setup", "check"} <= asked
    assert asked <= targets


def test_the_page_of_settings_fits_the_settings() -> None:
    page = runpy.run_path(str(PROJECT / "docs" / "settings_page.py"))
    written = (PROJECT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert written == page["page"](), "write it anew: .venv/bin/python docs/settings_page.py"
    for setting in Settings.model_fields:
        assert f"`{setting}`" in written
    example = next(blocks(PROJECT / "docs" / "reference" / "settings.md", "toml"))
    Settings(**tomllib.loads(example))


def test_the_gates_in_the_guide_are_the_gates_there_are() -> None:
    from bullpen.flow.gates import DEFAULT_GATES, parse_gates

    text = (PROJECT / "docs" / "guide" / "improve.md").read_text("utf-8")
    table = text.split("| gate |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [
        gate.name for gate in parse_gates(DEFAULT_GATES)
    ]


def test_the_analyser_and_the_recipe_of_the_guide_work_together(tmp_path: Path) -> None:
    from bullpen.analysis.base import SourceTree
    from bullpen.domain.change import Site

    analyser, recipe = tmp_path / "conflict_markers.py", tmp_path / "conflicts.py"
    analyser.write_text(next(blocks(PROJECT / "docs" / "guide" / "analyser.md", "python")))
    recipe.write_text(next(blocks(PROJECT / "docs" / "guide" / "recipe.md", "python")))
    text = "a = 1\n<<<<<<< ours\n=======\n>>>>>>> theirs\nb = 2\n"
    (tmp_path / "code.py").write_text(text)
    seen = list(runpy.run_path(str(analyser))["_markers"](SourceTree(tmp_path, {"code.py": ""}), "code.py"))
    assert [one.place.line for one in seen] == [2]
    (mended,) = runpy.run_path(str(recipe))["RECIPES"]
    assert mended.fixes == (seen[0].rule,)
    after = mended.rewrite(text, [Site(seen[0].place.line)])
    assert after == "a = 1\nb = 2\n"
    assert mended.rewrite(after, [Site(2)]) == after
    assert mended.name not in catalogue().names()


def test_the_rule_of_the_guide_finds_what_it_says() -> None:
    from ast_grep_py import SgRoot

    rule = yaml.safe_load(next(blocks(PROJECT / "docs" / "guide" / "rule.md", "yaml")))

    def found(code: str) -> bool:
        return SgRoot(code, "python").root().find(**rule["rule"]) is not None

    assert all(found(code) for code in rule["positive"])
    assert not any(found(code) for code in rule["negative"])


def test_the_role_of_the_guide_is_a_card() -> None:
    from bullpen.tools.toolbox import every_tool

    card = parse_card(next(blocks(PROJECT / "docs" / "guide" / "role.md", "markdown")).encode(), "scribe.md")
    assert card.name == "scribe"
    assert set(card.tools) <= set(every_tool())


def test_changes_are_numbered_and_say_their_kind() -> None:
    fragments = sorted(page for page in (PROJECT / "changes").glob("*.md") if page.name != "README.md")
    assert [int(page.name[:4]) for page in fragments] == list(range(1, len(fragments) + 1))
    for page in fragments:
        assert page.read_text("utf-8").split("\n", 1)[0] in (
            "added",
            "changed",
            "fixed",
            "removed",
            "security",
        )


@pytest.mark.req("DOCS-03")
def test_the_changelog_tells_every_change() -> None:
    made = runpy.run_path(str(PROJECT / "scripts" / "changelog"), run_name="changelog")["changelog"]()
    assert (PROJECT / "CHANGELOG.md").read_text("utf-8") == made
    fragments = sorted((PROJECT / "changes").glob("[0-9]*.md"))
    assert fragments
    for fragment in fragments:
        assert fragment.read_text("utf-8").splitlines()[-1].strip() in made


@pytest.mark.req("DOCS-03")
def test_owners_are_named_for_paths_that_are_there() -> None:
    lines = [line.split() for line in (PROJECT / "CODEOWNERS").read_text("utf-8").splitlines()]
    rules = [line for line in lines if line and not line[0].startswith("#")]
    assert rules[0][0] == "*"
    for path, *owners in rules:
        assert owners
        assert path == "*" or (PROJECT / path.lstrip("/")).exists(), path
