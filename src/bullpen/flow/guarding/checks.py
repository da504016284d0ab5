"""What a test checks, and under which conditions it gets there."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from bullpen.flow.guarding.data_flow import Flow, Function, flow_of
from bullpen.flow.guarding.normal import negated, normal
from bullpen.kernel.python_text import parse_expression

_ASSERTIONS: dict[str, str] = {
    "assertEqual": "==",
    "assertEquals": "==",
    "assertNotEqual": "!=",
    "assertNotEquals": "!=",
    "assertIs": "is",
    "assertIsNot": "is not",
    "assertIn": "in",
    "assertNotIn": "not in",
    "assertGreater": ">",
    "assertGreaterEqual": ">=",
    "assertLess": "<",
    "assertLessEqual": "<=",
    "assertListEqual": "==",
    "assertDictEqual": "==",
    "assertTupleEqual": "==",
    "assertSetEqual": "==",
    "assertMultiLineEqual": "==",
}
_SINGLE = {
    "assertIsNone": "{} is None",
    "assertIsNotNone": "{} is not None",
    "assertFalse": "not {}",
    "assertTrue": "{}",
    "assert_": "{}",
    "failUnless": "{}",
    "failIf": "not {}",
}
_ERRORS = {
    "raises": "raises",
    "assertRaises": "raises",
    "assertRaisesRegex": "raises",
    "assertRaisesRegexp": "raises",
    "warns": "warns",
    "assertWarns": "warns",
    "assertWarnsRegex": "warns",
    "deprecated_call": "deprecated_call",
    "assertLogs": "assertLogs",
    "assertNoLogs": "assertNoLogs",
    "RaisesGroup": "RaisesGroup",
}
_CHECKING = ("assert", "check", "verify", "expect", "fail", "should")
_LEAVING = frozenset({"exit", "_exit", "quit", "skip", "skipTest", "abort", "xfail", "importorskip"})
_TOO_WIDE = frozenset({"AssertionError", "Exception", "BaseException"})
UNREACHABLE = "never"
SWALLOWED = "failures are swallowed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check in its normal form; ``conditions`` are what must hold for it to be made."""

    text: str
    conditions: frozenset[str]
    line: int

    def covers(self, other: "Check") -> bool:
        """Whether this check is at least as strict as ``other``."""
        return self.text == other.text and self.conditions <= other.conditions


def checks_of(function: Function, module: Flow) -> list[Check]:
    """Every check of a function, functions inside it included."""
    return list(_in_block(function.body, frozenset(), flow_of(function.body, module)))


def _in_block(body: Sequence[ast.stmt], conditions: frozenset[str], flow: Flow) -> Iterator[Check]:
    for statement in body:
        yield from _in_statement(statement, conditions, flow)
        conditions |= _left_before(statement, flow)


def _left_before(statement: ast.stmt, flow: Flow) -> frozenset[str]:
    """What holds after a statement that may leave the block."""
    if _leaves(statement):
        return frozenset({UNREACHABLE})
    if isinstance(statement, ast.If) and any(_leaves(one) for one in statement.body):
        return frozenset({flow.text(negated(normal(statement.test)))})
    if isinstance(statement, ast.If) and any(_leaves(one) for one in statement.orelse):
        return _both(statement.test, flow)
    return frozenset()


def _leaves(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Return, ast.Raise, ast.Continue, ast.Break)):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and called(call) in _LEAVING


