"""Nesting that says nothing: branches after a jump, conditions in conditions, code that is never reached."""

from collections.abc import Sequence

import libcst as cst

from bullpen.domain.change import Applicability, Site
from bullpen.recipes._python_block import (
    JUMPS,
    body_lines,
    first_line,
    in_block,
    is_bare,
    jumps,
    last_line,
    line_offset,
    moved_out,
    operand,
    widest,
)
from bullpen.recipes._python_edit import Edit, Patch, nodes_of, rewriting
from bullpen.recipes._python_file import PythonFile
from bullpen.recipes.base import Codemod


def _chain(file: PythonFile, branch: cst.CSTNode) -> list[cst.If]:
    """The ``if`` and the ``elif`` branches before this one, the ``if`` last."""
    before: list[cst.If] = []
    above = file.parent(branch)
    while isinstance(above, cst.If) and above.orelse is branch:
        before.append(above)
        branch, above = above, file.parent(above)
    return before


def _else_after_jump(file: PythonFile, branch: cst.Else) -> Patch | None:
    before = _chain(file, branch)
    if not before or not all(jumps(one.body) for one in before) or not in_block(file, before[-1]):
        return None
    return _without_else(file, branch)


def _without_else(file: PythonFile, branch: cst.Else) -> Patch | None:
    place = body_lines(file, branch.body)
    moved = moved_out(file, branch.body, file.indent(branch))
    if place is None or moved is None or not is_bare(*branch.leading_lines):
        return None
    return Patch((Edit(file.line_start(file.span(branch)[0]), place[1], moved),))


def _elif_after_jump(file: PythonFile, branch: cst.If) -> Patch | None:
    before = _chain(file, branch)
    if not before or not all(jumps(one.body) for one in before) or not in_block(file, before[-1]):
        return None
    start = file.span(branch)[0]
    return Patch((Edit(start, start + len("elif"), "if"),))


def _without_branches_after_jumps(text: str, sites: Sequence[Site]) -> str:
    flat = rewriting(cst.Else, _else_after_jump)(text, sites)
    return flat if flat != text else rewriting(cst.If, _elif_after_jump)(text, sites)


def _else_of_loop(file: PythonFile, branch: cst.Else) -> Patch | None:
    loop = file.parent(branch)
    if not isinstance(loop, cst.For | cst.While) or not in_block(file, loop):
        return None
    return None if nodes_of(loop.body, cst.Break) else _without_else(file, branch)


def _else_if(file: PythonFile, branch: cst.Else) -> Patch | None:
    """``else:`` with nothing but an ``if`` in it becomes ``elif``."""
    block = branch.body
    if not isinstance(file.parent(branch), cst.If) or not isinstance(block, cst.IndentedBlock):
        return None
    inner = block.body[0] if len(block.body) == 1 else None
    place, moved = body_lines(file, block), moved_out(file, block, file.indent(branch))
    if not isinstance(inner, cst.If) or place is None or moved is None:
        return None
    if inner.leading_lines or not is_bare(*branch.leading_lines):
        return None
    indent = file.indent(branch)
    start = file.line_start(file.span(branch)[0])
    return Patch((Edit(start, place[1], f"{indent}el{moved.removeprefix(indent)}"),))


def _nested_if(file: PythonFile, outer: cst.If) -> Patch | None:
    inner = _only_statement(outer.body)
    if not isinstance(inner, cst.If) or inner.orelse or outer.orelse:
        return None
    head = f"if {operand(file, outer.test)} and {operand(file, inner.test)}:"
    is_elif = isinstance(file.parent(outer), cst.If)
    return _merged(file, outer, inner, "el" + head if is_elif else head)


def _nested_with(file: PythonFile, outer: cst.With) -> Patch | None:
    inner = _only_statement(outer.body)
    if not isinstance(inner, cst.With) or bool(inner.asynchronous) != bool(outer.asynchronous):
        return None
    if not isinstance(outer.lpar, cst.MaybeSentinel) or not isinstance(inner.lpar, cst.MaybeSentinel):
        return None
    items = ", ".join(file.text(*_item_span(file, item)) for item in (*outer.items, *inner.items))
    return _merged(file, outer, inner, f"{'async ' if outer.asynchronous else ''}with {items}:")


def _item_span(file: PythonFile, item: cst.WithItem) -> tuple[int, int]:
    return file.span(item.item)[0], file.span(item.asname.name if item.asname else item.item)[1]


def _only_statement(block: cst.BaseSuite) -> cst.CSTNode | None:
    plain = isinstance(block, cst.IndentedBlock) and len(block.body) == 1 and is_bare(block.header)
    return block.body[0] if plain else None


