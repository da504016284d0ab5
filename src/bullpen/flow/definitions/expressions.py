"""Expressions as GitHub Actions writes them: ``matrix.os != 'windows-latest' && success()``, and ``${{ … }}`` in text.

Literals, contexts (``a.b``, ``a['b']``), ``!``, comparisons, ``&&``, ``||``, brackets, and the functions that are given.
Loose equality, truth and text forms are those of GitHub's documentation on expressions.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bullpen.domain.errors import InvalidInput

Value = Any  # what JSON can hold
Function = Callable[..., Value]

LONGEST = 4_000
_TOKEN = re.compile(
    r"\s*(?:(?P<number>0x[0-9a-fA-F]+|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<text>'(?:[^']|'')*')"
    r"|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!().,\[\]*]))"
)
_TEMPLATE = re.compile(r"\$\{\{((?:'(?:[^']|'')*'|(?!\}\}|').)*)\}\}", re.DOTALL)
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
_LOOSENESS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="))
STATUS_FUNCTIONS = frozenset({"success", "failure", "always", "cancelled"})


class ExpressionFault(InvalidInput):
    """An expression that cannot be read or evaluated; the sentence says why."""

    code = "faulty-expression"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value."""

    value: Value


@dataclass(frozen=True, slots=True)
class Lookup:
    """A context, or one of the values in something."""

    of: "Node | None"
    key: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A function, or an operator under its sign."""

    name: str
    arguments: tuple["Node", ...]


Node = Literal | Lookup | Call


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may look at. Names of contexts and functions are case-insensitive."""

    contexts: Mapping[str, Value]
    functions: Mapping[str, Function]


def parse(text: str) -> Node:
    """The tree of an expression, with or without ``${{ }}`` around it.

    Raises:
        ExpressionFault: it cannot be read, and where.
    """
    inner = _bare(text)
    if len(inner) > LONGEST:
        raise ExpressionFault(f"An expression may hold {LONGEST:,} characters.")
    reader = _Reader(text, list(_tokens(inner)))
    node = reader.binary(0)
    if reader.next() is not None:
        raise ExpressionFault(f"{text.strip()!r} cannot be read after {reader.before()!r}.")
    return node


def _bare(text: str) -> str:
    found = _TEMPLATE.fullmatch(text.strip())
    return found[1] if found else text


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionFault(f"{text.strip()!r} cannot be read at {text[at:].strip()[:20]!r}.")
        yield cast("str", found.lastgroup), found[cast("str", found.lastgroup)]
        at = found.end()


@dataclass(slots=True)
class _Reader:
    """A place in the tokens."""

    text: str
    tokens: list[tuple[str, str]]
    at: int = 0
    depth: int = 0

    def next(self) -> tuple[str, str] | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def before(self) -> str:
        return self.tokens[self.at - 1][1] if self.at else ""

    def takes(self, *signs: str) -> str:
        found = self.next()
        if found and found[0] == "sign" and found[1] in signs:
            self.at += 1
            return found[1]
        return ""

    def expect(self, sign: str) -> None:
        if not self.takes(sign):
            raise ExpressionFault(f"{self.text.strip()!r} lacks a {sign!r}.")

    def binary(self, level: int) -> Node:
        if level == len(_LOOSENESS):
            return self.unary()
        node = self.binary(level + 1)
        while sign := self.takes(*_LOOSENESS[level]):
            node = Call(sign, (node, self.binary(level + 1)))
        return node

    def unary(self) -> Node:
        self.depth += 1
        if self.depth > 50:
            raise ExpressionFault("The expression is nested too deeply.")
        node = Call("!", (self.unary(),)) if self.takes("!") else self.postfix(self.primary())
        self.depth -= 1
        return node

    def primary(self) -> Node:
        if self.takes("("):
            node = self.binary(0)
            self.expect(")")
            return node
        found = self.next()
        if found is None or found[0] == "sign":
            raise ExpressionFault(f"{self.text.strip()!r} ends too early or lacks a value.")
        self.at += 1
        return self.word(*found)

    def word(self, kind: str, token: str) -> Node:
        if kind == "number":
            return Literal(float(int(token, 16)) if token.startswith("0x") else float(token))
        if kind == "text":
            return Literal(token[1:-1].replace("''", "'"))
        if self.takes("("):
            return Call(token.lower(), self.arguments())
        return Literal(_WORDS[token]) if token in _WORDS else Lookup(None, Literal(token))

    def arguments(self) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.takes(")"):
            if found:
                self.expect(",")
            found.append(self.binary(0))
        return tuple(found)

    def postfix(self, node: Node) -> Node:
        while sign := self.takes(".", "["):
            if sign == "[":
                node = Lookup(node, self.binary(0))
                self.expect("]")
            else:
                node = Lookup(node, self.field())
        return node

    def field(self) -> Node:
        found = self.next()
        if found is None or (found[0] != "name" and found[1] != "*"):
            raise ExpressionFault(f"{self.text.strip()!r} lacks a name after a dot.")
        self.at += 1
        return Literal(found[1])


