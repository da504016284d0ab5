"""Calls that do something else than they say: the exact one in their place."""

from collections.abc import Sequence

import libcst as cst

from bullpen.domain.change import Applicability, Site
from bullpen.recipes._python_block import has_inner_comment, in_block, last_line, line_offset
from bullpen.recipes._python_edit import (
    Edit,
    Patch,
    argument,
    has_star,
    insert,
    nodes_of,
    replace,
    rewriting,
    with_argument,
)
from bullpen.recipes._python_file import Import, PythonFile, dotted
from bullpen.recipes.base import Codemod

HANDLES = ("file", "handle", "stream", "opened")


def _zip_strict(file: PythonFile, call: cst.Call) -> Patch | None:
    if file.name(call) != "builtins.zip" or has_star(call) or argument(call, "strict"):
        return None
    return Patch((with_argument(file, call, "strict=False"),)) if len(call.args) > 1 else None


def _type_is(file: PythonFile, comparison: cst.Comparison) -> Patch | None:
    """``type(x) == Y`` asks for the very class: that is ``is``."""
    target = comparison.comparisons[0]
    sides = (comparison.left, target.comparator)
    exact = all(_is_type_call(file, side) or _is_builtin_class(file, side) for side in sides)
    if len(comparison.comparisons) != 1 or not exact or not any(isinstance(side, cst.Call) for side in sides):
        return None
    if not isinstance(target.operator, cst.Equal | cst.NotEqual):
        return None
    old, new = ("==", "is") if isinstance(target.operator, cst.Equal) else ("!=", "is not")
    start = file.span(comparison.left)[1]
    between = file.text(start, file.span(target.comparator)[0])
    if between != f" {old} ":
        return None
    return Patch((Edit(start + 1, start + 1 + len(old), new),))


def _is_type_call(file: PythonFile, node: cst.BaseExpression) -> bool:
    if not isinstance(node, cst.Call) or file.name(node) != "builtins.type":
        return False
    return len(node.args) == 1 and not has_star(node)


def _is_builtin_class(file: PythonFile, node: cst.BaseExpression) -> bool:
    names = "int str float bool bytes list tuple dict set frozenset complex bytearray object type"
    return isinstance(node, cst.Name) and file.name(node) in {f"builtins.{name}" for name in names.split()}


def _now_in_utc(file: PythonFile, call: cst.Call) -> Patch | None:
    if file.name(call) != "datetime.datetime.utcnow" or call.args or not isinstance(call.func, cst.Attribute):
        return None
    module = file.imports(Import("datetime"))
    name = file.local_name(Import("datetime") if module else Import("datetime", "timezone"))
    if name is None:
        return None
    zone = f"{name}.timezone.utc" if module else f"{name}.utc"
    edits = (replace(file, call.func.attr, "now"), insert(file.span(call)[1] - 1, zone))
    return Patch(edits, () if module else (Import("datetime", "timezone"),))


def _opened(file: PythonFile, line: cst.SimpleStatementLine) -> Patch | None:
    """``x = open(p).read()`` and ``x = json.load(open(p))`` become a with block."""
    small = line.body[0] if len(line.body) == 1 else None
    value = small.value if isinstance(small, cst.Assign | cst.Return | cst.Expr) else None
    call = _first_open(file, value) if value is not None else None
    first, last = file.lines(line)
    if call is None or first != last or not in_block(file, line):
        return None
    if isinstance(small, cst.Assign) and not all(isinstance(one.target, cst.Name) for one in small.targets):
        return None
    used = {name.value for name in nodes_of(file.module, cst.Name)}
    handle = next((name for name in HANDLES if name not in used), "")
    if not handle:
        return None
    start, end = file.span(line)[0], line_offset(file, last + 1)
    body = file.text(start, file.span(call)[0]) + handle + file.text(file.span(call)[1], end)
    head = f"with {file.code(call)} as {handle}:{file.newline}{file.indent(line)}{file.unit}"
    return Patch((Edit(start, end, head + body),))


def _first_open(file: PythonFile, value: cst.BaseExpression) -> cst.Call | None:
    """The call of ``open`` that an expression works out first, if reading it all is what follows."""
    if not isinstance(value, cst.Call) or value.lpar:
        return None
    if isinstance(value.func, cst.Attribute) and isinstance(value.func.value, cst.Call):
        inner = value.func.value
        reads = value.func.attr.value in {"read", "readlines", "readline"} and not value.args
        if _is_open(file, inner):
            return inner if reads else None
        return _first_open(file, inner) if all(_is_constant(arg) for arg in value.args) else None
    inner = value.args[0].value if len(value.args) == 1 and not has_star(value) else None
    loads = file.name(value) in {"json.load", "tomllib.load", "pickle.load", "yaml.safe_load"}
    if not isinstance(inner, cst.Call) or not loads:
        return None
    return inner if _is_open(file, inner) else None


