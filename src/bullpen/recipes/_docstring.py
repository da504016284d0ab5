"""Parameters as docstrings describe them (Google, NumPy and Sphinx style), compared with the real ones."""

import ast
import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bullpen.domain.change import Site
from bullpen.kernel.python_text import parse_module

SIMILAR = 0.6
UNDECODABLE = re.compile("[\udc80-\udcff]")
# Decorators that leave the parameters a caller passes as they are written.
TRANSPARENT = frozenset(
    [
        "staticmethod",
        "classmethod",
        "abstractmethod",
        "override",
        "final",
        "contextmanager",
        "asynccontextmanager",
        "cache",
        "lru_cache",
        "overload",
        "cached_property",
        "wraps",
    ]
)
GOOGLE_HEAD = re.compile(r"(\s*)(?:Args|Arguments|Parameters|Params):\s*$")
GOOGLE_ENTRY = re.compile(r"(\s+)(\*{0,2})([A-Za-z_]\w*)(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*:(?:\s|$)")
NUMPY_HEAD = re.compile(r"(\s*)(?:Other )?Parameters\s*$")
NUMPY_ENTRY = re.compile(r"(\s*)(\*{0,2})([A-Za-z_]\w*)(?:\s*:.*|\s*)$")
SPHINX = re.compile(
    r"(\s*):(?:param|parameter|arg|argument|key|keyword)(?:\s+[^:\s]+)*?\s+(\\?\*{0,2})([A-Za-z_]\w*):"
)
SPHINX_TYPE = re.compile(r"(\s*):type\s+(\\?\*{0,2})([A-Za-z_]\w*):")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Entry:
    """One description: ``line`` counts from 0 in the file, ``column`` is where the name starts, ``end`` excludes."""

    name: str
    line: int
    column: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """Entries under one head, or one field without a head. ``start`` to ``end`` (excluded) are its lines.

    ``clear`` is false if a line stands where an entry should and is none: then the section is not understood.
    """

    start: int
    end: int
    entries: tuple[Entry, ...]
    clear: bool = True
    headed: bool = True


@dataclass(frozen=True, slots=True)
class Documented:
    """A function whose docstring describes parameters."""

    sections: tuple[Section, ...]
    unknown: tuple[Entry, ...]  # described, but not real
    silent: tuple[str, ...]  # real, but not described


def rename_parameters(text: str, sites: Sequence[Site]) -> str:
    """Rename the one unknown name to the one similar real name that is not described."""
    return _rewritten(text, sites, _rename)


def remove_parameters(text: str, sites: Sequence[Site]) -> str:
    """Remove descriptions of parameters that are gone, where all real parameters are described."""
    return _rewritten(text, sites, _remove)


def _rewritten(text: str, sites: Sequence[Site], edit: Callable[[list[str], Documented], None]) -> str:
    lines = text.split("\n")
    for documented in reversed(list(_documented(text, lines, sites))):
        edit(lines, documented)
    return "\n".join(lines)


def _rename(lines: list[str], documented: Documented) -> None:
    names = {entry.name for entry in documented.unknown}
    if len(names) != 1:
        return
    (old,) = names
    similar = [name for name in documented.silent if _alike(old, name)]
    if len(similar) != 1:
        return
    for entry in documented.unknown:
        line = lines[entry.line]
        start = line.index(old, entry.column)
        lines[entry.line] = line[:start] + similar[0] + line[start + len(old) :]


def _alike(old: str, new: str) -> bool:
    if re.sub(r"\D", "", old) != re.sub(r"\D", "", new):
        return False
    return difflib.SequenceMatcher(None, old.lower(), new.lower(), autojunk=False).ratio() >= SIMILAR


def _remove(lines: list[str], documented: Documented) -> None:
    if documented.silent:
        return
    gone = set(documented.unknown)
    for section in reversed(documented.sections):
        if section.headed and gone.issuperset(section.entries):
            _delete(lines, section.start, _trimmed(lines, section.start, section.end), whole=True)
            continue
        for entry in reversed(section.entries):
            if entry in gone:
                _delete(lines, entry.line, entry.end, whole=False)


def _delete(lines: list[str], start: int, end: int, *, whole: bool) -> None:
    closes = lines[end].lstrip().startswith(('"""', "'''"))
    while (whole or closes) and not lines[start - 1].strip():
        start -= 1
    del lines[start:end]


def _documented(text: str, lines: list[str], sites: Sequence[Site]) -> Iterator[Documented]:
    try:
        module = parse_module(UNDECODABLE.sub("?", text.removeprefix("\ufeff")))
    except (SyntaxError, ValueError):
        return
    if "\r" in text.replace("\r\n", "") or "\f" in text:
        return
    for node in sorted(_functions(module), key=lambda n: n.lineno):
        span = range(min([node.lineno, *(d.lineno for d in node.decorator_list)]), _docstring_end(node) + 1)
        if any(site.line in span for site in sites) and _is_transparent(node):
            yield from _compared(node, lines)


