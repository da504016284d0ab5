"""Links, headings and anchors of a Markdown text, with the places where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r" {0,3}(?:[-*+>]\s+|\d+[.)]\s+)*(`{3,}|~{3,})")
LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
INLINE = re.compile(
    r"\]\([ \t]*(?P<target><[^<>\r\n]*>|[^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)"
    r"(?:[ \t]+(?:\"[^\"\r\n]*\"|'[^'\r\n]*'))?[ \t]*\)"
)
DEFINITION = re.compile(r"^ {0,3}\[[^\]\r\n]+\]:[ \t]*(?P<target><[^<>\r\n]*>|[^\s<>]+)", re.MULTILINE)
HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(?P<title>[^\r\n]*?)(?:[ \t]+#+)?[ \t]*\r?$", re.MULTILINE)
SETEXT = re.compile(r"^ {0,3}(?P<title>\S[^\r\n]*)\r?\n {0,3}(?:=+|-+)[ \t]*\r?$", re.MULTILINE)
NAMED = re.compile(r"<[a-zA-Z][^<>]*?\b(?:id|name)\s*=\s*[\"'](?P<name>[^\"'<>]+)[\"']")


@dataclass(frozen=True, slots=True)
class Link:
    """A link's target (without angle brackets), its line (from 1) and its offsets in the text."""

    target: str
    line: int
    start: int
    end: int


def links(text: str) -> Iterator[Link]:
    """Targets of inline links, images and reference definitions, in order; none inside code or comments."""
    prose = without_code(text)
    found = [match for pattern in (INLINE, DEFINITION) for match in pattern.finditer(prose)]
    for match in sorted(found, key=lambda m: m.start("target")):
        start, end = match.span("target")
        if prose[start:end].startswith("<"):
            start, end = start + 1, end - 1
        yield Link(text[start:end], text.count("\n", 0, start) + 1, start, end)


def anchors(text: str) -> tuple[str, ...]:
    """Fragments a reader may link to: GitHub's slugs of the headings, in order, then explicit ids and names."""
    prose = without_code(text, spans=False)
    found = [*HEADING.finditer(prose), *SETEXT.finditer(prose)]
    slugs: list[str] = []
    seen: dict[str, int] = {}
    for match in sorted(found, key=lambda m: m.start()):
        base = slug(match["title"])
        count = seen.get(base, 0)
        seen[base] = count + 1
        slugs.append(f"{base}-{count}" if count else base)
    return (*slugs, *(match["name"] for match in NAMED.finditer(prose)))


def slug(title: str) -> str:
    """GitHub's fragment for a heading: https://docs.github.com/en/get-started/writing-on-github (section links)."""
    shown = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", title)
    shown = re.sub(r"<[^<>]*>", "", shown)
    return re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")


def without_code(text: str, *, spans: bool = True) -> str:
    """The text at equal length, with code blocks, comments and (if ``spans``) code spans blanked out."""
    prose = COMMENT.sub(_blank, _without_blocks(text))
    return "\n".join(CODE_SPAN.sub(_blank, line) for line in prose.split("\n")) if spans else prose


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\r\n]", " ", match[0])


def _without_blocks(text: str) -> str:
    lines: list[str] = []
    fence = ""
    in_list = after_blank = False
    for line in text.split("\n"):
        mark = FENCE.match(line)
        indented = line.startswith(("    ", "\t"))
        if fence:
            lines.append(" " * len(line))
            fence = "" if line.strip().startswith(fence) and not line.strip().strip(fence[0]) else fence
            continue
        if mark and not (indented and not in_list):
            fence = mark[1]
        code = bool(fence) or (indented and after_blank and not in_list)
        lines.append(" " * len(line) if code else line)
        if line.strip() and not indented:
            in_list = bool(LIST_ITEM.match(line)) or (in_list and line.startswith(" "))
        after_blank = not line.strip() or code
    return "\n".join(lines)
