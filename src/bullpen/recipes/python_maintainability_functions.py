"""Defaults, names and small functions that mislead: shared defaults, unused names, needless lambdas and globals."""

from collections.abc import Sequence

import libcst as cst
from libcst.metadata import Assignment, FunctionScope, Scope, ScopeProvider

from bullpen.domain.change import Applicability, Site
from bullpen.recipes._python_block import has_fixed_lines, in_block, last_line, line_offset
from bullpen.recipes._python_edit import Edit, Patch, insert, nodes_of, replace, rewriting
from bullpen.recipes._python_file import Import, PythonFile, dotted
from bullpen.recipes.base import Codemod

TAB = 4  # columns, where a file has both tabs and spaces
PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod", "override", "abstractmethod"})
READERS = frozenset(
    [
        "len",
        "list",
        "tuple",
        "set",
        "frozenset",
        "dict",
        "sorted",
        "sum",
        "any",
        "all",
        "enumerate",
        "bool",
        "zip",
        "map",
        "min",
        "max",
    ]
)
READING_METHODS = frozenset({"get", "keys", "values", "items", "copy", "index", "count", "join"})
NAMESPACE_READERS = frozenset({"locals", "vars", "eval", "exec", "dir", "globals"})
FRESH_CONTAINERS = frozenset({"builtins.list", "builtins.dict", "builtins.set"})


def _is_fresh_container(file: PythonFile, node: cst.BaseExpression) -> bool:
    empty = isinstance(node, cst.Call) and not node.args and file.name(node) in FRESH_CONTAINERS
    return empty or isinstance(node, cst.List | cst.Dict | cst.Set)


def _default_read_only(file: PythonFile, default: cst.BaseExpression) -> Patch | None:
    parameter = file.parent(default)
    function = _function_of(file, parameter, default)
    if function is None or not isinstance(parameter, cst.Param) or not _is_fresh_container(file, default):
        return None
    return _guarded(file, function, parameter) if _only_read(file, function, parameter) else None


def _default_shared(file: PythonFile, default: cst.BaseExpression) -> Patch | None:
    parameter = file.parent(default)
    function = _function_of(file, parameter, default)
    if function is None or not isinstance(parameter, cst.Param) or not _is_fresh_container(file, default):
        return None
    return None if _only_read(file, function, parameter) else _guarded(file, function, parameter)


def _default_called(file: PythonFile, default: cst.BaseExpression) -> Patch | None:
    parameter = file.parent(default)
    function = _function_of(file, parameter, default)
    if function is None or not isinstance(parameter, cst.Param) or not isinstance(default, cst.Call):
        return None
    if _is_fresh_container(file, default):
        return None
    markers = (
        "Depends",
        "Query",
        "Body",
        "Path",
        "Header",
        "Form",
        "File",
        "Cookie",
        "Option",
        "Argument",
        "field",
    )
    return None if dotted(default.func).split(".")[-1] in markers else _guarded(file, function, parameter)


def _function_of(
    file: PythonFile, parameter: cst.CSTNode | None, default: cst.BaseExpression
) -> cst.FunctionDef | None:
    """The function that a default belongs to. (LibCST's place of a parameter is that of its name only.)"""
    if not isinstance(parameter, cst.Param) or parameter.default is not default:
        return None
    parameters = file.parent(parameter)
    function = file.parent(parameters) if parameters else None
    return function if isinstance(function, cst.FunctionDef) else None


def _guarded(file: PythonFile, function: cst.FunctionDef, parameter: cst.Param) -> Patch | None:
    """The default becomes None, and the first statement makes the value anew for each call."""
    default, name, block = parameter.default, parameter.name.value, function.body
    if default is None or not isinstance(block, cst.IndentedBlock) or not _plain_decorators(function):
        return None
    code = file.code(default)
    if "\n" in code or getattr(default, "lpar", ()) or _uses_parameters(function, default):
        return None
    annotation = _optional(file, parameter.annotation)
    place = _first_place(file, block)
    if annotation is None or place is None:
        return None
    indent, line = file.indent(block.body[0]), file.newline
    guard = f"{indent}if {name} is None:{line}{indent}{file.unit}{name} = {code}{line}"
    edits, imports = annotation
    return Patch((*edits, replace(file, default, "None"), insert(place, guard)), imports)


def _plain_decorators(function: cst.FunctionDef) -> bool:
    return all(dotted(one.decorator).split(".")[-1] in PLAIN_DECORATORS for one in function.decorators)


def _uses_parameters(function: cst.FunctionDef, default: cst.BaseExpression) -> bool:
    """A name in the default must not become a local one."""
    inside = {name.value for name in nodes_of(default, cst.Name)}
    parameters = {one.name.value for one in nodes_of(function.params, cst.Param)}
    return bool(inside & (parameters | _bound_names(function)))


