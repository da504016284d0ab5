"""Runs inside the sandbox: reads rules and files from standard input, prints one JSON line per hit.

Standard input: ``{"rules": [...], "files": [[path, language, is_test], ...]}``; a rule is a ``ScanRule``. Lines printed:
``{"kind": "hit", ...}`` with the fields of ``Hit``, and ``{"kind": "failure", "path", "how"}`` for a file that the parser
did not survive. Imports nothing of Bullpen: only this file is needed inside.
"""

import json
import mmap
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ast_grep_py import SgNode, SgRoot

SUPPRESSED = re.compile(r"(?:#|//|/\*|<!--)\s*bullpen:\s*ignore\[([^\]\n]*)\]")
COMMENT_ONLY = re.compile(r"\s*(?:#|//|/\*|\{/\*|<!--)")
UNDECODABLE = re.compile("[\udc80-\udcff]")
SECONDS_PER_FILE = 30
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


def _lines(file: Sequence[Any], rules: Sequence[ScanRule]) -> str:
    """What to print of one file, all at once, so that a process that dies leaves no half line."""
    path, language, is_test = file
    hits = scan_text(path, _read(path), language, is_test, rules)
    return "".join(json.dumps({"kind": "hit", **asdict(hit)}) + "\n" for hit in hits)


def _read(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _scan(files: Sequence[Any], rules: Sequence[ScanRule], start: int, progress: mmap.mmap) -> None:
    """Scan ``files[start:]``, noting the index of the file at hand where the parent sees it."""
    for index in range(start, len(files)):
        progress[:8] = index.to_bytes(8, "little")
        signal.alarm(SECONDS_PER_FILE)  # its default action ends the process, also from within native code
        _write(_lines(files[index], rules))


def _in_a_child(files: Sequence[Any], rules: Sequence[ScanRule], start: int, progress: mmap.mmap) -> int:
    """Scan in a child, since a parser in native code may bring its process down. Returns its wait status."""
    child = os.fork()
    if child == 0:
        _scan(files, rules, start, progress)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return (
            "it took too long"
            if number == signal.SIGALRM
            else f"the parser died of {signal.strsignal(number)}"
        )
    return "the parser gave up"


def _check(rules: Sequence[ScanRule]) -> None:
    """Refuse a rule that ast-grep does not take before looking at any file."""
    for rule in rules:
        for language in rule.languages:
            SgRoot("", language).root().find_all(rule.config)  # pyright: ignore[reportArgumentType]


def main() -> None:
    """Scan what standard input names; see the module's docstring."""
    asked = json.load(sys.stdin)
    rules = [ScanRule(**rule) for rule in asked["rules"]]
    files = asked["files"]
    _check(rules)
    progress = mmap.mmap(-1, 8)
    start = 0
    while start < len(files):
        status = _in_a_child(files, rules, start, progress)
        if status == 0:
            return
        failed = int.from_bytes(progress[:8], "little")
        _write(json.dumps({"kind": "failure", "path": files[failed][0], "how": _how(status)}) + "\n")
        start = failed + 1


if __name__ == "__main__":
    main()