def _is_open(file: PythonFile, call: cst.Call) -> bool:
    return file.name(call) == "builtins.open" and isinstance(call.func, cst.Name) and not call.lpar


def _is_constant(arg: cst.Arg) -> bool:
    return not arg.star and isinstance(arg.value, cst.SimpleString | cst.Integer)


def _running_loop(file: PythonFile, call: cst.Call) -> Patch | None:
    """In a coroutine there is a running loop, so both calls give the same; the newer one never makes another."""
    function = file.function(call)
    if function is None or not function.asynchronous or call.args:
        return None
    if file.name(call) != "asyncio.get_event_loop" or not isinstance(call.func, cst.Attribute):
        return None
    if any(isinstance(above, cst.Lambda) for above in file.ancestors(call)):
        return None
    return Patch((replace(file, call.func.attr, "get_running_loop"),))


def _awaited(file: PythonFile, expression: cst.Expr) -> Patch | None:
    call, function = expression.value, file.function(expression)
    if not isinstance(call, cst.Call) or file.name(call) != "asyncio.sleep" or function is None:
        return None
    plain = function.asynchronous and not call.lpar
    return Patch((insert(file.span(expression)[0], "await "),)) if plain else None


def _sorted_set(file: PythonFile, call: cst.Call) -> Patch | None:
    """``sep.join(set(x))`` joins in an order that changes from run to run."""
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value != "join" or len(call.args) != 1:
        return None
    if not isinstance(call.func.value, cst.SimpleString) or has_star(call) or file.bound("sorted"):
        return None
    items = call.args[0].value
    made = isinstance(items, cst.Call) and file.name(items) in {"builtins.set", "builtins.frozenset"}
    if not made and not isinstance(items, cst.Set | cst.SetComp):
        return None
    start, end = file.span(items)
    return Patch((insert(start, "sorted("), insert(end, ")"))) if not items.lpar else None


def _separate_elements(file: PythonFile, product: cst.BinaryOperation) -> Patch | None:
    """``[[]] * n`` holds one list n times; a comprehension makes n."""
    row, count = product.left, product.right
    if (
        not isinstance(product.operator, cst.Multiply)
        or not isinstance(row, cst.List)
        or len(row.elements) != 1
    ):
        return None
    made = row.elements[0].value
    if not isinstance(made, cst.List | cst.Dict | cst.Set) or not isinstance(count, cst.Name | cst.Integer):
        return None
    inside = {name.value for name in nodes_of(made, cst.Name)}
    if has_inner_comment(file, product) or file.bound("range") or file.bound("_") or "_" in inside:
        return None
    text = f"[{file.code(made)} for _ in range({file.code(count)})]"
    return Patch((replace(file, product, text),))


def _made_folder(file: PythonFile, test: cst.If) -> Patch | None:
    """``if not os.path.isdir(d): os.makedirs(d)`` leaves a moment in which another process makes it."""
    call = _guarded_call(file, test, "os.makedirs")
    asked = test.test.expression if isinstance(test.test, cst.UnaryOperation) else None
    negated = isinstance(test.test, cst.UnaryOperation) and isinstance(test.test.operator, cst.Not)
    if call is None or not negated or not isinstance(asked, cst.Call) or argument(call, "exist_ok", 2):
        return None
    if not _asks(file, asked, call, {"os.path.exists", "os.path.isdir"}):
        return None
    end = file.span(call)[1]
    written = f"{file.text(file.span(call)[0], end - 1)}, exist_ok=True)"
    return None if file.code(call)[:-1].rstrip().endswith(",") else _instead(file, test, written)


def _removed_file(file: PythonFile, test: cst.If) -> Patch | None:
    """``if os.path.exists(f): os.remove(f)`` fails when another process removes it in between."""
    call = _guarded_call(file, test, "os.remove") or _guarded_call(file, test, "os.unlink")
    name = file.local_name(Import("contextlib"))
    if call is None or name is None or not isinstance(test.test, cst.Call):
        return None
    if not _asks(file, test.test, call, {"os.path.exists", "os.path.isfile", "os.path.lexists"}):
        return None
    head = f"with {name}.suppress(FileNotFoundError):{file.newline}{file.indent(test)}{file.unit}"
    return _instead(file, test, head + file.code(call), Import("contextlib"))


def _guarded_call(file: PythonFile, test: cst.If, name: str) -> cst.Call | None:
    """The call that is all an ``if`` without branches does."""
    block = test.body
    if test.orelse or not isinstance(block, cst.IndentedBlock) or len(block.body) != 1:
        return None
    line = block.body[0]
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    call = small.value if isinstance(small, cst.Expr) else None
    if not isinstance(call, cst.Call) or file.name(call) != name or has_star(call):
        return None
    return call if in_block(file, test) and not has_inner_comment(file, test) else None