def _optional(
    file: PythonFile, annotation: cst.Annotation | None
) -> tuple[tuple[Edit, ...], tuple[Import, ...]] | None:
    """The edits by which an annotation also allows None."""
    if annotation is None:
        return (), ()
    inner = annotation.annotation
    text = file.code(inner)
    if "Optional" in text or "None" in text or dotted(inner) in {"Any", "object", "typing.Any"}:
        return (), ()
    if "\n" in text or isinstance(inner, cst.SimpleString | cst.ConcatenatedString):
        return None
    if file.imports(Import("__future__", "annotations")):
        return (insert(file.span(inner)[1], " | None"),), ()
    wanted = Import("typing", "Optional")
    name = file.local_name(wanted)
    return ((replace(file, inner, f"{name}[{text}]"),), (wanted,)) if name else None


def _first_place(file: PythonFile, block: cst.IndentedBlock) -> int | None:
    """The start of the line after the docstring, or of the first statement's line."""
    first = block.body[0]
    if _is_docstring(first):
        return line_offset(file, last_line(file, first) + 1) if len(block.body) > 1 else None
    decorators = getattr(first, "decorators", ())
    return file.line_start(file.span(decorators[0] if decorators else first)[0])


def _is_docstring(statement: cst.CSTNode) -> bool:
    small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return isinstance(small, cst.Expr) and isinstance(small.value, cst.SimpleString | cst.ConcatenatedString)


def _only_read(file: PythonFile, function: cst.FunctionDef, parameter: cst.Param) -> bool:
    """Whether every use of a parameter only looks into it: then nobody can tell a shared one from a new one."""
    inner = parameter.default.children if parameter.default else ()
    if any(nodes_of(child, kind) for child in inner for kind in (cst.List, cst.Dict, cst.Set)):
        return False  # what is in it could be changed through an element
    name = parameter.name.value
    uses = [node for node in nodes_of(function.body, cst.Name) if node.value == name]
    return all(_is_reading(file, use) for use in uses)


def _is_reading(file: PythonFile, use: cst.Name) -> bool:
    parent = file.parent(use)
    if isinstance(parent, cst.For | cst.CompFor):
        return parent.iter is use
    if isinstance(parent, cst.ComparisonTarget):
        return isinstance(parent.operator, cst.In | cst.NotIn)
    if isinstance(parent, cst.If | cst.UnaryOperation):
        return isinstance(parent, cst.If) or isinstance(parent.operator, cst.Not)
    if isinstance(parent, cst.Arg):
        call = file.parent(parent)
        return isinstance(call, cst.Call) and file.name(call) in {f"builtins.{one}" for one in READERS}
    if isinstance(parent, cst.Attribute):
        call = file.parent(parent)
        return parent.value is use and isinstance(call, cst.Call) and parent.attr.value in READING_METHODS
    return False


def _scope_of(file: PythonFile, node: cst.CSTNode) -> Scope | None:
    scope = file.metadata[ScopeProvider].get(node)
    return scope if isinstance(scope, Scope) else None


def _unused_in_function(file: PythonFile, name: cst.Name) -> bool:
    """Whether a name is bound once in a function, and nobody reads it, not even by its spelling."""
    scope = _scope_of(file, name)
    if not isinstance(scope, FunctionScope) or _reads_namespace(file, name):
        return False
    found = list(scope.assignments[name.value])
    return len(found) == 1 and isinstance(found[0], Assignment) and not found[0].references


def _reads_namespace(file: PythonFile, node: cst.CSTNode) -> bool:
    function = file.function(node)
    if function is None:
        return True
    used = {name.value for name in nodes_of(function.body, cst.Name)}
    shared = [*nodes_of(function.body, cst.Global), *nodes_of(function.body, cst.Nonlocal)]
    return bool(used & NAMESPACE_READERS or shared)


def _loop_variable(file: PythonFile, name: cst.Name) -> Patch | None:
    """An unused name of a loop gets an underscore in front."""
    loop = next((one for one in file.ancestors(name) if isinstance(one, cst.For)), None)
    if loop is None or name not in _plain_targets(loop.target) or name.value.startswith("_"):
        return None
    taken = any(one.value == f"_{name.value}" for one in nodes_of(file.module, cst.Name))
    return None if taken or not _unused_in_function(file, name) else Patch((insert(file.span(name)[0], "_"),))


def _plain_targets(target: cst.BaseExpression) -> list[cst.Name]:
    if isinstance(target, cst.Name):
        return [target]
    if isinstance(target, cst.Tuple | cst.List):
        return [name for item in target.elements for name in _plain_targets(item.value)]
    return []