def called(call: ast.Call) -> str:
    """The last part of the name that is called."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _in_statement(statement: ast.stmt, conditions: frozenset[str], flow: Flow) -> Iterator[Check]:
    match statement:
        case ast.Assert():
            yield from _asserted(normal(statement.test), conditions, statement.lineno, flow)
        case ast.If():
            yield from _in_block(statement.body, conditions | _both(statement.test, flow), flow)
            otherwise = flow.text(negated(normal(statement.test)))
            yield from _in_block(statement.orelse, conditions | {otherwise}, flow)
        case ast.For() | ast.AsyncFor():
            yield from _in_block(statement.body, conditions | {f"for {flow.text(statement.iter)}"}, flow)
            yield from _in_block(statement.orelse, conditions | {"else"}, flow)
        case ast.While():
            yield from _in_block(statement.body, conditions | {f"while {flow.text(statement.test)}"}, flow)
        case ast.Try() | ast.TryStar():
            yield from _in_try(statement, conditions, flow)
        case ast.With() | ast.AsyncWith():
            yield from _in_with(statement, conditions, flow)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            inner = flow_of(statement.body, flow)
            yield from _in_block(statement.body, conditions | {f"in {statement.name}"}, inner)
        case ast.Match():
            for case in statement.cases:
                wanted = f"case {ast.unparse(case.pattern)} of {flow.text(statement.subject)}"
                yield from _in_block(case.body, conditions | {wanted}, flow)
        case _:
            yield from _called(statement, conditions, flow)


def _in_try(statement: ast.Try | ast.TryStar, conditions: frozenset[str], flow: Flow) -> Iterator[Check]:
    inside = conditions
    if any(swallows(handler) for handler in statement.handlers):
        inside |= {SWALLOWED}
    yield from _in_block(statement.body, inside, flow)
    for handler in statement.handlers:
        kind = ast.unparse(handler.type) if handler.type else "anything"
        yield from _in_block(handler.body, conditions | {f"after {kind}"}, flow)
    yield from _in_block(statement.orelse, inside, flow)
    yield from _in_block(statement.finalbody, conditions, flow)


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether it takes every failure and lets none of them rise again."""
    names = {ast.unparse(part).rsplit(".", 1)[-1] for part in _types(handler.type)}
    wide = handler.type is None or bool(names & _TOO_WIDE)
    return wide and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def _types(node: ast.expr | None) -> Sequence[ast.expr]:
    if isinstance(node, ast.Tuple):
        return node.elts
    return [node] if node is not None else []


def _in_with(statement: ast.With | ast.AsyncWith, conditions: frozenset[str], flow: Flow) -> Iterator[Check]:
    inside = conditions
    for item in statement.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and called(call) == "suppress":
            inside |= {f"suppress {flow.text(call)}"}
        elif isinstance(call, ast.Call) and called(call) in _ERRORS:
            body = ", ".join(sorted(flow.feeds(statement.body)))
            for wanted in _wanted_errors(call, flow):
                yield Check(f"{wanted}: {body}", conditions, statement.lineno)
    yield from _in_block(statement.body, inside, flow)


def _wanted_errors(call: ast.Call, flow: Flow) -> Iterator[str]:
    """The kind of an error that is expected, and apart from it what it must say: to ask for more is stricter."""
    name = _ERRORS[called(call)]
    if name in {"raises", "warns"} and call.args:
        kind = flow.text(call.args[0])
        yield f"{name}({kind})"
        said = _arguments(ast.Call(call.func, call.args[1:], call.keywords), flow)
        if said:
            yield f"{name}({kind}) saying {said}"
    else:
        yield f"{name}({_arguments(call, flow)})"


def _arguments(call: ast.Call, flow: Flow) -> str:
    values = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg != "msg")]
    return ", ".join(flow.text(value) for value in values)


def _both(test: ast.expr, flow: Flow) -> frozenset[str]:
    """The parts of ``a and b``."""
    return frozenset(flow.text(part) for part in _conjuncts(normal(test)))


def _conjuncts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        yield from chain.from_iterable(_conjuncts(value) for value in node.values)
    elif (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.operand, ast.BoolOp)
        and isinstance(node.op, ast.Not)
        and isinstance(node.operand.op, ast.Or)
    ):
        yield from chain.from_iterable(_conjuncts(negated(value)) for value in node.operand.values)
    else:
        yield node


def _asserted(test: ast.expr, conditions: frozenset[str], line: int, flow: Flow) -> Iterator[Check]:
    for part in _conjuncts(test):
        yield Check(flow.text(part), conditions, line)


def _called(statement: ast.stmt, conditions: frozenset[str], flow: Flow) -> Iterator[Check]:
    for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
        name = called(call)
        if (as_assertion := _as_assertion(call, name)) is not None:
            yield from _asserted(normal(as_assertion), conditions, call.lineno, flow)
        elif name in _ERRORS and len(call.args) > 1:
            yield Check(f"{_ERRORS[name]}({_arguments(call, flow)})", conditions, call.lineno)
        elif name.lower().lstrip("_").startswith(_CHECKING):
            yield Check(flow.text(call), conditions, call.lineno)


def _as_assertion(call: ast.Call, name: str) -> ast.expr | None:
    """The expression a method of ``unittest.TestCase`` asserts."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    if name in _ASSERTIONS and len(call.args) >= 2:
        left, right = (ast.unparse(argument) for argument in call.args[:2])
        return _parsed(f"({left}) {_ASSERTIONS[name]} ({right})")
    if name in _SINGLE and call.args:
        return _parsed(_SINGLE[name].format(f"({ast.unparse(call.args[0])})"))
    return None


def _parsed(text: str) -> ast.expr:
    return parse_expression(text)
