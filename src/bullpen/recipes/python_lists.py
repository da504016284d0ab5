"""Better containers and batches for what a loop does with lists."""

import libcst as cst
from libcst import matchers as m

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import Edit, Patch, has_star, nodes_of, replace, rewriting
from bullpen.recipes._python_file import Import, PythonFile
from bullpen.recipes._python_scope import at_module_level, inside, only_assignment, only_value, scope_of, uses
from bullpen.recipes.base import Codemod

QUEUE_METHODS = frozenset({"append", "extend", "pop", "clear"})


def deep_copy(file: PythonFile, call: cst.Call) -> Patch | None:
    """``json.loads(json.dumps(x))`` becomes ``copy.deepcopy(x)``."""
    dumped = call.args[0].value if file.name(call) == "json.loads" and len(call.args) == 1 else None
    if not isinstance(dumped, cst.Call) or file.name(dumped) != "json.dumps" or len(dumped.args) != 1:
        return None
    wanted = Import("copy")
    module, item = file.local_name(wanted), dumped.args[0]
    named = has_star(call) or has_star(dumped) or item.keyword or call.args[0].keyword
    if module is None or named or file.has_comment(call):
        return None
    made = replace(file, call, f"{module}.deepcopy({file.code(item)})")
    freed = (Import("json"), Import("json", "loads"), Import("json", "dumps"))
    return Patch((made,), (wanted,), freed)


def pop_from_queue(file: PythonFile, call: cst.Call) -> Patch | None:
    """A local list that is only filled, tested and popped at its front becomes a ``collections.deque``."""
    name = _popped_front(call)
    start = only_value(file, name) if name else None
    assignment = only_assignment(file, name) if name else None
    if name is None or assignment is None or not isinstance(start, cst.List) or at_module_level(file, name):
        return None
    if isinstance(file.parent(assignment.node), cst.AnnAssign):
        return None  # its annotation says list
    places = uses(assignment)
    wanted = Import("collections")
    module = file.local_name(wanted)
    if module is None or file.has_comment(start) or not all(_is_queue_use(file, place) for place in places):
        return None
    pops = [edit for place in places for edit in _pop_edits(file, place)]
    made = f"{module}.deque({file.code(start) if start.elements else ''})"
    return Patch((replace(file, start, made), *pops), (wanted,)) if not start.lpar else None


def _popped_front(call: cst.CSTNode) -> cst.Name | None:
    pattern = m.Call(
        func=m.Attribute(value=m.Name(), attr=m.Name("pop")),
        args=[m.Arg(value=m.Integer(value="0"), keyword=None, star="")],
    )
    func = call.func if isinstance(call, cst.Call) and m.matches(call, pattern) else None
    return func.value if isinstance(func, cst.Attribute) and isinstance(func.value, cst.Name) else None


def _is_queue_use(file: PythonFile, place: cst.CSTNode) -> bool:
    """Whether a use of the list means the same of a deque: a test, a length, or one of the shared methods."""
    above = file.parent(place)
    if isinstance(above, cst.While | cst.If):
        return above.test is place
    if isinstance(above, cst.UnaryOperation):
        return isinstance(above.operator, cst.Not)
    if isinstance(above, cst.Arg):
        call = file.parent(above)
        return isinstance(call, cst.Call) and file.name(call) == "builtins.len"
    call = file.parent(above) if isinstance(above, cst.Attribute) else None
    if not isinstance(above, cst.Attribute) or not isinstance(call, cst.Call) or call.func is not above:
        return False
    plain_pop = above.attr.value != "pop" or not call.args or _popped_front(call) is not None
    return above.attr.value in QUEUE_METHODS and plain_pop


def _pop_edits(file: PythonFile, place: cst.CSTNode) -> list[Edit]:
    above = file.parent(place)
    call = file.parent(above) if isinstance(above, cst.Attribute) else None
    if not isinstance(above, cst.Attribute) or call is None or _popped_front(call) is None:
        return []
    return [Edit(file.span(above.attr)[0], file.span(call)[1], "popleft()")]


def look_up_in_set(file: PythonFile, comparison: cst.Comparison) -> Patch | None:
    """A local list that is only tested for membership becomes a set."""
    targets = [
        one.comparator for one in comparison.comparisons if isinstance(one.operator, cst.In | cst.NotIn)
    ]
    name = targets[0] if len(targets) == len(comparison.comparisons) == 1 else None
    start = only_value(file, name) if name else None
    assignment = only_assignment(file, name) if name else None
    if assignment is None or start is None or isinstance(file.parent(assignment.node), cst.AnnAssign):
        return None
    if not all(_is_membership(file, place) for place in uses(assignment)):
        return None
    if at_module_level(file, assignment.node):
        return None  # other modules may use it otherwise
    edits = _as_set(file, start)
    return Patch(edits) if edits else None


