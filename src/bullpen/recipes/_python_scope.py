"""What a name in a Python file stands for, as far as its scope says so with certainty."""

from collections.abc import Iterator

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, GlobalScope, Scope, ScopeProvider

from bullpen.recipes._python_file import PythonFile


def scope_of(file: PythonFile, node: cst.CSTNode) -> Scope | None:
    """The scope a node is in."""
    for one in (node, *file.ancestors(node)):
        found = file.metadata[ScopeProvider].get(one)
        if isinstance(found, Scope):
            return found
    return None


def only_assignment(file: PythonFile, name: cst.CSTNode) -> Assignment | None:
    """The one assignment that gives a name its value; None if there are more, or it comes from elsewhere."""
    scope = scope_of(file, name) if isinstance(name, cst.Name) else None
    if scope is None or not isinstance(name, cst.Name):
        return None
    found: set[BaseAssignment] = set(scope[name.value])
    one = next(iter(found)) if len(found) == 1 else None
    return one if isinstance(one, Assignment) else None


def only_value(file: PythonFile, name: cst.CSTNode) -> cst.BaseExpression | None:
    """The expression a name is once given by ``name = …`` or ``with … as name``; None where that is uncertain."""
    assignment = only_assignment(file, name)
    target = file.parent(assignment.node) if assignment else None
    statement = file.parent(target) if target else None
    if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
        return statement.value
    if isinstance(statement, cst.WithItem) and target is statement.asname:
        return statement.item
    return target.value if isinstance(target, cst.AnnAssign) else None


def uses(assignment: Assignment) -> list[cst.CSTNode]:
    """Where a name is read, in whatever scope."""
    return [access.node for access in assignment.references]


def inside(file: PythonFile, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
    """Whether a node stands within another."""
    start, end = file.span(node)
    first, last = file.span(outer)
    return first <= start and end <= last


def at_module_level(file: PythonFile, node: cst.CSTNode) -> bool:
    """Whether a node is in the module's own scope."""
    return isinstance(scope_of(file, node), GlobalScope)


def context_words(file: PythonFile, node: cst.CSTNode) -> str:
    """The names that say what an expression is for: of its targets, keywords and functions; lower case, spaced."""
    return " ".join(_context(file, node)).lower()


def _context(file: PythonFile, node: cst.CSTNode) -> Iterator[str]:
    for one in file.ancestors(node):
        if isinstance(one, cst.Assign):
            yield from (file.code(target.target) for target in one.targets)
        elif isinstance(one, cst.AnnAssign | cst.AugAssign):
            yield file.code(one.target)
        elif isinstance(one, cst.Arg) and one.keyword is not None:
            yield one.keyword.value
        elif isinstance(one, cst.Param | cst.FunctionDef):
            yield one.name.value
