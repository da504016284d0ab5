"""Exceptions that say what happened: caught by name, chained to their cause, not swallowed by accident."""

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_block import has_inner_comment, in_block, is_bare, line_offset, moved_out
from bullpen.recipes._python_edit import Edit, Patch, insert, nodes_of, replace, rewriting
from bullpen.recipes._python_file import Import, PythonFile, dotted
from bullpen.recipes._python_scope import inside, only_value
from bullpen.recipes.base import Codemod

FRESH = ("error", "err", "exc", "caught")


def _raises_again(handler: cst.ExceptHandler) -> bool:
    """Whether a handler ends by raising what it caught, and so lets nothing disappear."""
    body = handler.body
    last = body.body[-1] if isinstance(body, cst.IndentedBlock) and body.body else None
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
    leaves = any(nodes_of(body, kind) for kind in (cst.Return, cst.Break, cst.Continue))
    return isinstance(small, cst.Raise) and small.exc is None and not leaves


def _except_everything(file: PythonFile, handler: cst.ExceptHandler) -> Patch | None:
    return _named(file, handler, "BaseException") if _raises_again(handler) else None


def _except_exception(file: PythonFile, handler: cst.ExceptHandler) -> Patch | None:
    return None if _raises_again(handler) else _named(file, handler, "Exception")


def _named(file: PythonFile, handler: cst.ExceptHandler, name: str) -> Patch | None:
    if handler.type is not None or file.bound(name):
        return None
    return Patch((insert(file.span(handler)[0] + len("except"), f" {name}"),))


def _handler(file: PythonFile, node: cst.CSTNode) -> cst.ExceptHandler | None:
    """The handler a node runs in; None if a function stands between them."""
    for above in file.ancestors(node):
        if isinstance(above, cst.ExceptHandler):
            return above
        if isinstance(above, cst.FunctionDef | cst.Lambda | cst.ClassDef):
            return None
    return None


def _raise_from(file: PythonFile, statement: cst.Raise) -> Patch | None:
    handler = _handler(file, statement)
    if handler is None or handler.type is None or statement.exc is None or statement.cause is not None:
        return None
    made = isinstance(statement.exc, cst.Call) or _is_made_here(file, statement.exc, handler)
    if not made and not _is_class(statement.exc):
        return None
    name, naming = _name_of(file, handler)
    if not name or _is_assigned(handler.body, name) or "\n" in file.code(handler.type):
        return None
    end = file.span(statement.exc)[1] + len(getattr(statement.exc, "rpar", ()))
    if file.text(end - 1, end) != ")" and getattr(statement.exc, "rpar", ()):
        return None
    return Patch((*naming, insert(end, f" from {name}")))


def _is_made_here(file: PythonFile, name: cst.BaseExpression, handler: cst.ExceptHandler) -> bool:
    """Whether a name is given its one value in a handler, by a call: then it has no cause yet."""
    value = only_value(file, name)
    return isinstance(value, cst.Call) and inside(file, value, handler)


def _is_class(node: cst.BaseExpression) -> bool:
    name = dotted(node).rpartition(".")[2]
    return name[:1].isupper()


def _name_of(file: PythonFile, handler: cst.ExceptHandler) -> tuple[str, tuple[Edit, ...]]:
    """What a handler calls the error, or a name nobody uses and the edit that gives it."""
    if handler.name is not None:
        known = handler.name.name
        return (known.value if isinstance(known, cst.Name) else ""), ()
    used = {name.value for name in nodes_of(file.module, cst.Name)}
    fresh = next((name for name in FRESH if name not in used), "")
    if not fresh or handler.type is None:
        return "", ()
    end = file.span(handler.type)[1] + len(getattr(handler.type, "rpar", ()))
    return fresh, (insert(end, f" as {fresh}"),)


def _is_assigned(body: cst.CSTNode, name: str) -> bool:
    """Whether a name may mean something else within a handler."""
    targets = [node.target for node in nodes_of(body, cst.AssignTarget)]
    targets += [node.target for kind in (cst.AnnAssign, cst.AugAssign) for node in nodes_of(body, kind)]
    targets += [node.target for node in nodes_of(body, cst.For)]
    targets += [node.target for node in nodes_of(body, cst.NamedExpr)]
    inner = [node.name for node in nodes_of(body, cst.AsName)]
    names = {found.value for target in (*targets, *inner) for found in nodes_of(target, cst.Name)}
    return name in names or bool(nodes_of(body, cst.Del))


def _raise_same(file: PythonFile, statement: cst.Raise) -> Patch | None:
    """``raise error`` of the very error that was caught becomes ``raise``; a name nobody reads then goes with it."""
    handler = _handler(file, statement)
    if handler is None or handler.name is None or not _raises_the_caught(file, statement, handler):
        return None
    name = dotted(handler.name.name)
    uses = [one for one in nodes_of(handler.body, cst.Name) if one.value == name]
    raises = [one for one in nodes_of(handler.body, cst.Raise) if _handler(file, one) is handler]
    bare = [one for one in raises if _raises_the_caught(file, one, handler)]
    if len(uses) > len(bare):
        return Patch((replace(file, statement, "raise"),))
    if handler.type is None or not _bound_by_handlers(file, handler, name):
        return None
    return Patch((_unnamed(file, handler.type, handler.name), *(replace(file, one, "raise") for one in bare)))


