"""Documentation that no longer fits what it describes: links, anchors and parameter names."""

import os
import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from bullpen.domain.change import Applicability, FileChange
from bullpen.recipes import _docstring
from bullpen.recipes._markdown import Link, anchors, links
from bullpen.recipes._tree import Tree, read_tree
from bullpen.recipes.base import Codemod, RecipeJob

MARKDOWN = (".md", ".markdown", ".mdown", ".mkd")
TEXTS = frozenset({*MARKDOWN, ".rst", ".txt", ".adoc"})
# Names that many folders have: the name alone does not say that the file moved.
COMMON_STEMS = frozenset(
    {"readme", "index", "changelog", "license", "contributing", "__init__", "main", "setup"}
)
SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:|//")


@dataclass(frozen=True, slots=True)
class LinkMender:
    """A recipe for one Markdown file that looks at the rest of the tree.

    ``mend`` gets the job, the tree and a link, and returns the new target, or "" where nothing fits.
    """

    name: str
    fixes: tuple[str, ...]
    applicability: Applicability
    summary: str
    why: str
    source: str
    mend: Callable[[RecipeJob, Tree, Link], str]

    async def apply(self, job: RecipeJob) -> list[FileChange]:
        """See ``Recipe.apply``."""
        before = job.source()
        after = self._rewritten(job, before.decode("utf-8", "surrogateescape"))
        changed = after.encode("utf-8", "surrogateescape")
        return [] if changed == before else [FileChange(job.path, before, changed)]

    def _rewritten(self, job: RecipeJob, text: str) -> str:
        lines = {site.line for site in job.sites}
        wanted = [link for link in links(text) if link.line in lines and is_relative(link.target)]
        if not wanted or not job.path.lower().endswith(MARKDOWN):
            return text
        tree = read_tree(job.root)
        if not tree.whole:
            return text
        for link in reversed(wanted):
            if target := self.mend(job, tree, link):
                text = text[: link.start] + target + text[link.end :]
        return text


def is_relative(target: str) -> bool:
    """Whether a link's target is meant to be in this repository."""
    return bool(target) and not SCHEME.match(target) and "{" not in target and "\\" not in target


def mended_link(job: RecipeJob, tree: Tree, link: Link) -> str:
    """The target at which the one file stands that a broken link can mean."""
    path, rest = split_target(link.target)
    meant = resolve(job.path, path)
    if not path or not meant or exists(job, tree, meant):
        return ""
    fits = candidates(meant, tree.files)
    if len(fits) != 1 or fits[0] == job.path:
        return ""
    return written_like(link.target, job.path, fits[0]) + rest


def split_target(target: str) -> tuple[str, str]:
    """A target's path, unquoted, and the query and fragment after it as they are written."""
    cut = min((i for i in (target.find("#"), target.find("?")) if i >= 0), default=len(target))
    return unquote(target[:cut]), target[cut:]


def resolve(page: str, path: str) -> str:
    """The path in the repository that a link on ``page`` means; "" if it leaves the repository."""
    joined = path.lstrip("/") if path.startswith("/") else posixpath.join(posixpath.dirname(page), path)
    normal = posixpath.normpath(joined)
    return "" if normal.startswith("..") else normal


def exists(job: RecipeJob, tree: Tree, path: str) -> bool:
    """Whether the tree has the path, or the file system has it where the tree was not looked at."""
    return path in tree or os.path.lexists(job.root / path)


def candidates(meant: str, files: Iterable[str]) -> list[str]:
    """Files a broken path can mean, by the strictest comparison under which there is any."""
    known = sorted(files)
    by_case = [file for file in known if file.lower() == meant.lower()]
    if by_case:
        return by_case
    name, stem = posixpath.basename(meant), posixpath.splitext(posixpath.basename(meant))[0]
    if stem.lower() in COMMON_STEMS:
        tail = "/".join(meant.split("/")[-2:])
        return [file for file in known if "/" in tail and file.endswith("/" + tail)]
    by_name = [file for file in known if posixpath.basename(file).lower() == name.lower()]
    return by_name or [file for file in known if _same_text(file, name)]


