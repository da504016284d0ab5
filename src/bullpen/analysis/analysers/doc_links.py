"""Links that lead nowhere, and docstrings that describe parameters which are not there."""

import asyncio
import os
import posixpath
import re
from collections.abc import Iterator, Sequence

from bullpen.analysis import docstrings, links
from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.docstrings import unknown_parameters
from bullpen.analysis.links import Link, markdown_anchors, markdown_links, rst_links
from bullpen.analysis.outline import parse_python
from bullpen.analysis.tools import own_version
from bullpen.analysis.where import Role, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_MARKDOWN = (".md", ".markdown")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PLACEHOLDER = re.compile(r"[{}<>$*|\n]|^\.\.\.$")
_GENERATED = (".html", ".htm")  # what a documentation builder will put there


class DocLinks:
    """Documentation that disagrees with the tree it stands in."""

    name = "doc-links"
    reach = Reach.TREE

    def version(self) -> str:
        """Of the files it is made of."""
        return own_version(__file__, docstrings.__file__, links.__file__)

    def wants(self, path: str) -> bool:
        """Texts and Python sources."""
        return path.endswith((*_MARKDOWN, ".rst", ".py"))

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        return await asyncio.to_thread(lambda: list(_observe(tree, paths)))


def _observe(tree: SourceTree, paths: Sequence[str]) -> Iterator[Observation]:
    pages = _Pages(tree)
    for path in paths:
        if role_of(path) is Role.TEST:
            continue
        if path.endswith(".py"):
            yield from _parameters(path, tree.text(path))
        else:
            yield from pages.broken(path)


class _Pages:
    """The texts of a tree and what they can point at."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._folders = {folder for path in tree.files for folder in _folders(path)}
        self._anchors: dict[str, frozenset[str]] = {}

    def broken(self, path: str) -> Iterator[Observation]:
        text = self._tree.text(path)
        if path.endswith(_MARKDOWN):
            for link in markdown_links(text):
                yield from self._check(path, link)
        else:
            for link in rst_links(text):
                if not link.target.startswith("/"):  # counted from a root the builder knows
                    yield from self._check(path, link)

    def _check(self, path: str, link: Link) -> Iterator[Observation]:
        if _SCHEME.match(link.target) or link.target.startswith("//") or _PLACEHOLDER.search(link.target):
            return
        target = _resolve(path, link.target)
        if target is None:
            return
        if not self._is_there(target):
            if not target.endswith(_GENERATED):
                yield _broken(
                    path, link, "doc-links:broken-link", f"The link to {link.target} leads nowhere."
                )
        elif self._lacks_anchor(target, link.fragment):
            message = f"{target} has no heading for the fragment #{link.fragment}."
            yield _broken(path, link, "doc-links:broken-anchor", message)

    def _is_there(self, target: str) -> bool:
        if target in self._tree.files or target in self._folders:
            return True
        return os.path.lexists(
            self._tree.root / target
        )  # a symbolic link or a large file: there, but not followed

    def _lacks_anchor(self, target: str, fragment: str) -> bool:
        if not fragment or not target.endswith(_MARKDOWN) or target not in self._tree.files:
            return False
        if target not in self._anchors:
            found = markdown_anchors(self._tree.text(target))
            self._anchors[target] = frozenset(anchor.lower() for anchor in found)
        return fragment.lower() not in self._anchors[target]


def _folders(path: str) -> Iterator[str]:
    yield "."
    while path := posixpath.dirname(path):
        yield path


def _resolve(path: str, target: str) -> str | None:
    """The path in the tree a target means; None if it points out of the tree, such as ``../../issues`` on a forge."""
    if not target:
        return path
    start = "" if target.startswith("/") else posixpath.dirname(path)
    resolved = posixpath.normpath(posixpath.join(start, target.lstrip("/")))
    return None if resolved.startswith("..") else resolved


def _broken(path: str, link: Link, rule: str, message: str) -> Observation:
    return Observation(
        rule=rule,
        message=message,
        severity=Severity.LOW,
        concern=Concern.DOCUMENTATION,
        place=Place(path, link.line, link.column),
        analyser="doc-links",
        url="https://spec.commonmark.org/0.31.2/#links",
    )


def _parameters(path: str, text: str) -> Iterator[Observation]:
    module = parse_python(text)
    if module is None:
        return
    for function, described in unknown_parameters(module):
        yield Observation(
            rule="doc-links:unknown-parameter",
            message=f"The docstring of {function.name} describes a parameter {described.name} it does not have.",
            severity=Severity.LOW,
            concern=Concern.DOCUMENTATION,
            place=Place(path, described.line),
            analyser="doc-links",
            url="https://peps.python.org/pep-0257/#multi-line-docstrings",
        )


ANALYSER = DocLinks()