def _raises_the_caught(file: PythonFile, statement: cst.Raise, handler: cst.ExceptHandler) -> bool:
    name = dotted(handler.name.name) if handler.name else ""
    if not name or statement.exc is None or statement.cause is not None or dotted(statement.exc) != name:
        return False
    inside_try = any(isinstance(above, cst.Finally | cst.Try) for above in _between(file, statement, handler))
    return not inside_try and not _is_assigned(handler.body, name)


def _bound_by_handlers(file: PythonFile, handler: cst.ExceptHandler, name: str) -> bool:
    """Whether only handlers bind a name around here: ``except … as name`` also unbinds it when the handler ends."""
    around = file.function(handler) or file.module
    handlers = [one.name for one in nodes_of(around, cst.ExceptHandler) if one.name]
    inner = [one for one in handlers if dotted(one.name) == name]
    known = {id(found) for one in nodes_of(around, cst.ExceptHandler) for found in nodes_of(one, cst.Name)}
    outside = [one for one in nodes_of(around, cst.Name) if one.value == name and id(one) not in known]
    return bool(inner) and not outside


def _unnamed(file: PythonFile, kind: cst.BaseExpression, named: cst.AsName) -> Edit:
    """Take ``as name`` from after a handler's type."""
    end = file.span(kind.rpar[-1] if kind.rpar else kind)[1]
    return Edit(end, file.span(named.name)[1], "")


def _between(file: PythonFile, node: cst.CSTNode, outer: cst.CSTNode) -> list[cst.CSTNode]:
    found: list[cst.CSTNode] = []
    for above in file.ancestors(node):
        if above is outer:
            break
        found.append(above)
    return found


def _suppressed(file: PythonFile, statement: cst.Try) -> Patch | None:
    """``try`` whose one handler passes becomes ``with contextlib.suppress(…)``."""
    handler = statement.handlers[0] if len(statement.handlers) == 1 else None
    if handler is None or statement.orelse or statement.finalbody or not _only_passes(handler):
        return None
    kinds = _kinds(handler)
    name = file.local_name(Import("contextlib"))
    body = statement.body.body
    moved = moved_out(file, statement.body, file.indent(body[0])) if body else None
    if not kinds or name is None or moved is None or len(body) != 1 or not in_block(file, statement):
        return None
    if has_inner_comment(file, statement):
        return None
    start, end = file.span(statement)[0], line_offset(file, file.lines(handler.body.body[-1])[1] + 1)
    head = f"with {name}.suppress({', '.join(kinds)}):{file.newline}"
    return Patch((Edit(start, end, head + moved),), (Import("contextlib"),))


def _kinds(handler: cst.ExceptHandler) -> list[str]:
    """The names of caught classes; none where ``Exception`` or more is caught: hiding it better mends nothing."""
    if handler.type is None or handler.name is not None:
        return []
    listed = handler.type.elements if isinstance(handler.type, cst.Tuple) else ()
    names = [dotted(item.value) for item in listed] or [dotted(handler.type)]
    broad = {"Exception", "BaseException", "builtins.Exception"}
    return names if all(names) and not broad.intersection(names) else []


def _only_passes(handler: cst.ExceptHandler) -> bool:
    block = handler.body
    if not isinstance(block, cst.IndentedBlock) or len(block.body) != 1 or not is_bare(block.header):
        return False
    line = block.body[0]
    return isinstance(line, cst.SimpleStatementLine) and all(isinstance(one, cst.Pass) for one in line.body)


RULES = "https://docs.astral.sh/ruff/rules"
RECIPES = (
    Codemod(
        name="except-base-exception",
        fixes=("ruff:E722",),
        applicability=Applicability.SAFE,
        summary="Write except BaseException where a handler cleans up and raises again.",
        why="A bare except does the same without saying so; here nothing is swallowed, so the name changes nothing.",
        source=f"{RULES}/bare-except/",
        rewrite=rewriting(cst.ExceptHandler, _except_everything),
    ),
    Codemod(
        name="except-exception",
        fixes=("ruff:E722",),
        applicability=Applicability.UNSAFE,
        summary="Catch Exception instead of everything.",
        why="A bare except also catches KeyboardInterrupt and SystemExit, so the program cannot be stopped.",
        source=f"{RULES}/bare-except/",
        rewrite=rewriting(cst.ExceptHandler, _except_exception),
    ),
    Codemod(
        name="raise-from",
        fixes=("ruff:B904",),
        applicability=Applicability.SAFE,
        summary="Chain an error raised in a handler to the one that was caught.",
        why="Without from, the traceback reads as if handling the first error had failed.",
        source=f"{RULES}/raise-without-from-inside-except/",
        rewrite=rewriting(cst.Raise, _raise_from),
    ),
    Codemod(
        name="raise-again",
        fixes=("ruff:TRY201",),
        applicability=Applicability.SAFE,
        summary="Raise the caught error again without naming it.",
        why="A bare raise keeps the traceback as it was and cannot name another error by mistake.",
        source=f"{RULES}/verbose-raise/",
        rewrite=rewriting(cst.Raise, _raise_same),
    ),
    Codemod(
        name="suppress-error",
        fixes=("ruff:SIM105",),
        applicability=Applicability.SAFE,
        summary="Use contextlib.suppress where a named error is passed over.",
        why="It says in one line that the error is expected and of no consequence.",
        source=f"{RULES}/suppressible-exception/",
        rewrite=rewriting(cst.Try, _suppressed),
    ),
)
