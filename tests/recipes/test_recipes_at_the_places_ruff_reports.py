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

# Cases of other analysers' rules, or that ruff is too careful to report: a piece of each, by recipe.
QUIET = (
    ("except-base-exception", "raise\n"),
    ("http-timeout", "base_url=base"),
    ("jinja-autoescape", "loader=loader,"),
    ("ssh-known-hosts-only", "paramiko.AutoAddPolicy)\nclient"),
    ("remove-else-after-jump", "elif a:"),
    ("close-read-file", "def f(path, file)"),
    ("list-comprehension", "żółty"),
    ("dict-comprehension", "out[key] = row.strip()\n    return"),
    ("dict-comprehension", "still_waiting_for_results"),
)


def is_quiet(recipe: str, before: str) -> bool:
    return any(recipe == name and piece in before.replace("«", "") for name, piece in QUIET)


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
    assert bool(sites) is not is_quiet(recipe, before)
    if not sites:
        return
    changed = RECIPES[recipe].rewrite(source, sites)
    assert changed != source
    if len(sites) == before.count("«"):
        assert changed == after
