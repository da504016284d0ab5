"""Recipes that mend rules of ruff find their statement from the line and column that ruff itself reports."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruff import find_ruff_bin

from bullpen.domain.change import Site
from bullpen.recipes.base import Codemod, catalogue

EXAMPLES = Path(__file__).parent / "examples"
RECIPES = {one.name: one for one in catalogue().recipes if isinstance(one, Codemod)}


def cases() -> list[tuple[str, str, str]]:
    tables = [
        table for file in EXAMPLES.glob("*.toml") for table in tomllib.loads(file.read_text("utf-8"))["case"]
    ]
    return [
        (table["recipe"], table["before"], table["after"])
        for table in tables
        if "after" in table
        and table["recipe"] in RECIPES
        and table.get("path", "sample.py").endswith(".py")
        and any(rule.startswith("ruff:") and rule[5:].isalnum() for rule in RECIPES[table["recipe"]].fixes)
    ]


def reported(source: str, rules: tuple[str, ...]) -> list[Site]:
    codes = ",".join(rule[5:] for rule in rules if rule.startswith("ruff:"))
    options = [
        "check",
        "--isolated",
        "--no-cache",
        "--quiet",
        "--output-format=json",
        f"--select={codes}",
        "-",
    ]
    done = subprocess.run(
        [find_ruff_bin(), *options], input=source, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    return [Site(one["location"]["row"], one["location"]["column"]) for one in found]


@pytest.mark.parametrize(("recipe", "before", "after"), cases())
def test_a_place_reported_by_ruff_is_mended(recipe: str, before: str, after: str) -> None:
    source = before.replace("«", "")
    marked = {number for number, line in enumerate(before.split("\n"), 1) if "«" in line}
    sites = [site for site in reported(source, RECIPES[recipe].fixes) if site.line in marked]
    if not sites:
        pytest.skip("ruff does not report this case; another analyser does")
    changed = RECIPES[recipe].rewrite(source, sites)
    assert changed != source
    if len(sites) == before.count("«"):
        assert changed == after