def _asks(file: PythonFile, asked: cst.Call, done: cst.Call, names: set[str]) -> bool:
    """Whether a test asks about the same plain name or attribute as the call it guards."""
    if file.name(asked) not in names or len(asked.args) != 1 or not done.args or done.args[0].keyword:
        return False
    path = dotted(asked.args[0].value)
    return bool(path) and path == dotted(done.args[0].value)


def _instead(file: PythonFile, test: cst.If, text: str, *imports: Import) -> Patch:
    start, end = file.span(test)[0], line_offset(file, last_line(file, test) + 1)
    return Patch((Edit(start, end, text + file.newline),), imports)


def _asserted(file: PythonFile, expression: cst.Expr) -> Patch | None:
    """A comparison that stands alone in a test was meant to be asserted."""
    function = file.function(expression)
    if function is None or not function.name.value.startswith("test"):
        return None
    if not isinstance(expression.value, cst.Comparison) or expression.value.lpar:
        return None
    return Patch((insert(file.span(expression)[0], "assert "),))


def _assert_equal(file: PythonFile, call: cst.Call) -> Patch | None:
    """``assertTrue(a, 3)`` takes 3 for the message and never compares."""
    if dotted(call.func) not in {"self.assertTrue", "self.assertFalse"} or len(call.args) != 2:
        return None
    first, second = call.args
    wrong = isinstance(second.value, cst.Integer | cst.Float | cst.List | cst.Dict | cst.Tuple | cst.Set)
    if (
        first.keyword
        or second.keyword
        or has_star(call)
        or not wrong
        or not isinstance(call.func, cst.Attribute)
    ):
        return None
    if call.func.attr.value == "assertFalse" or isinstance(
        first.value, cst.Comparison | cst.BooleanOperation
    ):
        return None
    return Patch((replace(file, call.func.attr, "assertEqual"),))


def _monotonic(file: PythonFile, call: cst.Call) -> Patch | None:
    """Both ends of a duration within one function, where nothing else uses the start."""
    function = file.function(call)
    if file.name(call) != "time.time" or function is None or dotted(call.func) != "time.time":
        return None
    starts = [node for node in nodes_of(function.body, cst.Assign) if _is_start(file, node)]
    names = [one.targets[0].target for one in starts]
    name = names[0] if len(names) == 1 else None
    if not isinstance(name, cst.Name):
        return None
    uses = [one for one in nodes_of(function.body, cst.Name) if one.value == name.value and one is not name]
    ends = [_duration_end(file, use) for use in uses]
    nested = len(nodes_of(function.body, cst.FunctionDef)) + len(nodes_of(function.body, cst.Lambda))
    if not ends or nested or any(end is None for end in ends):
        return None
    clocks = [starts[0].value, *(end for end in ends if end is not None)]
    edits = [replace(file, one.func, "time.monotonic") for one in clocks if isinstance(one, cst.Call)]
    return Patch(tuple(sorted(edits))) if any(one is call for one in clocks) else None


def _is_start(file: PythonFile, node: cst.Assign) -> bool:
    return (
        len(node.targets) == 1 and isinstance(node.value, cst.Call) and file.name(node.value) == "time.time"
    )


def _duration_end(file: PythonFile, use: cst.Name) -> cst.Call | None:
    """The ``time.time()`` that a start is subtracted from."""
    parent = file.parent(use)
    if not isinstance(parent, cst.BinaryOperation) or not isinstance(parent.operator, cst.Subtract):
        return None
    end = parent.left
    if not isinstance(end, cst.Call) or file.name(end) != "time.time" or dotted(end.func) != "time.time":
        return None
    return end if parent.right is use else None


def _durations(text: str, sites: Sequence[Site]) -> str:
    return rewriting(cst.Call, _monotonic)(text, [Site(site.line) for site in sites])


def _with_open(text: str, sites: Sequence[Site]) -> str:
    return rewriting(cst.SimpleStatementLine, _opened)(text, [Site(site.line) for site in sites])


