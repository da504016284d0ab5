"""Faults in languages that tree-sitter parses: what each kind of node may become is the language's own."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from ast_grep_py import SgNode, SgRoot

from bullpen.codegraph.mutants import Mutant, short, spread

_LONGEST_LINE = 2000  # a place's column is counted each time
_SURROGATES = re.compile("[\ud800-\udfff]")  # bytes that are not UTF-8


@dataclass(frozen=True, slots=True)
class Becomes:
    """A piece of the file, from one character to another, and what stands there instead."""

    start: int
    end: int
    new: str


Rule = Callable[[SgNode], Iterator[Becomes]]


@dataclass(frozen=True, slots=True)
class Grammar:
    """What is told by the kinds of nodes: ``rules`` for faults, ``idle`` for what never runs, ``scopes`` for functions."""

    rules: Mapping[str, Rule]
    idle: frozenset[str]
    scopes: frozenset[str]


def put_faults(
    source: str, parser: str, grammar: Grammar, lines: Collection[int], most: int
) -> tuple[Mutant, ...] | None:
    """See ``Faults.put``."""
    root = read(source, parser)
    if root is None:
        return None
    by_line: dict[int, list[Mutant]] = {}
    for node in _within(root, grammar, frozenset(lines)):
        rule = grammar.rules.get(node.kind())
        if rule is None:
            continue
        line = node.range().start.line + 1
        if line in lines:
            by_line.setdefault(line, []).extend(_mutant(source, line, one) for one in rule(node))
    return spread([by_line[line] for line in sorted(by_line)], most)


def lines_around(source: str, parser: str, grammar: Grammar, line: int) -> range:
    """See ``Faults.around``."""
    root = read(source, parser)
    found = range(line, line + 1)
    for node in _within(root, grammar, frozenset({line})) if root else ():
        if node.kind() in grammar.scopes:  # inner ones come after outer ones
            found = range(node.range().start.line + 1, node.range().end.line + 2)
    return found


def read(source: str, parser: str) -> SgNode | None:
    """The tree of a file; None for what does not parse, and for what a program has put on one long line."""
    if max(map(len, source.split("\n"))) > _LONGEST_LINE:
        return None
    root = SgRoot(_SURROGATES.sub("\ufffd", source), parser).root()
    return None if root.find(kind="ERROR") else root


def _within(root: SgNode, grammar: Grammar, lines: frozenset[int]) -> Iterator[SgNode]:
    """Nodes with some of these lines, outer before inner, without what never runs."""
    ordered = sorted(lines)
    left = [root]
    while left:
        node = left.pop()
        if node.kind() in grammar.idle or not _has_one(ordered, node):
            continue
        yield node
        left += reversed(node.children())


def _has_one(ordered: list[int], node: SgNode) -> bool:
    place = node.range()
    first, last = place.start.line + 1, place.end.line + 1
    return any(first <= line <= last for line in ordered)


def _mutant(source: str, line: int, one: Becomes) -> Mutant:
    old = source[one.start : one.end]
    return Mutant(
        line, f"{short(old)} became {short(one.new)}", source[: one.start] + one.new + source[one.end :]
    )


def instead(node: SgNode, new: str) -> Becomes:
    """The whole of a node."""
    return Becomes(node.range().start.index, node.range().end.index, new)


def before(node: SgNode, new: str) -> Becomes:
    """Something that stands before a node, on its line."""
    start = node.range().start.index
    return Becomes(start, start, new)


def other_operator(others: Mapping[str, str]) -> Rule:
    """A rule for nodes with an ``operator``."""

    def rule(node: SgNode) -> Iterator[Becomes]:
        operator = node.field("operator")
        if operator and operator.text() in others:
            yield instead(operator, others[operator.text()])

    return rule


def named_children(node: SgNode) -> list[SgNode]:
    """Children without punctuation and comments."""
    return [child for child in node.children() if child.is_named() and child.kind() != "comment"]


def longer_text(node: SgNode) -> Iterator[Becomes]:
    """A literal in quotes with a letter more."""
    yield instead(node, f"{node.text()[:-1]}x{node.text()[-1]}")


def one_more(node: SgNode) -> Iterator[Becomes]:
    """A number, and one more."""
    yield instead(node, f"({node.text()} + 1)")