def _merged(file: PythonFile, outer: cst.If | cst.With, inner: cst.If | cst.With, head: str) -> Patch | None:
    """One statement in place of two: the new head, and the inner body one level further out."""
    whole, place = body_lines(file, outer.body), body_lines(file, inner.body)
    indent = file.indent(outer)
    moved = moved_out(file, inner.body, file.indent(inner))
    if whole is None or place is None or moved is None or inner.leading_lines:
        return None
    parenthesised = any(getattr(item.item, "lpar", ()) for item in getattr(inner, "items", ()))
    if parenthesised or "\n" in head or "#" in head or len(indent + head) > widest(file):
        return None
    start, line = file.span(outer)[0], file.newline
    return Patch((Edit(start, whole[1], head + line + moved),))


def _unreachable(file: PythonFile, jump: cst.SimpleStatementLine) -> Patch | None:
    """What stands after a jump in the same block goes, unless its mere presence means something."""
    block = file.parent(jump)
    if not isinstance(block, cst.IndentedBlock) or not isinstance(jump.body[-1], JUMPS):
        return None
    place = list(block.body).index(jump)
    dead = block.body[place + 1 :]
    if not dead or any(_matters(file, statement) for statement in dead):
        return None
    start = line_offset(file, first_line(file, dead[0]))
    return Patch((Edit(start, line_offset(file, last_line(file, dead[-1]) + 1), ""),))


def _matters(file: PythonFile, statement: cst.CSTNode) -> bool:
    """A ``yield`` makes a generator, a binding makes a name local, even where they are never reached."""
    binding = (cst.Yield, cst.From, cst.Global, cst.Nonlocal, cst.AssignTarget, cst.AnnAssign, cst.AugAssign)
    more = (
        cst.NamedExpr,
        cst.Import,
        cst.ImportFrom,
        cst.FunctionDef,
        cst.ClassDef,
        cst.For,
        cst.With,
        cst.Del,
    )
    kinds = (*binding, *more, cst.ExceptHandler, cst.ExceptStarHandler, cst.Match)
    return any(nodes_of(statement, kind) for kind in kinds) or file.has_comment(statement)


def _unreachable_lines(text: str, sites: Sequence[Site]) -> str:
    """A site may name the jump or the first line that is never reached."""
    jumped = rewriting(cst.SimpleStatementLine, _unreachable)(text, [Site(site.line) for site in sites])
    above = [Site(site.line - 1) for site in sites if site.line > 1]
    return jumped if jumped != text else rewriting(cst.SimpleStatementLine, _unreachable)(text, above)


RULES = "https://docs.astral.sh/ruff/rules"
RECIPES = (
    Codemod(
        name="remove-else-after-jump",
        fixes=("ruff:RET505", "ruff:RET506", "ruff:RET507", "ruff:RET508"),
        applicability=Applicability.SAFE,
        summary="Move code out of an else that follows a return, raise, continue or break.",
        why="The branch before always leaves, so the else only adds a level of nesting.",
        source=f"{RULES}/superfluous-else-return/",
        rewrite=_without_branches_after_jumps,
    ),
    Codemod(
        name="remove-else-of-loop",
        fixes=("ruff:PLW0120",),
        applicability=Applicability.SAFE,
        summary="Move code out of the else of a loop that never breaks.",
        why="Without a break the else always runs, and readers take it for a condition.",
        source=f"{RULES}/useless-else-on-loop/",
        rewrite=rewriting(cst.Else, _else_of_loop),
    ),
    Codemod(
        name="collapse-else-if",
        fixes=("ruff:PLR5501",),
        applicability=Applicability.SAFE,
        summary="Write elif for an else that holds only an if.",
        why="The same condition reads on one level less.",
        source=f"{RULES}/collapsible-else-if/",
        rewrite=rewriting(cst.Else, _else_if),
    ),
    Codemod(
        name="merge-nested-if",
        fixes=("ruff:SIM102",),
        applicability=Applicability.SAFE,
        summary="Join an if that holds only an if with and.",
        why="Two conditions without branches of their own are one condition.",
        source=f"{RULES}/collapsible-if/",
        rewrite=rewriting(cst.If, _nested_if),
    ),
    Codemod(
        name="merge-nested-with",
        fixes=("ruff:SIM117",),
        applicability=Applicability.SAFE,
        summary="Join a with that holds only a with.",
        why="One with statement enters both contexts in the same order, on one level less.",
        source=f"{RULES}/multiple-with-statements/",
        rewrite=rewriting(cst.With, _nested_with),
    ),
    Codemod(
        name="remove-unreachable-code",
        fixes=("vulture:unreachable-code",),
        applicability=Applicability.SAFE,
        summary="Remove statements after a return, raise, continue or break in the same block.",
        why="They never run; readers and tools spend time on them all the same.",
        source="https://cwe.mitre.org/data/definitions/561.html",
        rewrite=_unreachable_lines,
    ),
)
