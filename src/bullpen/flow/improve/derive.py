"""Derive: make a change again by rule. One that a recipe makes from the same files needs nobody's word for its meaning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.change import Applicability, FileChange
from bullpen.domain.errors import Unavailable
from bullpen.domain.finding import Finding
from bullpen.flow.improve.sites import sites_in
from bullpen.recipes.base import Catalogue, Recipe, RecipeJob
from bullpen.sandbox.base import Sandbox


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a change is made again: the checkout of its tip, the recipes there are, and the sandbox they may use."""

    root: Path
    recipes: Catalogue
    sandbox: Sandbox


async def derived_by(
    workshop: Workshop, changes: Sequence[FileChange], findings: Sequence[Finding], *, approved: bool
) -> str:
    """The recipe that makes exactly these changes for these findings; empty if none does.

    Recipes that may change behaviour count only where a person ``approved`` them.
    """
    wanted = {change.path: change.after for change in changes}
    if len(wanted) != 1:
        return ""
    (path,) = wanted
    sites = sites_in(path, findings)
    if not sites:
        return ""
    job = RecipeJob(workshop.root, path, sites, workshop.sandbox)
    for recipe in _trusted(workshop.recipes, findings, approved=approved):
        if await _makes(recipe, job, wanted):
            return recipe.name
    return ""


async def _makes(recipe: Recipe, job: RecipeJob, wanted: Mapping[str, bytes | None]) -> bool:
    try:
        made = await recipe.apply(job)
    except Unavailable:  # the file was too much for the recipe, so it cannot have made the change
        return False
    return {change.path: change.after for change in made} == wanted


def _trusted(book: Catalogue, findings: Sequence[Finding], *, approved: bool) -> list[Recipe]:
    """Recipes for the rules of the findings that rewrite code; those that watch it run have tests as their proof."""
    kinds = {Applicability.SAFE} | ({Applicability.UNSAFE} if approved else set[Applicability]())
    rules = dict.fromkeys(rule for found in findings for rule in (found.rule, *found.same_as))
    found = {recipe.name: recipe for rule in rules for recipe in book.mending(rule)}
    return [one for one in found.values() if one.applicability in kinds and not hasattr(one, "keep")]
