"""Links in Markdown and reStructuredText, and the headings they can point at."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

_ANCHOR = re.compile(r"""<[A-Za-z][^>]*?\s(?:id|name)\s*=\s*["']?([^"'\s>]+)""")
_ATTRIBUTE_ID = re.compile(r"\{[^}]*#([\w:.-]+)[^}]*\}")
_DEFINITION = re.compile(r" {0,3}\[[^\]]+\]:\s*<?([^\s>]+)")
_RST = re.compile(
    r"^\s*\.\. (?:\|[^|]+\| )?(?:image|figure|include|literalinclude)::\s+(?P<directive>\S+)\s*$"
    r"|`[^`<]*<(?P<inline>[^>`\s]+)>`__?(?!\w)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Link:
    """A target as written, without its fragment, and where; lines and columns start at 1."""

    target: str
    fragment: str
    line: int
    column: int


def markdown_links(text: str) -> list[Link]:
    """Links and images of CommonMark text, code left out."""
    lines = text.split("\n")
    found: list[Link] = []
    for block in _parser().parse(text):
        if block.type == "inline" and block.map:
            first, last = block.map
            found += _links_in_block(block, lines, first, last)
    return found


def markdown_anchors(text: str) -> frozenset[str]:
    """Fragments a page answers to: its headings as GitHub names them, and explicit ids."""
    tokens = _parser().parse(text)
    titles = [
        _title(tokens[position + 1]) for position, token in enumerate(tokens) if token.type == "heading_open"
    ]
    explicit = {match[1] for pattern in (_ANCHOR, _ATTRIBUTE_ID) for match in pattern.finditer(text)}
    return frozenset(_numbered(_slug(title) for title in titles)) | explicit


def rst_links(text: str) -> list[Link]:
    """Targets of directives that read a file, and of inline links."""
    return [_rst_link(text, match) for match in _RST.finditer(text)]


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def _links_in_block(block: Token, lines: list[str], first: int, last: int) -> Iterator[Link]:
    seen: Counter[str] = Counter()
    for token in block.children or ():
        written = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if isinstance(written, str) and token.type in ("link_open", "image"):
            target, _, fragment = written.partition("#")
            line, column = _find(lines, first, last, written, seen[written])
            seen[written] += 1
            yield Link(unquote(target.partition("?")[0]), unquote(fragment), line, column)


def _find(lines: list[str], first: int, last: int, written: str, skip: int) -> tuple[int, int]:
    forms = {written, unquote(written), html.escape(written)}
    for number in range(first, min(last, len(lines))):
        for match in re.finditer("|".join(re.escape(form) for form in forms), lines[number]):
            if skip == 0:
                return number + 1, match.start() + 1
            skip -= 1
    return _find_definition(lines, forms) or (first + 1, 1)


def _find_definition(lines: list[str], forms: set[str]) -> tuple[int, int] | None:
    """Where the target of a reference is written (``[name]: target``)."""
    for number, line in enumerate(lines, 1):
        match = _DEFINITION.match(line)
        if match and match[1] in forms:
            return number, match.start(1) + 1
    return None


def _title(inline: Token) -> str:
    return "".join(
        token.content for token in inline.children or () if token.type in ("text", "code_inline", "image")
    )


def _slug(title: str) -> str:
    """As GitHub does it: lower case, spaces to hyphens, everything but letters, digits, hyphens and ``_`` dropped."""
    kept = (
        letter
        for letter in title.strip().lower()
        if letter in " -_" or unicodedata.category(letter)[0] in ("L", "N", "M")
    )
    return "".join(kept).replace(" ", "-")


def _numbered(slugs: Iterator[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for slug in slugs:
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1


def _rst_link(text: str, match: re.Match[str]) -> Link:
    group = "directive" if match["directive"] else "inline"
    target, _, fragment = match[group].partition("#")
    before = text[: match.start(group)]
    line = before.count("\n") + 1
    return Link(target, fragment, line, len(before) - before.rfind("\n"))
