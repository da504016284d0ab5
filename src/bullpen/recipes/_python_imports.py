"""Where a new import goes: among those of its section, in the order of isort."""

import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum

import libcst as cst
from libcst.metadata import GlobalScope, ImportAssignment

from bullpen.recipes._python_file import Import, PythonFile, dotted

Place = tuple[int, int]  # byte offsets


class Section(IntEnum):
    """The sections of an import block, in order."""

    FUTURE = 0
    STANDARD = 1
    INSTALLED = 2  # and the project's own, which cannot be told apart from here
    RELATIVE = 3


def import_place(file: PythonFile, wanted: Sequence[Import]) -> tuple[int, str] | None:
    """The byte offset and the text that import what the file lacks of ``wanted``; None if it lacks nothing."""
    missing = sorted({one for one in wanted if not file.imports(one)}, key=_order)
    if not missing:
        return None
    offset, before, after = _place(file, missing[0])
    torn = "" if offset == file.skipped or file.data[:offset].endswith((b"\n", b"\r")) else file.newline
    return offset, torn + before + "".join(one.code + file.newline for one in missing) + after


def unneeded_imports(file: PythonFile, freed: Sequence[Import], gone: Sequence[Place]) -> Iterator[Place]:
    """What to take out of the top-level imports: those of ``freed`` whose every use stands in a place that is ``gone``."""
    for line in file.module.body:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        if isinstance(small, cst.Import | cst.ImportFrom) and not isinstance(small.names, cst.ImportStar):
            names = [one for one in small.names if _target(small, one) in {one.target for one in freed}]
            unused = [one for one in names if _is_unused(file, one, gone)]
            if len(unused) == len(small.names) and not file.has_comment(line):
                yield file.line_start(file.span(line)[0]), _next_line(file, line)
            elif not getattr(small, "lpar", None):
                yield from (_alias_place(file, small.names, one) for one in unused)


def _target(small: cst.Import | cst.ImportFrom, alias: cst.ImportAlias) -> str:
    name = dotted(alias.name)
    if isinstance(small, cst.Import):
        return name
    return f"{dotted(small.module)}.{name}" if small.module and not small.relative else ""


def _is_unused(file: PythonFile, alias: cst.ImportAlias, gone: Sequence[Place]) -> bool:
    name = alias.evaluated_alias or dotted(alias.name).partition(".")[0]
    exported = f'"{name}"'.encode() in file.data or f"'{name}'".encode() in file.data  # as in __all__
    scope = next((one for one in file.scopes if isinstance(one, GlobalScope)), None)
    found = list(scope.assignments[name]) if scope else []
    if exported or len(found) != 1 or not isinstance(found[0], ImportAssignment):
        return False
    uses = [file.span(access.node) for access in found[0].references]
    return bool(uses) and all(any(start <= a and b <= end for start, end in gone) for a, b in uses)


def _alias_place(file: PythonFile, names: Sequence[cst.ImportAlias], alias: cst.ImportAlias) -> Place:
    """The alias with the comma that separates it from its neighbour."""
    place = list(names).index(alias)
    start, end = file.span(alias)
    if place + 1 < len(names):
        return start, file.span(names[place + 1])[0]
    return file.span(names[place - 1].asname or names[place - 1].name)[1], end


def _place(file: PythonFile, new: Import) -> tuple[int, str, str]:
    block = list(_block(file.module))
    section = _section(new)
    same = [line for line, old in block if _section(old) == section]
    if same:
        later = [line for line, old in block if _section(old) == section and _order(old) > _order(new)]
        return (_first_byte(file, later[0]) if later else _next_line(file, same[-1])), "", ""
    later = [line for line, old in block if _section(old) > section]
    if later:
        return _first_byte(file, later[0]), "", file.newline
    if block:
        return _next_line(file, block[-1][0]), file.newline, ""
    return _opening(file)


def _order(one: Import) -> tuple[bool, str, str]:
    return bool(one.name), one.module.lower(), one.name


def _section(one: Import) -> Section:
    top = one.module.partition(".")[0]
    if not top:
        return Section.RELATIVE
    if top == "__future__":
        return Section.FUTURE
    return Section.STANDARD if top in sys.stdlib_module_names else Section.INSTALLED


def _block(module: cst.Module) -> Iterator[tuple[cst.SimpleStatementLine, Import]]:
    """The first run of top-level imports, without those from ``__future__``."""
    started = False
    for line in module.body:
        old = _as_import(line)
        if old is None and started:
            return
        if isinstance(line, cst.SimpleStatementLine) and old is not None and old.module != "__future__":
            started = True
            yield line, old


def _as_import(line: cst.CSTNode) -> Import | None:
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    if isinstance(small, cst.Import):
        return Import(dotted(small.names[0].name))
    if isinstance(small, cst.ImportFrom):
        module = dotted(small.module) if small.module else ""
        name = "*" if isinstance(small.names, cst.ImportStar) else dotted(small.names[0].name)
        return Import("." + module if small.relative else module, name)
    return None


def _opening(file: PythonFile) -> tuple[int, str, str]:
    """After the docstring and the ``__future__`` imports, or before the first statement."""
    body = list(file.module.body)
    head = [
        line for place, line in enumerate(body) if (place == 0 and _is_docstring(line)) or _is_future(line)
    ]
    rest = [line for line in body if line not in head]
    if head:
        spaced = not rest or bool(_leading(rest[0]))
        return _next_line(file, head[-1]), file.newline, "" if spaced else file.newline
    defines = isinstance(rest[0], cst.FunctionDef | cst.ClassDef)
    return _first_byte(file, rest[0]), "", file.newline * (2 if defines else 1)


def _is_docstring(line: cst.CSTNode) -> bool:
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    return isinstance(small, cst.Expr) and isinstance(small.value, cst.SimpleString | cst.ConcatenatedString)


def _is_future(line: cst.CSTNode) -> bool:
    old = _as_import(line)
    return old is not None and old.module == "__future__"


def _leading(line: cst.CSTNode) -> list[cst.EmptyLine]:
    return [child for child in line.children if isinstance(child, cst.EmptyLine)]


def _first_byte(file: PythonFile, line: cst.CSTNode) -> int:
    first = (
        line.decorators[0] if isinstance(line, cst.FunctionDef | cst.ClassDef) and line.decorators else line
    )
    return file.line_start(file.span(first)[0])


def _next_line(file: PythonFile, line: cst.CSTNode) -> int:
    end = file.span(line)[1]
    ends = [file.data.find(mark, end) for mark in (b"\n", b"\r")]
    if ends[0] < 0 and ends[1] < 0:
        return len(file.data)
    if ends[0] >= 0 and (ends[1] < 0 or ends[0] <= ends[1] + 1):
        return ends[0] + 1
    return ends[1] + 1
