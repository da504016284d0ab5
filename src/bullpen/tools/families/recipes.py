"""Apply deterministic changes."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.domain.errors import Conflict, PermissionRefused
from bullpen.models.facts import approach_key
from bullpen.recipes.base import Recipe, RecipeJob
from bullpen.tools.base import AnyText, Risk, ToolContext, need, tool
from bullpen.tools.families.files import write_changes
from bullpen.tools.workspace import normal, read_bytes, unified


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """A recipe as it is listed."""

    name: str
    fixes: tuple[str, ...]
    applicability: str
    summary: str
    why: str
    source: str


@dataclass(frozen=True, slots=True)
class RecipesListed:
    """Recipes that mend a rule."""

    recipes: tuple[RecipeFacts, ...]


@dataclass(frozen=True, slots=True)
class RecipeApplied:
    """What a recipe changed. ``approach`` names this way of doing it."""

    approach: str
    changed: tuple[str, ...]
    applicability: str
    diff: str


@tool(risk=Risk.READ)
async def list_recipes(ctx: ToolContext, rule: str = "*") -> RecipesListed:
    """List the recipes that mend findings of a rule.

    Args:
        rule: The rule, such as ruff:S506; may hold * as in ruff:*.
    """
    book = need(ctx.skills.recipes, "recipes")
    recipes = [book.load(name) for name in book.names()]
    return RecipesListed(tuple(_listed(recipe) for recipe in recipes if _mends(recipe, rule)))


@tool(risk=Risk.WRITE)
async def apply_recipe(
    ctx: ToolContext,
    recipe: str,
    path: AnyText,
    lines: list[int] | None = None,
    rules: list[str] | None = None,
) -> RecipeApplied:
    """Apply one recipe to one file, at the given lines or at every site of its findings.

    Args:
        recipe: The recipe's name, from list_recipes.
        path: The file, relative to the workspace.
        lines: Lines of the sites to mend, from 1; leave it out for all known sites.
        rules: Mend only the findings of these rules; leave it out for all that the recipe mends.
    """
    found = need(ctx.skills.recipes, "recipes").load(recipe)
    name, sandbox = normal(path), need(ctx.sandbox, "sandbox")
    approach = approach_key(recipe, name, tuple(lines or ()))
    _permit(ctx, found, approach)
    read_bytes(ctx.workspace, name)  # refuses what is not a plain file of the workspace
    python = ctx.environment.python if ctx.environment else ""
    sites = _sites(ctx, found, name, lines or [], rules or [])
    job = RecipeJob(ctx.workspace, name, sites, sandbox, python, ctx.coverage)
    changes = await found.apply(job)
    if not changes:
        raise Conflict(f"The recipe {recipe} found nothing to mend in {path!r} at these lines.")
    await write_changes(ctx, changes)
    return _applied(approach, found, changes)


def _permit(ctx: ToolContext, recipe: Recipe, approach: str) -> None:
    if approach in ctx.tried:
        raise Conflict(f"{approach} was tried before and failed.", remedy="Take a different approach.")
    if recipe.applicability is Applicability.DISPLAY:
        raise PermissionRefused(f"The recipe {recipe.name} is shown to people, and never applied.")
    if recipe.applicability is Applicability.UNSAFE and not ctx.allow_unsafe:
        raise PermissionRefused(
            f"The recipe {recipe.name} may change what the code means, and was not approved.",
            remedy="Use a safe recipe, or ask for approval.",
        )


def _sites(
    ctx: ToolContext, recipe: Recipe, path: str, lines: list[int], rules: list[str]
) -> tuple[Site, ...]:
    """Known sites that are asked for; a line without a known site becomes a site of its own."""
    known = [site for site in ctx.sites.get(path, ()) if _wanted(site, recipe, rules)]
    if not lines:
        return tuple(known)
    chosen = [site for site in known if site.line in lines]
    bare = [
        Site(line, rule=rules[0] if rules else "") for line in lines if line not in {s.line for s in chosen}
    ]
    return tuple(sorted((*chosen, *bare), key=lambda site: (site.line, site.column)))


def _wanted(site: Site, recipe: Recipe, rules: list[str]) -> bool:
    return not site.rule or (site.rule in rules if rules else site.rule in recipe.fixes)


def _applied(approach: str, recipe: Recipe, changes: list[FileChange]) -> RecipeApplied:
    diff = "".join(unified(change.path, change.before, change.after) for change in changes)
    paths = tuple(change.path for change in changes)
    return RecipeApplied(approach, paths, recipe.applicability.value, diff)


def _listed(recipe: Recipe) -> RecipeFacts:
    return RecipeFacts(
        recipe.name, recipe.fixes, recipe.applicability.value, recipe.summary, recipe.why, recipe.source
    )


def _mends(recipe: Recipe, rule: str) -> bool:
    return any(fnmatchcase(fixed, rule) for fixed in recipe.fixes)


TOOLS = (list_recipes, apply_recipe)
