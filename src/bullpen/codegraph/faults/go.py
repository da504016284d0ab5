"""Faults in Go, by tree-sitter. Each still compiles, since a fault that does not is noticed by no test of the project.

What is left out stays behind ``if false``, and what is returned instead behind ``if true``: so whatever was used is used.
"""

from collections.abc import Collection, Iterator

from ast_grep_py import SgNode

from bullpen.codegraph.faults._tree import (
    Becomes,
    Grammar,
    before,
    instead,
    lines_around,
    longer_text,
    named_children,
    one_more,
    other_operator,
    put_faults,
)
from bullpen.codegraph.mutants import Mutant

_OPERATORS = {
    "-": "+",
    "*": "+",
    "/": "*",
    "%": "*",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "&&": "||",
    "||": "&&",
}
_NUMBERS = frozenset({"int_literal", "float_literal"})
_FUNCTIONS = frozenset({"function_declaration", "method_declaration", "func_literal"})
_IDLE = frozenset(
    {
        *("comment", "package_clause", "import_declaration", "import_spec", "type_declaration"),
        *("array_type", "parameter_list", "expression_case_type"),
    }
)


def _binary(node: SgNode) -> Iterator[Becomes]:
    yield from other_operator(_OPERATORS)(node)
    operator = node.field("operator")
    sides = (node.field("left"), node.field("right"))
    if operator and operator.text() == "+" and any(side and side.kind() in _NUMBERS for side in sides):
        yield instead(operator, "-")  # anything else may be text


def _condition(node: SgNode) -> Iterator[Becomes]:
    condition = node.field("condition")
    if condition:
        yield instead(condition, f"!({condition.text()})")


def _returned(node: SgNode) -> Iterator[Becomes]:
    types = _result_types(node)
    if types and named_children(node):
        nothing = ", ".join(f"*new({one})" for one in types)
        yield before(node, f"if true {{ return {nothing} }}; ")


def _result_types(node: SgNode) -> list[str]:
    """The types a function around a node gives, as they are written."""
    around = node.parent()
    while around and around.kind() not in _FUNCTIONS:
        around = around.parent()
    result = around.field("result") if around else None
    if result is None:
        return []
    if result.kind() != "parameter_list":
        return [result.text()]
    return [one for each in named_children(result) for one in _types(each)]


def _types(declared: SgNode) -> list[str]:
    kind = declared.field("type")
    if kind is None:
        return []
    names = [one for one in named_children(declared) if one.kind() == "identifier"]
    return [kind.text()] * max(len(names), 1)


def _left_out(node: SgNode) -> Iterator[Becomes]:
    parent = node.parent()
    in_block = parent is not None and parent.kind() == "statement_list"
    if in_block and not node.text().startswith("panic("):  # a function may end with it
        yield instead(node, f"if false {{ {node.text()} }}")


def _no_round(node: SgNode) -> Iterator[Becomes]:
    body = node.field("body")
    if body and any(child.kind() == "range_clause" for child in node.children()):
        start = body.range().start.index + 1
        yield Becomes(start, start, " if true { break };")


def _unary(node: SgNode) -> Iterator[Becomes]:
    value = node.field("operand")
    if value and node.text().startswith("!"):
        yield instead(node, f"(!!{value.text()})")


def _more(node: SgNode) -> Iterator[Becomes]:
    parent = node.parent()
    if parent is None or parent.kind() not in {"expression_case", "const_spec"}:
        yield from one_more(node)


def _text(node: SgNode) -> Iterator[Becomes]:
    parent = node.parent()
    if parent is None or parent.kind() not in {"field_declaration", "expression_case"}:
        yield from longer_text(node)


def _word(node: SgNode) -> Iterator[Becomes]:
    yield instead(node, {"true": "false", "false": "true"}[node.text()])


_GRAMMAR = Grammar(
    rules={
        "binary_expression": _binary,
        "if_statement": _condition,
        "return_statement": _returned,
        "for_statement": _no_round,
        "unary_expression": _unary,
        **dict.fromkeys(
            ("expression_statement", "assignment_statement", "inc_statement", "dec_statement"), _left_out
        ),
        **dict.fromkeys(("defer_statement", "go_statement", "send_statement"), _left_out),
        "int_literal": _more,
        "float_literal": _more,
        "interpreted_string_literal": _text,
        "true": _word,
        "false": _word,
    },
    idle=_IDLE,
    scopes=_FUNCTIONS,
)


class Go:
    """See ``Faults``."""

    suffixes = (".go",)

    def put(self, source: str, suffix: str, lines: Collection[int], most: int) -> tuple[Mutant, ...] | None:
        """See ``Faults.put``."""
        return put_faults(source, "go", _GRAMMAR, lines, most)

    def around(self, source: str, suffix: str, line: int) -> range:
        """See ``Faults.around``."""
        return lines_around(source, "go", _GRAMMAR, line)


faults = Go()
