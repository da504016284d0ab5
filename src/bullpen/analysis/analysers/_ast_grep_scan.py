"""Runs inside the sandbox: reads rules and paths from standard input, prints one JSON line per hit.

Standard input: ``{"rules": [...], "paths": [[path, language, is_test], ...]}``. A rule is ``{"id", "languages",
"where", "needs", "config"}``. Lines printed: ``{"at": path}`` before a file is opened, so that whoever reads knows which
file ended the process, and a ``Hit`` for each hit. Imports nothing of Bullpen: only this file is needed inside.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ast_grep_py import SgNode, SgRoot

SUPPRESSED = re.compile(r"(?:#|//|/\*)\s*bullpen:\s*ignore\[([^\]\n]*)\]")
COMMENT_ONLY = re.compile(r"\s*(?:#|//|/\*|\{/\*)")
UNDECODABLE = re.compile("[\udc80-\udcff]")
LONG_LINE = 5000  # characters: only machines write such lines
DEFINITIONS = frozenset(
    {
        "function_definition", "class_definition", "function_declaration", "method_declaration", "class_declaration",
        "method_definition", "generator_function_declaration",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScanRule:
    """What scanning needs of a rule."""

    id: str
    languages: tuple[str, ...]
    where: str
    needs: tuple[str, ...]
    config: Mapping[str, Any]

    def applies(self, text: str, language: str, is_test: bool) -> bool:
        """Whether to look for it at all: cheap, and right in almost all cases."""
        if language not in self.languages or self.where == ("outside-tests" if is_test else "tests"):
            return False
        return not self.needs or any(literal in text for literal in self.needs)


@dataclass(frozen=True, slots=True)
class Hit:
    """One place a rule speaks of. Lines and columns start at 1; the end column is exclusive."""

    path: str
    rule: str
    line: int
    column: int
    end_line: int
    end_column: int
    symbol: str


def scan_text(path: str, text: str, language: str, is_test: bool, rules: Sequence[ScanRule]) -> Iterator[Hit]:
    """Every hit in one file that its author has not marked as meant."""
    chosen = [rule for rule in rules if rule.applies(text, language, is_test)]
    lines = text.split("\n")
    if not chosen or any(len(line) > LONG_LINE for line in lines):
        return
    root = SgRoot(UNDECODABLE.sub("\ufffd", text), language).root()
    for rule in chosen:
        for node in root.find_all(rule.config):  # pyright: ignore[reportArgumentType]
            hit = _hit(path, rule.id, node)
            if not _suppressed(rule.id, hit.line, lines):
                yield hit


def _hit(path: str, rule: str, node: SgNode) -> Hit:
    at = node.range()
    return Hit(
        path=path,
        rule=rule,
        line=at.start.line + 1,
        column=at.start.column + 1,
        end_line=at.end.line + 1,
        end_column=at.end.column + 1,
        symbol=_symbol(node),
    )


def _symbol(node: SgNode) -> str:
    """Names of the definitions around it, outermost first: ``Class.method``."""
    names = [
        name.text()
        for each in [node, *node.ancestors()]
        if each.kind() in DEFINITIONS and (name := each.field("name")) is not None
    ]
    return ".".join(reversed(names))


def _suppressed(rule: str, line: int, lines: Sequence[str]) -> bool:
    here = lines[line - 1]
    above = lines[line - 2] if line > 1 else ""
    places = (here, above) if COMMENT_ONLY.match(above) else (here,)
    return any(
        rule in re.split(r"[,\s]+", mark.strip()) for place in places for mark in SUPPRESSED.findall(place)
    )


def _read(path: str) -> str:
    with open(os.fsencode(path), "rb") as file:
        return file.read().decode("utf-8", "surrogateescape")


def _print(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Scan what standard input names; see the module's docstring."""
    asked = json.load(sys.stdin)
    rules = [ScanRule(**rule) for rule in asked["rules"]]
    for path, language, is_test in asked["paths"]:
        _print({"at": path})
        for hit in scan_text(path, _read(path), language, is_test, rules):
            _print(asdict(hit))


if __name__ == "__main__":
    main()
