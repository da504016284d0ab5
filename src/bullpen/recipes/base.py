"""What a recipe is given, what it must offer, and the catalogue of those there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, runtime_checkable

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.domain.errors import NotFound
from bullpen.domain.test_report import Coverage
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Sandbox


@dataclass(frozen=True, slots=True)
class RecipeJob:
    """One file, the sites in it, and the means to look further.

    ``root`` is a worktree the recipe may read and never writes. ``python`` is the interpreter of the project's
    environment inside the sandbox, for recipes that must observe behaviour.
    """

    root: Path
    path: str
    sites: tuple[Site, ...]
    sandbox: Sandbox
    python: str = ""
    coverage: Coverage | None = None

    def source(self) -> bytes:
        """The file's content."""
        return (self.root / self.path).read_bytes()


class Recipe(Protocol):
    """One kind of change.

    ``fixes`` are the rules it mends (``ruff:S506``, ``ast-grep:py-timeout-missing``); ``why`` is the sentence that goes
    into the commit message, ``source`` where it comes from (a rule's page, a standard, a paper).
    """

    name: str
    fixes: tuple[str, ...]
    applicability: Applicability
    summary: str
    why: str
    source: str

    async def apply(self, job: RecipeJob) -> list[FileChange]:
        """Propose the change; an empty list where nothing fits. Applying it to its own result changes nothing."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A recipe that must run code to know what it would change, and can tell beforehand where it never would."""

    def fits(self, job: RecipeJob) -> bool:
        """Whether there is anything at the sites that it would look into."""
        ...


Rewrite = Callable[[str, Sequence[Site]], str]


@dataclass(frozen=True, slots=True)
class Codemod:
    """A recipe that rewrites one file's text and needs nothing else.

    ``rewrite`` gets the text (line ends as they are, undecodable bytes as surrogates) and the sites, and returns the
    new text, or the same text where nothing fits. It changes nothing outside the sites' statements, except that it
    may add an import.
    """

    name: str
    fixes: tuple[str, ...]
    applicability: Applicability
    summary: str
    why: str
    source: str
    rewrite: Rewrite

    async def apply(self, job: RecipeJob) -> list[FileChange]:
        """See ``Recipe.apply``."""
        before = job.source()
        after = self.rewrite(before.decode("utf-8", "surrogateescape"), job.sites)
        changed = after.encode("utf-8", "surrogateescape")
        return [] if changed == before else [FileChange(job.path, before, changed)]


@dataclass(frozen=True)
class Catalogue:
    """Every recipe there is, safe ones before unsafe ones, then by name."""

    recipes: tuple[Recipe, ...]

    def named(self, name: str) -> Recipe:
        """The recipe called ``name``.

        Raises:
            NotFound: there is none; the message says how to list them.
        """
        for recipe in self.recipes:
            if recipe.name == name:
                return recipe
        raise NotFound(f"There is no recipe called {name!r}; there are: {', '.join(self.names())}.")

    def load(self, name: str) -> Recipe:
        """The same, under the name extension points have for it."""
        return self.named(name)

    def names(self) -> tuple[str, ...]:
        """The names of all recipes."""
        return tuple(recipe.name for recipe in self.recipes)

    def mending(self, rule: str) -> tuple[Recipe, ...]:
        """The recipes that mend a rule such as ``ruff:S506``; ``fixes`` may end in ``*``, the precise ones come first."""
        found = [recipe for recipe in self.recipes if any(fnmatchcase(rule, one) for one in recipe.fixes)]
        return tuple(sorted(found, key=lambda recipe: (_trust(recipe), rule not in recipe.fixes)))


def catalogue() -> Catalogue:
    """The recipes of every family: each module of this package, and of the entry-point group of its name."""
    families = FAMILIES.load_all().values()
    recipes = [recipe for family in families for recipe in family]
    return Catalogue(tuple(sorted(recipes, key=lambda recipe: (_trust(recipe), recipe.name))))


def _trust(recipe: Recipe) -> int:
    return list(Applicability).index(recipe.applicability)


FAMILIES = ExtensionPoint[tuple[Recipe, ...]]("bullpen.recipes", "RECIPES")