def names_in(node: Node) -> Iterator[tuple[str, ...]]:
    """The paths of contexts an expression looks at, as far as they are literal: ``("steps", "build", "ok")``."""
    if isinstance(node, Call):
        for argument in node.arguments:
            yield from names_in(argument)
    elif isinstance(node, Lookup):
        path = _literal_path(node)
        if path:
            yield path
        else:
            yield from names_in(node.key)
            yield from names_in(node.of) if node.of else ()


def _literal_path(node: Lookup) -> tuple[str, ...]:
    if not isinstance(node.key, Literal):
        return ()
    key = as_text(node.key.value)
    if node.of is None:
        return (key,)
    above = _literal_path(node.of) if isinstance(node.of, Lookup) else ()
    return (*above, key) if above else ()


def functions_in(node: Node) -> frozenset[str]:
    """The functions an expression calls."""
    if isinstance(node, Literal):
        return frozenset()
    inner = node.arguments if isinstance(node, Call) else (node.key, *([node.of] if node.of else []))
    own = {node.name} if isinstance(node, Call) and node.name[0].isalpha() else set[str]()
    return frozenset(own).union(*map(functions_in, inner))


def evaluate(node: Node, scope: Scope) -> Value:
    """The value of an expression; what is not there is null.

    Raises:
        ExpressionFault: a context or a function is not known.
    """
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Lookup):
        return _looked_up(node, scope)
    return _called(node, scope)


def _looked_up(node: Lookup, scope: Scope) -> Value:
    key = evaluate(node.key, scope)
    if node.of is None:
        contexts = {name.lower(): value for name, value in scope.contexts.items()}
        if str(key).lower() not in contexts:
            raise ExpressionFault(f"There is no {key!r} here; there are: {', '.join(sorted(contexts))}.")
        return contexts[str(key).lower()]
    return _inside(evaluate(node.of, scope), key)


def _inside(value: Value, key: Value) -> Value:
    if isinstance(value, Mapping):
        held = cast("Mapping[str, Value]", value)
        if key == "*":
            return list(held.values())
        folded = {str(name).lower(): one for name, one in held.items()}
        return folded.get(as_text(key).lower())
    if isinstance(value, list) and key == "*":
        return cast("list[Value]", value)
    if isinstance(value, list) and isinstance(key, float) and key.is_integer():
        items = cast("list[Value]", value)
        return items[int(key)] if 0 <= key < len(items) else None
    return None


def _called(node: Call, scope: Scope) -> Value:
    if node.name in ("&&", "||"):
        first = evaluate(node.arguments[0], scope)
        return first if truth(first) == (node.name == "||") else evaluate(node.arguments[1], scope)
    values = [evaluate(one, scope) for one in node.arguments]
    if node.name in _OPERATORS:
        return _OPERATORS[node.name](*values)
    function = {**FUNCTIONS, **scope.functions}.get(node.name)
    if function is None:
        raise ExpressionFault(f"The function {node.name}() is not known here.")
    try:
        return function(*values)
    except (TypeError, IndexError, ValueError) as error:
        raise ExpressionFault(f"{node.name}() cannot be called so: {error}.") from error