def _functions(module: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(module) if isinstance(node, Function))


def _docstring_end(node: Function) -> int:
    return node.body[0].end_lineno or node.lineno


def _is_transparent(node: Function) -> bool:
    return all(_decorator_name(decorator) in TRANSPARENT for decorator in node.decorator_list)


def _decorator_name(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def _compared(node: Function, lines: list[str]) -> Iterator[Documented]:
    first = node.body[0]
    if not _has_block(node, lines) or node.args.kwarg:
        return
    spread = node.args.vararg
    real = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    every = {*real, spread.arg} if spread else {*real}
    # The first and last line hold the quotes: an entry there is left alone.
    inner = range(first.lineno, (first.end_lineno or first.lineno) - 1)
    sections = tuple(_sections(lines, inner))
    entries = [entry for section in sections for entry in section.entries]
    described = {entry.name for entry in entries}
    silent = tuple(name for name in real if name not in described and name not in {"self", "cls"})
    unknown = tuple(entry for entry in entries if entry.name not in every)
    if unknown and all(section.clear for section in sections):
        yield Documented(sections, unknown, silent)


def _has_block(node: Function, lines: list[str]) -> bool:
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None or first.lineno == first.end_lineno:
        return False
    return bool(re.match(r"\s*[rRuU]?(\"\"\"|''')", lines[first.lineno - 1]))


def _sections(lines: list[str], inner: range) -> Iterator[Section]:
    at = inner.start
    while at < inner.stop:
        section = _section_at(lines, at, inner.stop)
        if section:
            yield section
        at = section.end if section else at + 1


def _section_at(lines: list[str], at: int, stop: int) -> Section | None:
    line = lines[at].rstrip("\r")
    if head := NUMPY_HEAD.match(line):
        ruler = lines[at + 1].strip() if at + 1 < stop else ""
        if len(ruler) >= len("---") and not ruler.strip("-"):
            return _numpy_section(lines, at, stop, len(head[1]))
    if head := GOOGLE_HEAD.match(line):
        return _google_section(lines, at, stop, len(head[1]))
    if SPHINX.match(line) or SPHINX_TYPE.match(line):
        return _sphinx_section(lines, at, stop)
    return None


def _numpy_section(lines: list[str], at: int, stop: int, indent: int) -> Section:
    end = _first(lines, at + 2, stop, lambda i: _ends_numpy(lines, i, stop, indent))
    return Section(at, end, *_entries(lines, at + 2, end, NUMPY_ENTRY, indent))


def _ends_numpy(lines: list[str], i: int, stop: int, indent: int) -> bool:
    ruler = lines[i + 1].strip() if i + 1 < stop else ""
    under = len(ruler) >= len("---") and not ruler.strip("-=")
    return bool(lines[i].strip()) and (_indent(lines[i]) < indent or under)


def _google_section(lines: list[str], at: int, stop: int, indent: int) -> Section:
    end = _first(lines, at + 1, stop, lambda i: bool(lines[i].strip()) and _indent(lines[i]) <= indent)
    inside = next((_indent(line) for line in lines[at + 1 : end] if line.strip()), 0)
    return Section(at, end, *_entries(lines, at + 1, end, GOOGLE_ENTRY, inside))


def _sphinx_section(lines: list[str], at: int, stop: int) -> Section:
    """One field: it is its own section, so that removing it removes nothing else."""
    indent = _indent(lines[at])
    end = _first(lines, at + 1, stop, lambda i: not lines[i].strip() or _indent(lines[i]) <= indent)
    pattern = SPHINX if SPHINX.match(lines[at]) else SPHINX_TYPE
    entries, clear = _entries(lines, at, end, pattern, indent)
    return Section(at, end, entries, clear, headed=False)


def _entries(
    lines: list[str], start: int, end: int, pattern: re.Pattern[str], indent: int
) -> tuple[tuple[Entry, ...], bool]:
    heads = [i for i in range(start, end) if lines[i].strip() and _indent(lines[i]) <= indent]
    found: list[Entry] = []
    for i, following in zip(heads, [*heads[1:], end], strict=True):
        if match := pattern.match(lines[i].rstrip("\r")):
            found.append(Entry(match[3], i, match.start(3), _trimmed(lines, i, following)))
    return tuple(found), len(found) == len(heads)


def _trimmed(lines: list[str], start: int, end: int) -> int:
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def _first(lines: list[str], start: int, stop: int, ends: Callable[[int], bool]) -> int:
    return next((i for i in range(start, stop) if ends(i)), stop)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
