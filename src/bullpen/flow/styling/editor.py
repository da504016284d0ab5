"""``.editorconfig`` (https://spec.editorconfig.org): which of its rules a file breaks, and how often."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from bullpen.flow.styling.configured import number_of, read_setting

NAME = ".editorconfig"
_MOST_ALTERNATIVES = 64
_MOST_STARS = 6  # of more, matching could take for ever
_BRACES = re.compile(r"\{([^{}]*)\}")
_LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
_SECTION = re.compile(r"\[(.+)\]\s*(?:[#;].*)?$")

Properties = Mapping[str, str]


def editor_properties(root: Path, path: str) -> Properties:
    """What the project's files ask of a file, in small letters; the nearer file has the last word."""
    found: dict[str, str] = {}
    for folder in _folders(path):
        text = read_setting(root / folder, NAME)
        if text is None or _has_link(root, folder):
            continue
        if _is_root(text):
            found.clear()
        found |= _properties(text, str(PurePosixPath(path).relative_to(folder)))
    return found


def line_limit(root: Path, path: str) -> int | None:
    """The widest line of a file the project allows in ``.editorconfig``; None where it does not say."""
    return number_of(editor_properties(root, path).get("max_line_length", ""))


def editor_problems(root: Path, path: str, content: bytes) -> Iterator[str]:
    """``path: what is wrong`` once for each line where it is."""
    wanted = editor_properties(root, path)
    if not wanted or b"\0" in content:
        return
    lines = content.decode("utf-8", "surrogateescape").splitlines()
    for rule in (_ends, _blanks, _indents, _widths):
        yield from (f"{path}: {words}" for words in rule(wanted, content, lines))


def _folders(path: str) -> list[PurePosixPath]:
    """From the top of the project to the folder the file is in."""
    return list(reversed(PurePosixPath(path).parents))


def _has_link(root: Path, folder: PurePosixPath) -> bool:
    return any((root / part).is_symlink() for part in (folder, *folder.parents))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """(section, line) of each line that says something; the section is empty above the first."""
    section = ""
    for line in (one.strip() for one in text.splitlines()):
        if found := _SECTION.match(line):
            section = found[1]
        elif line and line[0] not in "#;":
            yield section, line


def _is_root(text: str) -> bool:
    return any(not section and _pair(line) == ("root", "true") for section, line in _lines(text))


def _pair(line: str) -> tuple[str, str]:
    name, _equals, value = line.partition("=")
    return name.strip().lower(), re.split(r"\s[#;]", value)[0].strip().lower()


def _properties(text: str, path: str) -> dict[str, str]:
    held: dict[str, bool] = {}
    found: dict[str, str] = {}
    for section, line in _lines(text):
        if section and held.setdefault(section, _is_meant(section, path)):
            name, value = _pair(line)
            found[name] = value
    return {name: value for name, value in found.items() if value != "unset"}


def _is_meant(pattern: str, path: str) -> bool:
    place = path if "/" in pattern else PurePosixPath(path).name
    return any(_matches(one.removeprefix("/"), place) for one in _alternatives(pattern))


def _alternatives(pattern: str) -> list[str]:
    """``*.{js,ts}`` as ``*.js`` and ``*.ts``; more than some dozens are not looked at."""
    left, done = [pattern], list[str]()
    while left and len(left) + len(done) <= _MOST_ALTERNATIVES:
        one = left.pop()
        found = _BRACES.search(one)
        if found is None:
            done.append(one)
        else:
            left += [one[: found.start()] + part + one[found.end() :] for part in found[1].split(",")]
    return done


def _matches(pattern: str, place: str) -> bool:
    if pattern.count("*") > _MOST_STARS:
        return False
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]/]+\])", pattern)
    return re.fullmatch("".join(_expression(part) for part in parts), place) is not None


def _expression(part: str) -> str:
    known = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in known:
        return known[part]
    if part.startswith("[") and part.endswith("]") and len(part) > 2:
        inner = re.sub(r"([\\\]\[&~|])", r"\\\1", part[1:-1])
        return f"[^{inner[1:]}]" if inner.startswith("!") and len(inner) > 1 else f"[{inner}]"
    return re.escape(part)


def _ends(wanted: Properties, content: bytes, lines: Sequence[str]) -> Iterator[str]:
    end = _LINE_ENDS.get(wanted.get("end_of_line", ""))
    if end:
        others = [one for one in re.findall(rb"\r\n|\n|\r", content) if one != end]
        yield from (f"its lines do not end as they should #{n}" for n in range(1, len(others) + 1))
    final = wanted.get("insert_final_newline")
    if content and final in {"true", "false"} and content.endswith((b"\n", b"\r")) is not (final == "true"):
        yield "its last line does not end as it should"


def _blanks(wanted: Properties, _content: bytes, lines: Sequence[str]) -> Iterator[str]:
    if wanted.get("trim_trailing_whitespace") == "true":
        yield from _counted("blanks at the end of a line", (line for line in lines if line != line.rstrip()))


def _indents(wanted: Properties, _content: bytes, lines: Sequence[str]) -> Iterator[str]:
    if wanted.get("indent_style") == "space":
        yield from _counted("indented by a tab", (line for line in lines if re.match(r" *\t", line)))
    elif wanted.get("indent_style") == "tab":
        yield from _counted("indented by spaces", (line for line in lines if re.match(r" {2,}[^\s*]", line)))


def _widths(wanted: Properties, _content: bytes, lines: Sequence[str]) -> Iterator[str]:
    limit = number_of(wanted.get("max_line_length", ""))
    if limit:
        tab = number_of(wanted.get("tab_width", wanted.get("indent_size", ""))) or 1
        wide = (line for line in lines if len(line.expandtabs(min(tab, 16))) > limit)
        yield from _counted(f"wider than {limit}", wide)


def _counted(words: str, found: Iterator[str]) -> Iterator[str]:
    yield from (f"{words} #{number}" for number, _line in enumerate(islice(found, 10_000), start=1))