def _dead_assignment(file: PythonFile, line: cst.SimpleStatementLine) -> Patch | None:
    """An assignment of a plain value to a name nobody reads goes."""
    small = line.body[0] if len(line.body) == 1 else None
    if not isinstance(small, cst.Assign) or len(small.targets) != 1 or not _is_plain_value(small.value):
        return None
    name = small.targets[0].target
    if not isinstance(name, cst.Name) or not _unused_in_function(file, name) or not in_block(file, line):
        return None
    block = file.parent(line)
    if line.trailing_whitespace.comment or any(one.comment for one in line.leading_lines):
        return None
    if isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
        return Patch((replace(file, small, "pass"),))
    start, end = file.lines(line)
    return Patch((Edit(line_offset(file, start), line_offset(file, end + 1), ""),))


def _is_plain_value(value: cst.BaseExpression) -> bool:
    if isinstance(value, cst.SimpleString | cst.Integer | cst.Float | cst.Imaginary):
        return True
    if isinstance(value, cst.Name):
        return value.value in {"None", "True", "False"}
    if isinstance(value, cst.List | cst.Tuple):
        return all(_is_plain_value(item.value) for item in value.elements)
    return isinstance(value, cst.Dict) and not value.elements


def _lambda_named(file: PythonFile, line: cst.SimpleStatementLine) -> Patch | None:
    """``name = lambda …: …`` becomes a function."""
    small = line.body[0] if len(line.body) == 1 else None
    if (
        not isinstance(small, cst.Assign)
        or len(small.targets) != 1
        or not isinstance(small.value, cst.Lambda)
    ):
        return None
    name, made = small.targets[0].target, small.value
    above = file.parent(file.parent(line) or line)
    if not isinstance(name, cst.Name) or isinstance(above, cst.ClassDef) or made.lpar:
        return None
    if not _only_lambdas(file, line, name) or not in_block(file, line) or "\n" in file.code(made.params):
        return None
    inside = [*nodes_of(made.body, cst.Yield), *nodes_of(made.body, cst.NamedExpr)]
    if inside:
        return None
    indent = file.indent(line)
    start = f"{indent}{file.unit_at(line)}return "
    body = _body_at(file, made.body, start)
    if body is None:
        return None
    parameters = file.code(made.params).strip() if _has_parameters(made.params) else ""
    head = f"def {name.value}({parameters}):{file.newline}"
    return Patch((replace(file, small, f"{head}{start}{body}"),))


def _only_lambdas(file: PythonFile, line: cst.SimpleStatementLine, name: cst.Name) -> bool:
    """Whether every value a name gets in its scope is such a lambda: then each may be a function."""
    scope = _scope_of(file, line)
    found = list(scope.assignments[name.value]) if scope else []
    targets = [file.parent(one.node) for one in found if isinstance(one, Assignment)]
    assigns = [file.parent(target) for target in targets if isinstance(target, cst.AssignTarget)]
    made = [one for one in assigns if isinstance(one, cst.Assign) and isinstance(one.value, cst.Lambda)]
    return bool(found) and len(made) == len(found)


def _body_at(file: PythonFile, body: cst.BaseExpression, before: str) -> str | None:
    """An expression's text as it reads after ``before``: further lines move with the first; None where they cannot."""
    lpar, rpar = body.lpar, body.rpar
    start = file.span(lpar[0] if lpar else body)[0]
    first, *more = file.text(start, file.span(rpar[-1] if rpar else body)[1]).splitlines(keepends=True)
    if more and has_fixed_lines(file, body):
        return None
    by = _columns(before) - _columns(file.text(file.line_start(start), start))
    moved = [_moved_by(line, by) for line in more]
    return None if None in moved else first + "".join(line or "" for line in moved)


def _columns(text: str) -> int:
    return len(text.expandtabs(TAB))


def _moved_by(line: str, columns: int) -> str | None:
    """A line that starts further right or left; None where too little white space is before it.

    Tabs alone are steps and line nothing up, so they stay.
    """
    rest = line.lstrip(" \t")
    white = line.removesuffix(rest)
    if not rest.strip() or not white.strip("\t"):
        return line
    if columns >= 0:
        return white + " " * columns + rest
    return white[:columns] + rest if white.endswith(" " * -columns) else None


def _has_parameters(parameters: cst.Parameters) -> bool:
    return bool(nodes_of(parameters, cst.Param))


def _needless_global(file: PythonFile, line: cst.SimpleStatementLine) -> Patch | None:
    """``global x`` in a function that never binds ``x`` goes."""
    small = line.body[0] if len(line.body) == 1 else None
    function = file.function(line)
    if not isinstance(small, cst.Global) or function is None or not in_block(file, line):
        return None
    names = {item.name.value for item in small.names}
    if names & _bound_names(function) or _has_exec(function) or line.trailing_whitespace.comment:
        return None
    block = file.parent(line)
    if any(one.comment for one in line.leading_lines):
        return None
    if isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
        return Patch((replace(file, small, "pass"),))
    number = file.lines(line)[0]
    return Patch((Edit(line_offset(file, number), line_offset(file, number + 1), ""),))


