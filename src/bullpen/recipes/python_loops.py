"""Loops that build a list, a dictionary or a string become the expression that builds it."""

from dataclasses import dataclass

import libcst as cst
from libcst import matchers as m
from libcst.metadata import ClassScope

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import Edit, Patch, argument, nodes_of, rewriting
from bullpen.recipes._python_file import PythonFile
from bullpen.recipes._python_scope import at_module_level, inside, only_assignment, scope_of, uses
from bullpen.recipes.base import Codemod

LONG_LINE = 89  # columns, one more than the formatters' default line
LEAVES_OR_WAITS = m.OneOf(m.Yield(), m.Await(), m.NamedExpr(), m.Lambda())


@dataclass(frozen=True, slots=True)
class Build:
    """``name = <empty>`` directly followed by a loop of one statement, perhaps under one ``if``."""

    name: cst.Name
    empty: cst.BaseExpression
    loop: cst.For
    condition: cst.BaseExpression | None
    statement: cst.BaseSmallStatement


def building(file: PythonFile, loop: cst.For) -> Build | None:
    """The loop as a build, where turning it into one expression keeps every other use of its names."""
    first = _statement_before(file, loop)
    target = _empty_start(first)
    inner = _only_statement(loop.body)
    if loop.orelse or loop.asynchronous or target is None or inner is None or first is None:
        return None
    condition = inner.test if isinstance(inner, cst.If) and not inner.orelse else None
    small = _only_statement(inner.body) if isinstance(inner, cst.If) else inner
    if not isinstance(small, cst.SimpleStatementLine) or len(small.body) != 1:
        return None
    build = Build(*target, loop, condition, small.body[0])
    return build if _keeps_others(file, build, first) and (condition is None) == (small is inner) else None


def _statement_before(file: PythonFile, loop: cst.For) -> cst.SimpleStatementLine | None:
    block = file.parent(loop)
    body = block.body if isinstance(block, cst.Module | cst.IndentedBlock) else ()
    place = next((number for number, one in enumerate(body) if one is loop), 0)
    first = body[place - 1] if place else None
    return first if isinstance(first, cst.SimpleStatementLine) and len(first.body) == 1 else None


def _empty_start(line: cst.SimpleStatementLine | None) -> tuple[cst.Name, cst.BaseExpression] | None:
    small = line.body[0] if line else None
    if (
        isinstance(small, cst.Assign)
        and len(small.targets) == 1
        and isinstance(small.targets[0].target, cst.Name)
    ):
        return small.targets[0].target, small.value
    if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name) and small.value:
        return small.target, small.value
    return None


def _only_statement(block: cst.BaseSuite) -> cst.BaseStatement | None:
    inner = block.body if isinstance(block, cst.IndentedBlock) else ()
    return inner[0] if len(inner) == 1 else None  # type: ignore[return-value]  # an IndentedBlock holds statements


def _keeps_others(file: PythonFile, build: Build, first: cst.SimpleStatementLine) -> bool:
    """No comment is lost, nothing leaves or waits in the loop, and its variables are read in the loop alone."""
    scope, loop = scope_of(file, build.loop), build.loop
    if scope is None or isinstance(scope, ClassScope) or loop.leading_lines or file.has_comment(loop):
        return False
    plain = m.Name() | m.Tuple(elements=[m.ZeroOrMore(m.Element(value=m.Name()))])
    start = m.findall(first.body[0], m.Comment()) or m.findall(first.trailing_whitespace, m.Comment())
    if start or not m.matches(loop.target, plain) or m.findall(loop, LEAVES_OR_WAITS):
        return False
    variables = nodes_of(loop.target, cst.Name)
    own = all(_read_only_inside(file, name, loop) for name in variables)
    return own and not _watched(file, loop) and len(_mentions(build.name.value, loop)) == 1


def _read_only_inside(file: PythonFile, name: cst.Name, loop: cst.For) -> bool:
    one = only_assignment(file, name)
    if one is None or at_module_level(file, name):
        return False  # another module may read a global
    return all(inside(file, use, loop) for use in uses(one))


def _watched(file: PythonFile, loop: cst.For) -> bool:
    """Whether somebody may see the half-built value after an exception."""
    around = file.function(loop)
    shared = m.findall(around, m.Global() | m.Nonlocal()) if around else ()
    return bool(shared) or any(isinstance(one, cst.Try | cst.TryStar) for one in file.ancestors(loop))


def _mentions(name: str, root: cst.CSTNode) -> list[cst.Name]:
    return [one for one in nodes_of(root, cst.Name) if one.value == name]