def _as_set(file: PythonFile, start: cst.BaseExpression) -> tuple[Edit, ...]:
    """The edits that make a set of a list display of constants, a list comprehension, ``list(x)`` or ``sorted(x)``."""
    if isinstance(start, cst.Call):
        plain = len(start.args) == 1 and not has_star(start) and not start.args[0].keyword
        known = file.name(start) in {"builtins.list", "builtins.sorted"} and not file.bound("set")
        return (replace(file, start.func, "set"),) if plain and known else ()
    if isinstance(start, cst.List):
        constants = all(isinstance(one.value, cst.SimpleString | cst.Integer) for one in start.elements)
        if not start.elements or not constants:
            return ()
    elif not isinstance(start, cst.ListComp):
        return ()
    if start.lpar:
        return ()
    (opening, opened), (closing, closed) = file.span(start.lbracket), file.span(start.rbracket)
    return (
        Edit(opening, opened, _brace(file, start.lbracket)),
        Edit(closing, closed, _brace(file, start.rbracket)),
    )


def _brace(file: PythonFile, bracket: cst.CSTNode) -> str:
    return file.code(bracket).replace("[", "{").replace("]", "}")


def _is_membership(file: PythonFile, place: cst.CSTNode) -> bool:
    above = file.parent(place)
    return isinstance(above, cst.ComparisonTarget) and isinstance(above.operator, cst.In | cst.NotIn)


def insert_many(file: PythonFile, loop: cst.For) -> Patch | None:
    """A loop of one ``cursor.execute("INSERT …", row)`` becomes ``executemany``."""
    call = _only_call(loop)
    if call is None or file.has_comment(loop) or loop.orelse or loop.asynchronous or len(call.args) != 2:
        return None
    func, (query, row) = call.func, call.args
    text = query.value.raw_value if isinstance(query.value, cst.SimpleString) else ""
    plain = not has_star(call) and not query.keyword and not row.keyword
    if not isinstance(func, cst.Attribute) or func.attr.value != "execute" or not plain:
        return None
    if (
        not text.lstrip().upper().startswith("INSERT ")
        or "RETURNING" in text.upper()
        or _uses_later(file, loop)
    ):
        return None
    rows = _rows(file, loop, row.value)
    made = f"{file.code(func.value)}.executemany({file.code(query)}, {rows})"
    return Patch((replace(file, loop, made),)) if rows else None


def _only_call(loop: cst.For) -> cst.Call | None:
    inner = loop.body.body if isinstance(loop.body, cst.IndentedBlock) else ()
    line = inner[0] if len(inner) == 1 else None
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    return small.value if isinstance(small, cst.Expr) and isinstance(small.value, cst.Call) else None


def _uses_later(file: PythonFile, loop: cst.For) -> bool:
    names = nodes_of(loop.target, cst.Name)
    known = [only_assignment(file, name) for name in names]
    return scope_of(file, loop) is None or not all(
        one is not None and all(inside(file, use, loop) for use in uses(one)) for one in known
    )


def _rows(file: PythonFile, loop: cst.For, row: cst.BaseExpression) -> str:
    plain = m.findall(row, m.Await() | m.Yield() | m.NamedExpr() | m.Lambda())
    if plain or isinstance(loop.iter, cst.Tuple | cst.IfExp | cst.Lambda):
        return ""
    if isinstance(row, cst.Name):
        return file.code(loop.iter) if file.code(loop.target) == row.value else ""
    if not isinstance(row, cst.Tuple | cst.Dict) or (isinstance(row, cst.Tuple) and len(row.lpar) != 1):
        return ""
    item = f"({file.code(row)})" if isinstance(row, cst.Tuple) else file.code(row)
    return f"[{item} for {file.code(loop.target)} in {file.code(loop.iter)}]"


RECIPES = (
    Codemod(
        name="deep-copy",
        fixes=("ast-grep:py-json-deep-copy",),
        applicability=Applicability.UNSAFE,
        summary="Copy with copy.deepcopy.",
        why="A round trip through JSON is slow and turns tuples into lists and keys into strings.",
        source="https://docs.python.org/3/library/copy.html#copy.deepcopy",
        rewrite=rewriting(cst.Call, deep_copy),
    ),
    Codemod(
        name="list-to-deque",
        fixes=("ast-grep:py-list-pop-front",),
        applicability=Applicability.SAFE,
        summary="Take from the front of a deque.",
        why="list.pop(0) moves every other item; popleft of a deque moves none.",
        source="https://docs.python.org/3/library/collections.html#collections.deque",
        rewrite=rewriting(cst.Call, pop_from_queue),
    ),
    Codemod(
        name="membership-in-set",
        fixes=("ast-grep:py-membership-in-list",),
        applicability=Applicability.UNSAFE,
        summary="Look members up in a set.",
        why="A list is searched item by item, a set is looked up at once; only values that can be hashed may be asked for.",
        source="https://docs.astral.sh/ruff/rules/literal-membership/",
        rewrite=rewriting(cst.Comparison, look_up_in_set),
    ),
    Codemod(
        name="insert-many",
        fixes=("ast-grep:py-insert-in-loop",),
        applicability=Applicability.UNSAFE,
        summary="Insert all rows with executemany.",
        why="One call for all rows saves a round trip for each of them.",
        source="https://peps.python.org/pep-0249/#executemany",
        rewrite=rewriting(cst.For, insert_many),
    ),
)
