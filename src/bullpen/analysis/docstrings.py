"""Parameters named in docstrings (Google, NumPy and Sphinx style) that the function does not have."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef

_GOOGLE_HEAD = re.compile(r"(\s*)(?:Args|Arguments|Parameters|Params):\s*$")
_GOOGLE_ENTRY = re.compile(r"(\s+)\*{0,2}([A-Za-z_]\w*)(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*:(?:\s|$)")
_NUMPY_HEAD = re.compile(r"(\s*)(?:Other )?Parameters\s*$")
_NUMPY_ENTRY = re.compile(r"(\s*)\*{0,2}([A-Za-z_]\w*)(?:\s*:.*|\s*)$")
_SPHINX = re.compile(r"\s*:(?:param|parameter|arg|argument)(?:\s+[^:\s]+)*?\s+\\?\*{0,2}([A-Za-z_]\w*):")
# A decorator may change what callers pass; these do not.
_TRANSPARENT = frozenset(
    (
        *("staticmethod", "classmethod", "abstractmethod", "override", "final", "overload", "wraps"),
        *("cache", "lru_cache", "cached_property", "contextmanager", "asynccontextmanager"),
    )
)


@dataclass(frozen=True, slots=True)
class Described:
    """A parameter a docstring describes, and the line of the file where it does."""

    name: str
    line: int


def unknown_parameters(module: ast.Module) -> Iterator[tuple[Function, Described]]:
    """Each description of a parameter that is not there, with its function."""
    for node in ast.walk(module):
        if isinstance(node, Function) and _is_plain(node):
            real = _parameters(node)
            yield from ((node, each) for each in _described(node) if each.name not in real)


def _is_plain(function: Function) -> bool:
    """Whether what is written is what callers see: no ``**kwargs``, no decorator that could change it."""
    if function.args.kwarg is not None:
        return False
    return all(_name(decorator) in _TRANSPARENT for decorator in function.decorator_list)


def _name(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (
        target.attr
        if isinstance(target, ast.Attribute)
        else target.id
        if isinstance(target, ast.Name)
        else ""
    )


def _parameters(function: Function) -> frozenset[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg]
    return frozenset(each.arg for each in every if each is not None)


def _described(function: Function) -> Iterator[Described]:
    first = function.body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return
    text = first.value.value
    if not isinstance(text, str):
        return
    lines = text.split("\n")
    if len(lines) != (first.end_lineno or first.lineno) - first.lineno + 1:
        return  # escapes or joined strings: lines cannot be told
    for offset, name in (*_google(lines), *_numpy(lines), *_sphinx(lines)):
        yield Described(name, first.lineno + offset)


def _google(lines: list[str]) -> Iterator[tuple[int, str]]:
    for start, line in enumerate(lines):
        head = _GOOGLE_HEAD.match(line)
        if head:
            yield from _indented_entries(lines, start + 1, len(head[1]))


def _indented_entries(lines: list[str], start: int, indent: int) -> Iterator[tuple[int, str]]:
    """Entries stand at the first line's depth; deeper lines continue one, a shallower one ends the section."""
    depth = 0
    for number in range(start, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        here = len(line) - len(line.lstrip())
        depth = depth or here
        if here <= indent or here < depth:
            return
        entry = _GOOGLE_ENTRY.match(line) if here == depth else None
        if entry:
            yield number, entry[2]


def _numpy(lines: list[str]) -> Iterator[tuple[int, str]]:
    for start in range(len(lines) - 1):
        head = _NUMPY_HEAD.match(lines[start])
        if head and set(lines[start + 1].strip()) == {"-"}:
            yield from _level_entries(lines, start + 2, len(head[1]))


def _level_entries(lines: list[str], start: int, indent: int) -> Iterator[tuple[int, str]]:
    for number in range(start, len(lines)):
        line = lines[number]
        if (
            number + 1 < len(lines)
            and lines[number + 1].strip()
            and set(lines[number + 1].strip()) <= {"-", "="}
        ):
            return  # the head of the next section
        here = len(line) - len(line.lstrip())
        entry = _NUMPY_ENTRY.match(line) if line.strip() and here == indent else None
        if entry:
            yield number, entry[2]


def _sphinx(lines: list[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines):
        entry = _SPHINX.match(line)
        if entry:
            yield number, entry[1]
