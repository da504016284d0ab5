"""Derive: make a change again by rule. One that a recipe makes from the same files needs nobody's word for its meaning."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.domain.finding import Finding
from bullpen.recipes.base import Recipe, RecipeJob, catalogue
from bullpen.sandbox.base import Sandbox


async def derived_by(
    root: Path,
    changes: Sequence[FileChange],
    findings: Sequence[Finding],
    sandbox: Sandbox,
    *,
    approved: bool,
) -> str:
    """The recipe that makes exactly these changes of the files at ``root`` for these findings; empty if none does.

    Recipes that may change behaviour count only where a person ``approved`` them.
    """
    wanted = {change.path: change.after for change in changes}
    if len(wanted) != 1 or not findings:
        return ""
    (path,) = wanted
    sites = tuple(_site(found) for found in findings if found.place.path == path)
    job = RecipeJob(root, path, sites, sandbox)
    for recipe in _recipes(findings, approved=approved):
        if sites and await _makes(recipe, job, wanted):
            return recipe.name
    return ""


async def _makes(recipe: Recipe, job: RecipeJob, wanted: Mapping[str, bytes | None]) -> bool:
    made = await recipe.apply(job)
    return {change.path: change.after for change in made} == wanted


def _recipes(findings: Sequence[Finding], *, approved: bool) -> list[Recipe]:
    """Recipes for the rules of the findings that rewrite code; those that watch it run have tests as their proof."""
    trusted = {Applicability.SAFE} | ({Applicability.UNSAFE} if approved else set[Applicability]())
    rules = dict.fromkeys(rule for found in findings for rule in (found.rule, *found.same_as))
    book = catalogue()
    found = {recipe.name: recipe for rule in rules for recipe in book.mending(rule)}
    return [one for one in found.values() if one.applicability in trusted and not hasattr(one, "keep")]


def _site(found: Finding) -> Site:
    place = found.place
    return Site(place.line, place.column, place.end_line, found.rule, found.message, place.symbol)