def _has_exec(function: cst.FunctionDef) -> bool:
    return any(name.value in {"exec", "eval"} for name in nodes_of(function.body, cst.Name))


def _bound_names(function: cst.FunctionDef) -> set[str]:
    """Every name that any statement in a function may bind, however deep."""
    body = function.body
    targets: list[cst.CSTNode] = [node.target for node in nodes_of(body, cst.AssignTarget)]
    targets += [
        node.target
        for kind in (cst.AugAssign, cst.AnnAssign, cst.NamedExpr, cst.For, cst.CompFor)
        for node in nodes_of(body, kind)
    ]
    targets += [*nodes_of(body, cst.AsName), *nodes_of(body, cst.Del), *nodes_of(body, cst.ImportAlias)]
    targets += [node.name for kind in (cst.FunctionDef, cst.ClassDef) for node in nodes_of(body, kind)]
    targets += [
        *nodes_of(body, cst.MatchAs),
        *nodes_of(body, cst.MatchStar),
        *nodes_of(body, cst.MatchMapping),
    ]
    return {name.value for target in targets for name in nodes_of(target, cst.Name)}


def _at_line(sites: Sequence[Site]) -> list[Site]:
    """Sites that name whole lines: ruff points at the name, the recipe works on its statement."""
    return [Site(site.line) for site in sites]


def _remove_dead(text: str, sites: Sequence[Site]) -> str:
    return rewriting(cst.SimpleStatementLine, _dead_assignment)(text, _at_line(sites))


def _remove_global(text: str, sites: Sequence[Site]) -> str:
    return rewriting(cst.SimpleStatementLine, _needless_global)(text, _at_line(sites))


RULES = "https://docs.astral.sh/ruff/rules"
RECIPES = (
    Codemod(
        name="default-none-where-read",
        fixes=("ruff:B006",),
        applicability=Applicability.SAFE,
        summary="Make a list, dict or set default anew for each call, where the function only reads it.",
        why="A default is made once and shared by all calls: the next change that alters it would leak between them.",
        source=f"{RULES}/mutable-argument-default/",
        rewrite=rewriting(cst.BaseExpression, _default_read_only),
    ),
    Codemod(
        name="default-none-where-changed",
        fixes=("ruff:B006",),
        applicability=Applicability.UNSAFE,
        summary="Make a list, dict or set default anew for each call.",
        why="The default is made once: what one call puts into it, the next call finds there.",
        source=f"{RULES}/mutable-argument-default/",
        rewrite=rewriting(cst.BaseExpression, _default_shared),
    ),
    Codemod(
        name="default-called-per-call",
        fixes=("ruff:B008",),
        applicability=Applicability.UNSAFE,
        summary="Call a default's function for each call instead of once at definition.",
        why="The default is worked out once, when the function is defined, and stays the same ever after.",
        source=f"{RULES}/function-call-in-default-argument/",
        rewrite=rewriting(cst.BaseExpression, _default_called),
    ),
    Codemod(
        name="mark-unused-loop-variable",
        fixes=("ruff:B007",),
        applicability=Applicability.SAFE,
        summary="Put an underscore before a loop variable that nobody reads.",
        why="The underscore says that the value is not used on purpose.",
        source=f"{RULES}/unused-loop-control-variable/",
        rewrite=rewriting(cst.Name, _loop_variable),
    ),
    Codemod(
        name="remove-dead-assignment",
        fixes=("ruff:F841",),
        applicability=Applicability.SAFE,
        summary="Remove the assignment of a plain value to a local name that nobody reads.",
        why="The value is never used, and working it out has no effect.",
        source=f"{RULES}/unused-variable/",
        rewrite=_remove_dead,
    ),
    Codemod(
        name="define-named-function",
        fixes=("ruff:E731",),
        applicability=Applicability.SAFE,
        summary="Define a function instead of naming a lambda.",
        why="A function has its name in tracebacks, and room for a docstring.",
        source="https://peps.python.org/pep-0008/#programming-recommendations",
        rewrite=rewriting(cst.SimpleStatementLine, _lambda_named),
    ),
    Codemod(
        name="remove-needless-global",
        fixes=("ruff:PLW0602",),
        applicability=Applicability.SAFE,
        summary="Remove a global statement for names the function never binds.",
        why="Reading a global needs no statement; this one says that the function changes it, and it does not.",
        source=f"{RULES}/global-variable-not-assigned/",
        rewrite=_remove_global,
    ),
)
