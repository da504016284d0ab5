"""Arguments worth trying on a function, from its annotations, its defaults and the constants it compares with."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

from bullpen.kernel.python_text import parse_expression
from bullpen.recipes._observer import literal

MOST_CALLS = 60
SHORT = 24
Value = object
Function = ast.FunctionDef

INTEGERS: tuple[Value, ...] = (3, 0, 1, -2, 10)
FLOATS: tuple[Value, ...] = (1.5, 0.0, -2.0, 10.0)
STRINGS: tuple[Value, ...] = ("hello, World", "", "a", "b-2_c d", "12", "  x ")
BYTES: tuple[Value, ...] = (b"ab", b"")
BOOLEANS: tuple[Value, ...] = (True, False)
SEQUENCES = frozenset({"list", "List", "Sequence", "Iterable", "Collection", "MutableSequence", "Iterator"})
SETS = frozenset({"set", "Set", "AbstractSet", "MutableSet"})
MAPPINGS = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
UNKNOWN: tuple[tuple[Value, ...], ...] = (
    INTEGERS[:4],
    STRINGS[:4],
    ([3, 1, 2], [], [1, 1]),
    (["b", "a", "b"],),
    FLOATS[:2],
    ({"a": 1, "b": 2}, {}),
)


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments as literals: those by position, then those by name."""

    positional: tuple[str, ...]
    named: tuple[tuple[str, str], ...] = ()

    @property
    def request(self) -> tuple[str, str]:
        """The two literals the observer reads: a tuple and a dict."""
        named = ", ".join(f"{name!r}: {value}" for name, value in self.named)
        return "(" + "".join(f"{value}, " for value in self.positional) + ")", "{" + named + "}"

    def __str__(self) -> str:
        return ", ".join((*self.positional, *(f"{name}={value}" for name, value in self.named)))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter and its value groups; a group holds values of one type. No group: leave it to its default."""

    name: str
    groups: tuple[tuple[Value, ...], ...]
    by_name: bool
    optional: bool


def calls_to_try(function: Function) -> tuple[Call, ...]:
    """At most ``MOST_CALLS`` calls, the plain ones first; none if a parameter needs an object we cannot write."""
    parameters = list(_parameters(function))
    if any(not parameter.groups and not parameter.optional for parameter in parameters):
        return ()
    found: dict[Call, None] = {}
    for values in islice(_combinations(parameters), MOST_CALLS * 4):
        if call := _call(parameters, values):
            found[call] = None
        if len(found) == MOST_CALLS:
            break
    return tuple(found)


def _parameters(function: Function) -> Iterator[Parameter]:
    arguments = function.args
    constants = _constants(function)
    placed = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(placed) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(placed, defaults, strict=True):
        yield _parameter(argument, default, constants, by_name=False)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, default, constants, by_name=True)


def _parameter(
    argument: ast.arg, default: ast.expr | None, constants: Sequence[Value], *, by_name: bool
) -> Parameter:
    groups = groups_of(argument.annotation) if argument.annotation else _groups_of_default(default)
    return Parameter(
        argument.arg,
        tuple(_with_constants(group, constants) for group in groups),
        by_name,
        default is not None,
    )


def _groups_of_default(default: ast.expr | None) -> tuple[tuple[Value, ...], ...]:
    if default is None:
        return UNKNOWN
    try:
        value: Value = ast.literal_eval(default)
    except (ValueError, TypeError, SyntaxError):
        return ()
    return tuple((value, *group) for group in UNKNOWN if type(group[0]) is type(value)) or ((value,),)


def groups_of(annotation: ast.expr) -> tuple[tuple[Value, ...], ...]:
    """Values of the annotated type, by alternative of a union; empty if it cannot be written as a literal."""
    if isinstance(annotation, ast.Constant):
        return _groups_of_text(annotation.value)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return (*groups_of(annotation.left), *groups_of(annotation.right))
    if isinstance(annotation, ast.Subscript):
        inside = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        return _groups_of_generic(_last_name(annotation.value), inside)
    return _groups_of_name(_last_name(annotation))


def _groups_of_text(text: object) -> tuple[tuple[Value, ...], ...]:
    if text is None:
        return ((None,),)
    try:
        return groups_of(parse_expression(text)) if isinstance(text, str) else ()
    except SyntaxError:
        return ()


def _groups_of_name(name: str) -> tuple[tuple[Value, ...], ...]:
    plain = {"int": INTEGERS, "float": FLOATS, "str": STRINGS, "bytes": BYTES, "bool": BOOLEANS}
    if name in plain:
        return (plain[name],)
    if name in {"Any", "object"}:
        return UNKNOWN
    if name in {*SEQUENCES, *SETS, *MAPPINGS, "tuple", "Tuple"}:
        return _groups_of_generic(
            name, [ast.Name("str"), ast.Name("int")] if name in MAPPINGS else [ast.Name("int")]
        )
    return ()


def _groups_of_generic(name: str, inside: Sequence[ast.expr]) -> tuple[tuple[Value, ...], ...]:
    if name == "Literal":
        return (tuple(item.value for item in inside if isinstance(item, ast.Constant)),)
    if name in {"Optional", "Union"}:
        alternatives = [group for item in inside for group in groups_of(item)]
        return (*alternatives, (None,)) if name == "Optional" else tuple(alternatives)
    elements = [groups_of(item) for item in inside if not _is_ellipsis(item)]
    if not elements or not all(elements):
        return ()
    return _containers(name, [groups[0] for groups in elements], whole=not _is_ellipsis(inside[-1]))


def _containers(
    name: str, elements: list[tuple[Value, ...]], *, whole: bool
) -> tuple[tuple[Value, ...], ...]:
    first = list(elements[0])
    lists: tuple[list[Value], ...] = (first[:3], [], first[:1], [*first[:2], first[0]])
    if name in SEQUENCES:
        return (lists,)
    if name in SETS:
        return (tuple(set(items) for items in lists),) if _hashable(first) else ()
    if name in MAPPINGS and len(elements) == 2 and _hashable(first):
        pairs = list(zip(first[:2], elements[1][:2], strict=False))
        return ((dict(pairs), dict[Value, Value]()),)
    if name in {"tuple", "Tuple"} and whole and len(elements) > 1:
        return (tuple(islice(zip(*elements, strict=False), 3)),)
    return (tuple(tuple(items) for items in lists),) if name in {"tuple", "Tuple"} else ()


def _hashable(values: Iterable[Value]) -> bool:
    return all(value is None or isinstance(value, (int, float, str, bytes)) for value in values)


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _constants(function: Function) -> tuple[Value, ...]:
    """Numbers and short strings the body works with, next to their neighbours: the edges of its conditions."""
    found: dict[Value, None] = {}
    for statement in function.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        for node in ast.walk(statement):
            found.update(dict.fromkeys(_neighbours(_constant(node))))
    return tuple(found)


def _constant(node: ast.AST) -> object:
    if (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
    ):
        value = node.operand.value
        return -value if isinstance(value, (int, float)) else None
    return node.value if isinstance(node, ast.Constant) else None


def _neighbours(value: object) -> tuple[Value, ...]:
    if isinstance(value, bool):
        return ()
    if isinstance(value, int) and abs(value) < 10_000:
        return value, value + 1, value - 1
    if isinstance(value, float):
        return value, value + 0.5
    if isinstance(value, str) and 0 < len(value) <= SHORT:
        return value, f"a{value}b", value.upper()
    return ()


def _with_constants(group: tuple[Value, ...], constants: Sequence[Value]) -> tuple[Value, ...]:
    kinds = {type(value) for value in group}
    more = [value for value in constants if type(value) in kinds]
    return tuple({(type(value), repr(value)): value for value in (*group, *more)}.values())


def _combinations(parameters: Sequence[Parameter]) -> Iterator[tuple[Value, ...]]:
    """Per choice of groups: the first values, each parameter varied alone, then all varied together."""
    given = [parameter for parameter in parameters if parameter.groups]
    choices = list(islice(product(*(parameter.groups for parameter in given)), MOST_CALLS))
    rows = [list(_varied(groups)) for groups in choices]
    # Round robin: with many groups, each gets a few calls before one gets all of them.
    for index in range(max(map(len, rows), default=0)):
        yield from (row[index] for row in rows if index < len(row))


def _varied(groups: Sequence[tuple[Value, ...]]) -> Iterator[tuple[Value, ...]]:
    base = tuple(group[0] for group in groups)
    yield base
    longest = max(map(len, groups), default=0)
    for step in range(1, longest):
        for index, group in enumerate(groups):
            if step < len(group):
                yield (*base[:index], group[step], *base[index + 1 :])
        yield tuple(group[(step + index) % len(group)] for index, group in enumerate(groups))


def _call(parameters: Sequence[Parameter], values: tuple[Value, ...]) -> Call | None:
    given = iter(values)
    positional: list[str] = []
    named: list[tuple[str, str]] = []
    skipped = False
    for parameter in parameters:
        if not parameter.groups:
            skipped = True
            continue
        text = literal(next(given))
        if not text:
            return None
        if parameter.by_name or skipped:
            named.append((parameter.name, text))
        else:
            positional.append(text)
    return Call(tuple(positional), tuple(named))
