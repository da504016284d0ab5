"""What a recipe is given and what it must offer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.domain.test_report import Coverage
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
