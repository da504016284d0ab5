"""Tests in languages that are not parsed here: no line of theirs may go, except for its spelling."""

import re
from collections import Counter
from collections.abc import Iterator

from bullpen.flow.guarding.breach import Breach

_TITLE = re.compile(
    r"""\b(?:it|test|describe|context|specify)(?:\.\w+)*\s*\(\s*(?:'([^'\n]*)'|"([^"\n]*)"|`([^`\n]*)`)"""
    r"|^func\s+((?:Test|Benchmark|Fuzz|Example)\w*)\s*\(|@Test[^{;]*?\bvoid\s+(\w+)|#\[test\]\s*(?:async\s+)?fn\s+(\w+)",
    re.MULTILINE,
)
_IMPORT = re.compile(
    r"""^\s*(?:import\b|from\b|export\s|package\s|use\s|\}\s*from\b|const\s+.*=\s*require\(|"[\w./-]+"$|[\w]+\s+"[\w./-]+"$)"""
)
_BLOCK = re.compile(r"/\*.*?\*/", re.DOTALL)
_COMMENT_LINE = re.compile(r"^\s*(?://|#(?!\[))")
_COMMENT = re.compile(r"\s//\s.*$")
_EARLY = re.compile(r"^\s*return;?\s*$")


def weaker_plain_tests(path: str, before: str, after: str) -> Iterator[Breach]:
    """Tests and lines of tests the new file does not have any more, and returns it did not have before."""
    kept = Counter(titles(after))
    for title, line in _titled(before):
        if not kept[title]:
            yield Breach(path, line, f"deletes the test {title}")
    left = Counter(text for _number, text in _lines(after))
    for number, text in _lines(before):
        if left[text]:
            left[text] -= 1
        else:
            yield Breach(path, number, f"changes or drops what tests do: {text[:80]}")
    returns = [n for n, line in enumerate(after.splitlines(), start=1) if _EARLY.match(line)]
    if len(returns) > sum(bool(_EARLY.match(line)) for line in before.splitlines()):
        yield Breach(path, returns[0], "returns before the end of a test")


def titles(text: str) -> list[str]:
    """Names of the tests in a file, as its language writes them, in their order."""
    return [title for title, _line in _titled(text)]


def _titled(text: str) -> Iterator[tuple[str, int]]:
    for found in _TITLE.finditer(text):
        yield (
            next(part for part in found.groups() if part is not None),
            text.count("\n", 0, found.start()) + 1,
        )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that do something, spelt alike: quotes, blanks, semicolons, ``var``, ``==`` do not count."""
    for number, line in enumerate(_BLOCK.sub(_blank, text).splitlines(), start=1):
        if _IMPORT.match(line) or _COMMENT_LINE.match(line):
            continue
        bare = _COMMENT.sub("", line)
        plain = re.sub(r"\b(?:var|let)\b", "const", bare.replace("`", "'").replace('"', "'"))
        plain = re.sub(r"([=!])==", r"\1=", plain)
        plain = re.sub(r"[\s;]+|,(?=\s*$|\s*[)\]}])", "", plain)
        if plain.strip("(){}[],"):
            yield number, plain


def _blank(found: re.Match[str]) -> str:
    """Nothing, on as many lines."""
    return "\n" * found.group().count("\n")