def _patch(file: PythonFile, build: Build, opening: str, item: str, closing: str) -> Patch:
    """Put a comprehension in place of the empty start and take the loop away; over several lines if it is long."""
    start, end = file.span(build.empty)[0], file.span(build.loop)[1]
    parts = [item, f"for {outer(file, build.loop.target)} in {_source(file, build.loop.iter)}"]
    parts += [f"if {_source(file, build.condition)}"] if build.condition else []
    line = f"{opening}{' '.join(parts)}{closing}"
    column = file.range(build.empty)[0][1]
    if column + len(line) > LONG_LINE and "\n" not in line:
        outer_indent = file.newline + file.indent(build.loop)
        inner_indent = outer_indent + file.unit_at(build.loop)
        line = opening + "".join(inner_indent + part for part in parts) + outer_indent + closing
    return Patch((Edit(start, end, line),))


def _source(file: PythonFile, node: cst.BaseExpression) -> str:
    loose = isinstance(node, cst.Tuple | cst.IfExp | cst.Lambda) and not node.lpar
    return f"({file.code(node)})" if loose else outer(file, node)


def outer(file: PythonFile, node: cst.BaseExpression) -> str:
    """An expression's text with the parentheses around it."""
    if not node.lpar:
        return file.code(node)
    return file.text(file.span(node.lpar[0])[0], file.span(node.rpar[-1])[1])


def _appended(file: PythonFile, build: Build) -> cst.BaseExpression | None:
    """``x`` of ``name.append(x)``."""
    call = build.statement.value if isinstance(build.statement, cst.Expr) else None
    if not isinstance(call, cst.Call) or file.code(call.func) != f"{build.name.value}.append":
        return None
    alone = len(call.args) == 1 and not call.args[0].star and not call.args[0].keyword
    return call.args[0].value if alone else None


def _is_empty_list(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.List) and not node.elements


def as_list_comprehension(file: PythonFile, loop: cst.For) -> Patch | None:
    """``out = []`` and a loop of ``out.append(f(x))`` become ``out = [f(x) for x in xs]``."""
    build = building(file, loop)
    item = _appended(file, build) if build and _is_empty_list(build.empty) else None
    if build is None or item is None or (isinstance(item, cst.GeneratorExp) and not item.lpar):
        return None
    if build.condition is None and file.code(item) == file.code(loop.target):
        return None  # that is list(xs): another rule
    return _patch(file, build, "[", outer(file, item), "]")


def as_list_copy(file: PythonFile, loop: cst.For) -> Patch | None:
    """``out = []`` and a loop of ``out.append(x)`` become ``out = list(xs)``."""
    build = building(file, loop)
    item = _appended(file, build) if build and _is_empty_list(build.empty) and not build.condition else None
    if build is None or not isinstance(item, cst.Name) or not isinstance(loop.target, cst.Name):
        return None
    if item.value != loop.target.value or file.bound("list"):
        return None
    copied = Edit(file.span(build.empty)[0], file.span(loop)[1], f"list({_source(file, loop.iter)})")
    return Patch((copied,))


def as_dict_comprehension(file: PythonFile, loop: cst.For) -> Patch | None:
    """``out = {}`` and a loop of ``out[k] = v`` become ``out = {k: v for … in xs}``."""
    build = building(file, loop)
    small = build.statement if build else None
    if build is None or not isinstance(build.empty, cst.Dict) or build.empty.elements:
        return None
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return None
    key = _key(file, build, small.targets[0].target)
    if not key or (isinstance(small.value, cst.Tuple) and not small.value.lpar):
        return None
    return _patch(file, build, "{", f"{key}: {outer(file, small.value)}", "}")


def _key(file: PythonFile, build: Build, target: cst.BaseExpression) -> str:
    """``k`` of ``name[k]``; only names and constants, which do not care that keys are now computed before values."""
    if not isinstance(target, cst.Subscript) or file.code(target.value) != build.name.value:
        return ""
    (part, *more) = target.slice
    index = part.slice.value if isinstance(part.slice, cst.Index) and not part.slice.star else None
    return (
        file.code(index)
        if not more and isinstance(index, cst.Name | cst.SimpleString | cst.BaseNumber)
        else ""
    )


def as_join(file: PythonFile, loop: cst.For) -> Patch | None:
    """``s = ""`` and a loop of ``s += f"…"`` become ``s = "".join(f"…" for x in xs)``."""
    build = building(file, loop)
    small = build.statement if build else None
    empty = build.empty if build else None
    if build is None or not isinstance(empty, cst.SimpleString) or empty.prefix or empty.raw_value:
        return None
    if not isinstance(small, cst.AugAssign) or not isinstance(small.operator, cst.AddAssign):
        return None
    if file.code(small.target) != build.name.value or not is_string(file, small.value):
        return None
    return _patch(file, build, f"{file.code(empty)}.join(", outer(file, small.value), ")")


