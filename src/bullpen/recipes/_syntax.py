"""Edits of files that tree-sitter reads: JavaScript, TypeScript and Go."""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ast_grep_py import SgNode, SgRoot

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.recipes.base import RecipeJob

UNDECODABLE = re.compile("[\udc80-\udcff]")
LANGUAGES: Mapping[str, str] = {
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".jsx": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "tsx",
    ".go": "go",
}


@dataclass(frozen=True, slots=True)
class SyntaxRecipe:
    """A recipe for files that tree-sitter reads.

    ``kind`` is the node that is replaced; ``mend`` returns its new text, or None where unsure. ``finish`` gets the
    text after the replacements, to put its imports right; None from it takes everything back.
    """

    name: str
    fixes: tuple[str, ...]
    applicability: Applicability
    summary: str
    why: str
    source: str
    kind: str
    mend: Callable[[SgNode], str | None]
    finish: Callable[[str], str | None] = lambda text: text

    async def apply(self, job: RecipeJob) -> list[FileChange]:
        """See ``Recipe.apply``."""
        before = job.source()
        after = self.rewrite(before.decode("utf-8", "surrogateescape"), job.path, job.sites)
        changed = after.encode("utf-8", "surrogateescape")
        return [] if changed == before else [FileChange(job.path, before, changed)]

    def rewrite(self, text: str, path: str, sites: Sequence[Site]) -> str:
        """The text after the change; the same text where nothing fits or the file cannot be read without errors."""
        language = LANGUAGES.get(posixpath.splitext(path)[1].lower(), "")
        root = read(text, language)
        if root is None:
            return text
        named = [node for node in root.find_all(kind=self.kind) if _is_named(node, sites)]
        offers = [(node, new) for node in named if (new := self.mend(node)) is not None]
        done = self.finish(spliced(text, _outermost(offers))) if offers else None
        return text if done is None or read(done, language) is None else done


def read(text: str, language: str) -> SgNode | None:
    """The root of a text's syntax tree; None if it has errors, or bytes that are no text."""
    if not language or UNDECODABLE.search(text):
        return None
    root = SgRoot(text, language).root()
    return None if root.find(kind="ERROR") else root


def _is_named(node: SgNode, sites: Sequence[Site]) -> bool:
    """Whether a site is where the node starts, or names only its line."""
    start = node.range().start
    return any(site.line == start.line + 1 and site.column in {1, start.column + 1} for site in sites)


def _outermost(offers: Sequence[tuple[SgNode, str]]) -> list[tuple[SgNode, str]]:
    """Offers without those that stand inside another: two edits must not overlap."""
    found: list[tuple[SgNode, str]] = []
    for node, new in sorted(offers, key=lambda one: (one[0].range().start.index, -one[0].range().end.index)):
        if not found or node.range().start.index >= found[-1][0].range().end.index:
            found.append((node, new))
    return found


def spliced(text: str, news: Sequence[tuple[SgNode, str]]) -> str:
    """The text with nodes replaced, last first. (``commit_edits`` loses the white space a file begins with.)"""
    for node, new in reversed(news):
        place = node.range()
        text = text[: place.start.index] + new + text[place.end.index :]
    return text


def arguments(call: SgNode) -> list[SgNode]:
    """The arguments of a call, without commas and parentheses; none if a comment stands among them."""
    listed = call.field("arguments")
    inner = [node for node in listed.children() if node.is_named()] if listed else []
    return [] if any(node.kind() == "comment" for node in inner) else inner