def truth(value: Value) -> bool:
    """False for false, null, 0, NaN and the empty text; true for all else."""
    if isinstance(value, float) and math.isnan(value):
        return False
    return value not in (False, None, 0, "")


def as_text(value: Value) -> str:
    """As ``${{ }}`` puts it into text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    return json.dumps(value) if isinstance(value, list | Mapping) else str(value)


def _number(value: Value) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(value) if str(value).strip() else 0.0
    except (TypeError, ValueError):
        return math.nan


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    if isinstance(left, list | Mapping) or isinstance(right, list | Mapping):
        return left is right
    if type(left) is type(right):
        return left == right
    return _number(left) == _number(right)


def _unequal(left: Value, right: Value) -> bool:
    return not _equal(left, right)


def _untrue(value: Value) -> bool:
    return not truth(value)


def _compared(test: Callable[[Any, Any], bool]) -> Function:
    def compare(left: Value, right: Value) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return test(left.lower(), right.lower())
        return test(_number(left), _number(right))

    return compare


_OPERATORS: Mapping[str, Function] = {
    "!": _untrue,
    "==": _equal,
    "!=": _unequal,
    "<": _compared(lambda left, right: left < right),
    "<=": _compared(lambda left, right: left <= right),
    ">": _compared(lambda left, right: left > right),
    ">=": _compared(lambda left, right: left >= right),
}


def _contains(where: Value, what: Value) -> bool:
    if isinstance(where, list):
        return any(_equal(one, what) for one in cast("list[Value]", where))
    return as_text(what).lower() in as_text(where).lower()


def _format(text: Value, *values: Value) -> str:
    def put(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else as_text(values[int(found[1])])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}", put, as_text(text))


def _join(values: Value, separator: Value = ",") -> str:
    parts = cast("Sequence[Value]", values) if isinstance(values, list) else [values]
    return as_text(separator).join(map(as_text, parts))


def _starts_with(text: Value, start: Value) -> bool:
    return as_text(text).lower().startswith(as_text(start).lower())


def _ends_with(text: Value, end: Value) -> bool:
    return as_text(text).lower().endswith(as_text(end).lower())


def _to_json(value: Value) -> str:
    return json.dumps(value, indent=2)


def _from_json(text: Value) -> Value:
    return json.loads(as_text(text), parse_int=float)


FUNCTIONS: Mapping[str, Function] = {
    "contains": _contains,
    "startswith": _starts_with,
    "endswith": _ends_with,
    "format": _format,
    "join": _join,
    "tojson": _to_json,
    "fromjson": _from_json,
}


def templates(text: str) -> Iterator[str]:
    """The expressions in a text."""
    return (found[1] for found in _TEMPLATE.finditer(text))


def fill(text: str, scope: Scope) -> str:
    """A text with the value of each ``${{ … }}`` in its place.

    Raises:
        ExpressionFault: one of them cannot be read or evaluated.
    """
    return _TEMPLATE.sub(lambda found: as_text(evaluate(parse(found[1]), scope)), text)


def fill_all(value: Value, scope: Scope) -> Value:
    """The same in every text of a value. A text that is nothing but one expression becomes its value, of any type."""
    if isinstance(value, str):
        whole = _TEMPLATE.fullmatch(value.strip())
        return evaluate(parse(whole[1]), scope) if whole else fill(value, scope)
    if isinstance(value, Mapping):
        return {name: fill_all(one, scope) for name, one in cast("Mapping[str, Value]", value).items()}
    if isinstance(value, list | tuple):
        return [fill_all(one, scope) for one in cast("Sequence[Value]", value)]
    return value