def is_string(file: PythonFile, node: cst.BaseExpression) -> bool:
    """Whether an expression can only be a plain string."""
    if isinstance(node, cst.SimpleString | cst.FormattedString | cst.ConcatenatedString):
        return not node.prefix.lower().startswith(("b", "rb")) if isinstance(node, cst.SimpleString) else True
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        return is_string(file, node.left) and is_string(file, node.right)
    return isinstance(node, cst.Call) and file.name(node) in {"builtins.repr", "builtins.chr", "builtins.hex"}


def hoist_pattern(file: PythonFile, assign: cst.Assign) -> Patch | None:
    """Move ``name = re.compile("…")`` from a loop to the line before the loop."""
    call, line = assign.value, file.parent(assign)
    block = file.parent(line) if line else None
    loop = file.parent(block) if block else None
    if not isinstance(call, cst.Call) or file.name(call) != "re.compile" or not _is_constant(file, call):
        return None
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or line.leading_lines:
        return None
    if (
        not isinstance(loop, cst.For | cst.While)
        or not isinstance(block, cst.IndentedBlock)
        or len(block.body) < 2
    ):
        return None
    return _moved(file, assign, loop) if block is loop.body and _only_here(file, assign) else None


def _only_here(file: PythonFile, assign: cst.Assign) -> bool:
    return len(assign.targets) == 1 and only_assignment(file, assign.targets[0].target) is not None


def _is_constant(file: PythonFile, call: cst.Call) -> bool:
    pattern, flags = argument(call, "pattern", 0), argument(call, "flags", 1)
    known = pattern is not None and isinstance(pattern.value, cst.SimpleString)
    names = {file.name(one) for one in nodes_of(flags.value, cst.Attribute)} if flags else set[str]()
    plain = all(name.startswith("re.") for name in names) and (not flags or bool(names))
    return known and plain and len(call.args) == (2 if flags else 1) and _only_flags(flags)


def _only_flags(flags: cst.Arg | None) -> bool:
    return flags is None or not m.findall(flags.value, m.Call() | m.Subscript() | m.Lambda())


def _outermost(file: PythonFile, loop: cst.For | cst.While) -> cst.For | cst.While:
    """The outermost loop around, in the same function."""
    found = loop
    for one in file.ancestors(loop):
        if isinstance(one, cst.FunctionDef | cst.ClassDef):
            break
        found = one if isinstance(one, cst.For | cst.While) else found
    return found


def _moved(file: PythonFile, assign: cst.Assign, loop: cst.For | cst.While) -> Patch | None:
    top = _outermost(file, loop)
    end = file.line_end(file.span(assign)[1])
    first, last = file.lines(assign)
    if first != last or end == len(file.data):
        return None
    comments = [line.comment for line in top.leading_lines if line.comment]
    before = file.line_start(file.span(comments[0] if comments else top)[0])
    text = file.indent(top) + file.text(file.span(assign)[0], end) + file.newline
    return Patch(
        (Edit(before, before, text), Edit(file.line_start(file.span(assign)[0]), end + len(file.newline), ""))
    )


RECIPES = (
    Codemod(
        name="list-comprehension",
        fixes=("ruff:PERF401",),
        applicability=Applicability.SAFE,
        summary="Build the list with a comprehension.",
        why="A comprehension builds the list without looking up and calling append for each item.",
        source="https://docs.astral.sh/ruff/rules/manual-list-comprehension/",
        rewrite=rewriting(cst.For, as_list_comprehension),
    ),
    Codemod(
        name="list-copy",
        fixes=("ruff:PERF402",),
        applicability=Applicability.SAFE,
        summary="Copy the items with list().",
        why="list() copies the items in one call instead of one call of append for each.",
        source="https://docs.astral.sh/ruff/rules/manual-list-copy/",
        rewrite=rewriting(cst.For, as_list_copy),
    ),
    Codemod(
        name="dict-comprehension",
        fixes=("ruff:PERF403",),
        applicability=Applicability.SAFE,
        summary="Build the dictionary with a comprehension.",
        why="A comprehension builds the dictionary without looking its name up for each item.",
        source="https://docs.astral.sh/ruff/rules/manual-dict-comprehension/",
        rewrite=rewriting(cst.For, as_dict_comprehension),
    ),
    Codemod(
        name="string-join",
        fixes=("ast-grep:py-string-built-in-loop",),
        applicability=Applicability.SAFE,
        summary="Join the pieces of a string once.",
        why="Adding to a string copies what is already there, so the loop takes quadratic time; join copies once.",
        source="https://docs.python.org/3/library/stdtypes.html#common-sequence-operations",
        rewrite=rewriting(cst.For, as_join),
    ),
    Codemod(
        name="regex-before-loop",
        fixes=("ast-grep:py-regex-compiled-in-loop",),
        applicability=Applicability.SAFE,
        summary="Compile the pattern once, before the loop.",
        why="A constant pattern need not be looked up again in each turn of the loop.",
        source="https://docs.python.org/3/library/re.html#re.compile",
        rewrite=rewriting(cst.Assign, hoist_pattern),
    ),
)