def _same_text(file: str, name: str) -> bool:
    stem, suffix = posixpath.splitext(posixpath.basename(file))
    wanted, old = posixpath.splitext(name)
    return stem == wanted and suffix.lower() in TEXTS and old.lower() in TEXTS


def written_like(target: str, page: str, found: str) -> str:
    """The path of ``found`` as a link on ``page``, in the manner of the old target."""
    if target.startswith("/"):
        path = "/" + found
    else:
        path = posixpath.relpath(found, posixpath.dirname(page) or ".")
        path = "./" + path if target.startswith("./") and not path.startswith("../") else path
    return quote(path, safe="/!$&'*+,;=:@~")


def mended_anchor(job: RecipeJob, tree: Tree, link: Link) -> str:
    """The target with the one fragment that a broken fragment can mean."""
    path, rest = split_target(link.target)
    if not rest.startswith("#") or len(rest) < len("#x"):
        return ""
    page = resolve(job.path, path) if path else job.path
    if page not in tree.files or not page.lower().endswith(MARKDOWN) or (job.root / page).is_symlink():
        return ""
    known = anchors((job.root / page).read_bytes().decode("utf-8", "surrogateescape"))
    found = closest_anchor(unquote(rest[1:]), known)
    return link.target[: len(link.target) - len(rest)] + "#" + quote(found, safe="") if found else ""


def closest_anchor(wanted: str, known: Iterable[str]) -> str:
    """The one anchor that says the same words; "" if ``wanted`` is among ``known`` or none or several do."""
    there = tuple(known)
    if wanted in there or re.fullmatch(r"L\d+(-L\d+)?|top", wanted):
        return ""
    for same in (_letters, _words):
        fits = {anchor for anchor in there if same(anchor) and same(anchor) == same(wanted)}
        if fits:
            return fits.pop() if len(fits) == 1 else ""
    return ""


def _letters(anchor: str) -> str:
    return re.sub(r"[\W_]", "", anchor.lower())


def _words(anchor: str) -> str:
    words = re.split(r"[\W_]+", anchor.lower())
    return " ".join(word.removesuffix("s") for word in words if word not in {"", "the", "a", "an", "and"})


RECIPES = (
    LinkMender(
        name="mend-broken-link",
        fixes=("doc-links:broken-link",),
        applicability=Applicability.SAFE,
        summary="Point a broken relative link at the one file it can mean.",
        why="The link leads nowhere, and exactly one file in the tree has the name it asks for.",
        source="https://spec.commonmark.org/0.31.2/#links",
        mend=mended_link,
    ),
    LinkMender(
        name="mend-broken-anchor",
        fixes=("doc-links:broken-anchor",),
        applicability=Applicability.SAFE,
        summary="Point a broken fragment at the one heading it can mean.",
        why="The fragment names no heading of the page, and exactly one heading says the same words.",
        source="https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#section-links",
        mend=mended_anchor,
    ),
    Codemod(
        name="rename-documented-parameter",
        fixes=("doc-links:unknown-parameter",),
        applicability=Applicability.SAFE,
        summary="Give a documented parameter the name the function uses.",
        why="The docstring names a parameter the function does not have, and one similar parameter is undocumented.",
        source="https://peps.python.org/pep-0257/#multi-line-docstrings",
        rewrite=_docstring.rename_parameters,
    ),
    Codemod(
        name="remove-documented-parameter",
        fixes=("doc-links:unknown-parameter",),
        applicability=Applicability.SAFE,
        summary="Take a parameter that no longer exists out of the docstring.",
        why="The docstring describes a parameter the function does not have; every real one is documented.",
        source="https://peps.python.org/pep-0257/#multi-line-docstrings",
        rewrite=_docstring.remove_parameters,
    ),
)
