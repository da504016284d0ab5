"""Edits of Python files: what no edit covers stays byte for byte."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import libcst as cst

from bullpen.domain.change import Site
from bullpen.recipes._python_file import Import, PythonFile, parses, read_python
from bullpen.recipes._python_imports import import_place, unneeded_imports
from bullpen.recipes.base import Rewrite

N = TypeVar("N", bound=cst.CSTNode)


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Replace the bytes from ``start`` to ``end`` (offsets in the file) by ``text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Patch:
    """What mends one place: edits, the imports that they need, and those that may have had their last use there."""

    edits: tuple[Edit, ...]
    imports: tuple[Import, ...] = ()
    freed: tuple[Import, ...] = ()


Mend = Callable[[PythonFile, N], Patch | None]


def rewriting(kind: type[N], mend: Mend[N]) -> Rewrite:
    """A codemod's rewrite: ``mend`` is asked about each node of ``kind`` at a site, and says None where unsure.

    A site names the innermost node that holds its line and column; a site at column 1 names every node that starts
    on its line or, if there is none, the innermost one that holds the line.
    """

    def rewrite(text: str, sites: Sequence[Site]) -> str:
        file = read_python(text)
        if file is None or not sites:
            return text
        patches = [patch for _, patch in _chosen(file, kind, mend, sites)]
        after = apply_patches(file, patches)
        return after if parses(after) else text

    return rewrite


def _chosen(file: PythonFile, kind: type[N], mend: Mend[N], sites: Sequence[Site]) -> list[tuple[N, Patch]]:
    nodes = [node for node in file.nodes(kind) if any(_holds_line(file, node, site) for site in sites)]
    offers = [(node, patch) for node in nodes if (patch := mend(file, node)) is not None]
    chosen: list[tuple[N, Patch]] = []
    for site in sites:
        named = _named(file, [node for node, _ in offers], site)
        chosen += [offer for offer in offers if offer[0] in named and offer not in chosen]
    return chosen


def nodes_of(root: cst.CSTNode, kind: type[N]) -> list[N]:
    """Every node of a kind in a tree, outer ones first, in the order of the text."""
    found: list[N] = [root] if isinstance(root, kind) else []
    for child in root.children:
        found += nodes_of(child, kind)
    return found


def _holds_line(file: PythonFile, node: cst.CSTNode, site: Site) -> bool:
    first, last = file.lines(node)
    return first <= site.line <= last


def _named(file: PythonFile, nodes: Sequence[N], site: Site) -> list[N]:
    if site.column > 1:
        place = (site.line, site.column)
        around = [node for node in nodes if file.range(node)[0] <= place < file.range(node)[1]]
        return _innermost(file, around)
    around = [node for node in nodes if _holds_line(file, node, site)]
    return [node for node in around if file.lines(node)[0] == site.line] or _innermost(file, around)


def _innermost(file: PythonFile, nodes: Sequence[N]) -> list[N]:
    return [min(nodes, key=lambda node: file.span(node)[1] - file.span(node)[0])] if nodes else []


def apply_patches(file: PythonFile, patches: Sequence[Patch]) -> str:
    """The file's text after the patches; one that overlaps an earlier one is left out whole."""
    taken: list[Edit] = []
    needed: list[Import] = []
    freed: list[Import] = []
    for patch in patches:
        if not any(_overlap(new, old) for new in patch.edits for old in taken):
            taken += patch.edits
            needed += [one for one in patch.imports if one not in needed]
            freed += [one for one in patch.freed if one not in freed]
    gone = [(edit.start, edit.end) for edit in taken]
    taken += [Edit(*place, "") for place in unneeded_imports(file, freed, gone)]
    if place := import_place(file, needed):
        taken.append(insert(*place))
    return edited(file.data, taken).decode("utf-8", "surrogateescape")


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes after edits that do not overlap."""
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
        data = data[: edit.start] + edit.text.encode("utf-8", "surrogateescape") + data[edit.end :]
    return data


def replace(file: PythonFile, node: cst.CSTNode, text: str) -> Edit:
    """Put ``text`` in a node's place."""
    return Edit(*file.span(node), text)


def insert(offset: int, text: str) -> Edit:
    """Put ``text`` at an offset."""
    return Edit(offset, offset, text)


def argument(call: cst.Call, keyword: str, position: int | None = None) -> cst.Arg | None:
    """The argument given by keyword, or else by position if no star comes before it."""
    for place, arg in enumerate(call.args):
        if arg.keyword is not None and arg.keyword.value == keyword:
            return arg
        if arg.star:
            position = None
        if arg.keyword is None and not arg.star and place == position:
            return arg
    return None


def has_star(call: cst.Call) -> bool:
    """Whether a call passes ``*args`` or ``**kwargs``, so that its arguments are not all known."""
    return any(arg.star for arg in call.args)


def without_argument(file: PythonFile, call: cst.Call, arg: cst.Arg) -> Edit:
    """Take an argument out of a call, with the comma and the white space that separate it from its neighbour.

    Comments between the arguments would go too: decline such calls first.
    """
    place = call.args.index(arg)
    start, end = file.span(arg)
    comma = file.span(arg.comma) if isinstance(arg.comma, cst.Comma) else None
    if place + 1 < len(call.args):
        return Edit(start, file.span(call.args[place + 1])[0], "")
    if place > 0:
        return Edit(file.span(call.args[place - 1])[1], comma[0] if comma else end, "")
    return Edit(start, comma[1] if comma else end, "")


def with_argument(file: PythonFile, call: cst.Call, text: str) -> Edit:
    """Add a last argument in the style of the others: one per line where they are, trailing comma kept."""
    if not call.args:
        return insert(file.span(call)[1] - 1, text)
    last = call.args[-1]
    gap = _gap(file, call)
    if isinstance(last.comma, cst.Comma):
        return insert(file.span(last.comma)[1], f"{gap}{text},")
    return insert(file.span(last)[1], f",{gap}{text}")


def _gap(file: PythonFile, call: cst.Call) -> str:
    starts = [file.lines(arg)[0] for arg in call.args]
    previous = starts[-2] if len(starts) > 1 else file.lines(call.func)[1]
    if starts[-1] == previous:
        return " "
    column = file.range(call.args[-1])[0][1] - 1
    indent = file.indent(call.args[-1])
    return file.newline + indent + " " * (column - len(indent))