SAFE, UNSAFE = Applicability.SAFE, Applicability.UNSAFE
RULES = "https://docs.astral.sh/ruff/rules"
LIBRARY = "https://docs.python.org/3/library"
RECIPES = (
    Codemod(
        name="zip-not-strict",
        fixes=("ruff:B905",),
        applicability=SAFE,
        summary="Say strict=False where zip stops at the shortest.",
        why="The call does what it did; now it says that lengths may differ, and the next reader can decide.",
        source=f"{RULES}/zip-without-explicit-strict/",
        rewrite=rewriting(cst.Call, _zip_strict),
    ),
    Codemod(
        name="compare-class-by-identity",
        fixes=("ruff:E721",),
        applicability=SAFE,
        summary="Compare a class with is.",
        why="Built-in classes are equal only to themselves, so identity asks exactly the same.",
        source=f"{RULES}/type-comparison/",
        rewrite=rewriting(cst.Comparison, _type_is),
    ),
    Codemod(
        name="now-in-utc",
        fixes=("ruff:DTZ003",),
        applicability=UNSAFE,
        summary="Take the time in UTC with its zone.",
        why="utcnow gives a time without a zone, which others read as local time; it is deprecated since Python 3.12.",
        source=f"{LIBRARY}/datetime.html#datetime.datetime.utcnow",
        rewrite=rewriting(cst.Call, _now_in_utc),
    ),
    Codemod(
        name="close-read-file",
        fixes=("ruff:SIM115",),
        applicability=SAFE,
        summary="Read a file in a with block.",
        why="The file is closed when it has been read, also after an error, and on every interpreter.",
        source=f"{RULES}/open-file-with-context-handler/",
        rewrite=_with_open,
    ),
    Codemod(
        name="use-running-loop",
        fixes=("ast-grep:py-get-event-loop",),
        applicability=SAFE,
        summary="Ask for the running loop inside a coroutine.",
        why="In a coroutine both give the running loop; get_event_loop may elsewhere make a new one and is on its way out.",
        source=f"{LIBRARY}/asyncio-eventloop.html#asyncio.get_running_loop",
        rewrite=rewriting(cst.Call, _running_loop),
    ),
    Codemod(
        name="await-sleep",
        fixes=("ast-grep:py-sleep-not-awaited",),
        applicability=UNSAFE,
        summary="Await asyncio.sleep.",
        why="Without await nothing sleeps: the coroutine is made and thrown away.",
        source=f"{LIBRARY}/asyncio-task.html#sleeping",
        rewrite=rewriting(cst.Expr, _awaited),
    ),
    Codemod(
        name="join-sorted",
        fixes=("ast-grep:py-join-of-set",),
        applicability=SAFE,
        summary="Sort a set before joining it.",
        why="The order of a set of strings differs from run to run; any fixed order is one of those it could have had.",
        source=f"{LIBRARY}/stdtypes.html#set-types-set-frozenset",
        rewrite=rewriting(cst.Call, _sorted_set),
    ),
    Codemod(
        name="separate-list-elements",
        fixes=("ast-grep:py-shared-list-elements",),
        applicability=UNSAFE,
        summary="Make a list for each place instead of one for all.",
        why="Multiplying repeats the same inner object: changing one place changes all.",
        source="https://docs.python.org/3/faq/programming.html#how-do-i-create-a-multidimensional-list",
        rewrite=rewriting(cst.BinaryOperation, _separate_elements),
    ),
    Codemod(
        name="make-folder-once",
        fixes=("ast-grep:py-makedirs-race",),
        applicability=UNSAFE,
        summary="Let makedirs accept a folder that is there.",
        why="Between the question and the making, another process may make it; then this one fails.",
        source=f"{LIBRARY}/os.html#os.makedirs",
        rewrite=rewriting(cst.If, _made_folder),
    ),
    Codemod(
        name="remove-file-once",
        fixes=("ast-grep:py-remove-race",),
        applicability=UNSAFE,
        summary="Remove a file and pass over its absence.",
        why="Between the question and the removal, another process may remove it; then this one fails.",
        source="https://docs.python.org/3/glossary.html#term-EAFP",
        rewrite=rewriting(cst.If, _removed_file),
    ),
    Codemod(
        name="assert-comparison",
        fixes=("ruff:B015",),
        applicability=UNSAFE,
        summary="Assert a comparison that stands alone in a test.",
        why="Its result is thrown away, so the test cannot fail on it.",
        source=f"{RULES}/useless-comparison/",
        rewrite=rewriting(cst.Expr, _asserted),
    ),
    Codemod(
        name="assert-equal",
        fixes=("ast-grep:py-assert-true-two-values",),
        applicability=UNSAFE,
        summary="Compare the two values given to assertTrue.",
        why="The second argument of assertTrue is its message, so nothing is compared.",
        source=f"{LIBRARY}/unittest.html#unittest.TestCase.assertTrue",
        rewrite=rewriting(cst.Call, _assert_equal),
    ),
    Codemod(
        name="measure-monotonic",
        fixes=("ast-grep:py-wall-clock-duration",),
        applicability=SAFE,
        summary="Measure a duration with the monotonic clock.",
        why="The wall clock may be set while the program runs; then the duration is wrong, or negative.",
        source="https://peps.python.org/pep-0418/",
        rewrite=_durations,
    ),
)
