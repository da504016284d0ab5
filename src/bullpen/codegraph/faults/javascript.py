"""Faults in JavaScript and TypeScript, by tree-sitter."""

from collections.abc import Collection, Iterator

from ast_grep_py import SgNode

from bullpen.codegraph.faults._tree import (
    Becomes,
    Grammar,
    Rule,
    instead,
    lines_around,
    longer_text,
    named_children,
    one_more,
    other_operator,
    put_faults,
)
from bullpen.codegraph.mutants import Mutant

_PARSERS = {".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx", ".jsx": "tsx"}
_OPERATORS = {
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "%": "+",
    "**": "*",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "===": "!==",
    "!==": "===",
    "&&": "||",
    "||": "&&",
    "??": "&&",
}
_ASSIGNMENTS = {"+=": "-=", "-=": "+=", "*=": "+=", "/=": "*=", "||=": "&&=", "&&=": "||=", "??=": "&&="}
_NAMES = {"min": "max", "max": "min", "some": "every", "every": "some"}
_FUNCTIONS = frozenset({"arrow_function", "function_expression", "generator_function", "class"})
_LOADING = frozenset({"require", "import", "super"})
_NOTHING = frozenset({"undefined", "null"})
_IDLE = frozenset(
    {
        *("comment", "import_statement", "type_annotation", "type_arguments", "type_parameters"),
        *("interface_declaration", "type_alias_declaration", "ambient_declaration", "literal_type"),
        *("type_predicate_annotation", "implements_clause", "decorator", "hash_bang_line"),
    }
)
_SCOPES = frozenset(
    {
        *("function_declaration", "generator_function_declaration", "method_definition", "class_declaration"),
        *("arrow_function", "function_expression", "abstract_class_declaration"),
    }
)


def _condition(node: SgNode) -> Iterator[Becomes]:
    condition = node.field("condition")
    if condition and condition.kind() != "empty_statement":
        text = condition.text()
        yield instead(condition, f"(!{text})" if text.startswith("(") else f"(!({text}))")


def _returned(node: SgNode) -> Iterator[Becomes]:
    values = named_children(node)
    yield instead(
        node, "return;" if values and values[0].kind() not in _NOTHING else "return 1;"
    )  # as in Python


def _left_out(node: SgNode) -> Iterator[Becomes]:
    (value, *_more) = named_children(node) or [node]
    if value.kind() in {"call_expression", "await_expression", "new_expression"}:
        yield from (instead(node, ";") for _one in [value] if not value.text().startswith("super("))


def _dropped(node: SgNode) -> Iterator[Becomes]:
    yield instead(node, ";")


def _given(field: str) -> Rule:
    def rule(node: SgNode) -> Iterator[Becomes]:
        value = node.field(field)
        if value and value.kind() not in _FUNCTIONS | _NOTHING and not _is_loading(value):
            yield instead(value, "undefined")

    return rule


def _is_loading(node: SgNode) -> bool:
    called = node.field("function")
    return called is not None and called.text() in _LOADING


def _expression_body(node: SgNode) -> Iterator[Becomes]:
    body = node.field("body")
    if body and body.kind() not in {"statement_block", *_NOTHING}:
        yield instead(body, "undefined")


def _rounds(node: SgNode) -> Iterator[Becomes]:
    right = node.field("right")
    if right:
        yield instead(right, "[]")


def _called(node: SgNode) -> Iterator[Becomes]:
    """What a call works on, where the call may be left out: ``x`` of ``x.trim()`` and of ``sorted(x)``."""
    called, given = node.field("function"), node.field("arguments")
    if called is None or given is None or given.kind() != "arguments" or _is_loading(node):
        return
    words = named_children(given)
    owner = called.field("object") if called.kind() == "member_expression" else None
    if not words and owner and owner.kind() != "super":
        yield instead(node, f"({owner.text()})")
    if len(words) == 1 and words[0].kind() not in {"spread_element", *_FUNCTIONS}:
        yield instead(node, f"({words[0].text()})")


def _text(node: SgNode) -> Iterator[Becomes]:
    parent = node.parent()
    if parent is None or parent.kind() in {"expression_statement", "export_statement", "jsx_attribute"}:
        return  # a directive, a module
    before = parent.parent()
    is_key = parent.kind() == "pair" and _same(parent.field("key"), node)
    if not is_key and not (parent.kind() == "arguments" and before and _is_loading(before)):
        yield from longer_text(node)


def _number(node: SgNode) -> Iterator[Becomes]:
    parent = node.parent()
    is_key = parent is not None and parent.kind() == "pair" and _same(parent.field("key"), node)
    if not is_key and not node.text().endswith("n"):  # a key is no expression, a big integer no number
        yield from one_more(node)


def _same(one: SgNode | None, other: SgNode) -> bool:
    return one is not None and one.range().start.index == other.range().start.index


def _template(node: SgNode) -> Iterator[Becomes]:
    parent = node.parent()
    if parent is None or parent.kind() != "call_expression":  # a tag has its own language
        yield instead(node, "`mutant`")


def _unary(node: SgNode) -> Iterator[Becomes]:
    operator, value = node.field("operator"), node.field("argument")
    if operator and value and operator.text() == "!":
        yield instead(node, f"(!!{value.text()})")


def _update(node: SgNode) -> Iterator[Becomes]:
    operator = node.field("operator")
    if operator:
        yield instead(operator, {"++": "--", "--": "++"}[operator.text()])


def _property(node: SgNode) -> Iterator[Becomes]:
    if node.text() in _NAMES and (parent := node.parent()) and parent.kind() == "member_expression":
        yield instead(node, _NAMES[node.text()])


def _word(new: str) -> Rule:
    def rule(node: SgNode) -> Iterator[Becomes]:
        parent = node.parent()
        if parent is None or parent.kind() != "literal_type":
            yield instead(node, new)

    return rule


_GRAMMAR = Grammar(
    rules={
        "binary_expression": other_operator(_OPERATORS),
        "augmented_assignment_expression": other_operator(_ASSIGNMENTS),
        "update_expression": _update,
        "unary_expression": _unary,
        **dict.fromkeys(
            ("if_statement", "while_statement", "do_statement", "ternary_expression"), _condition
        ),
        "return_statement": _returned,
        "arrow_function": _expression_body,
        "expression_statement": _left_out,
        "throw_statement": _dropped,
        "variable_declarator": _given("value"),
        "assignment_expression": _given("right"),
        "for_in_statement": _rounds,
        "call_expression": _called,
        "string": _text,
        "template_string": _template,
        "number": _number,
        "true": _word("false"),
        "false": _word("true"),
        "property_identifier": _property,
    },
    idle=_IDLE,
    scopes=_SCOPES,
)


class JavaScript:
    """See ``Faults``."""

    suffixes = (".js", ".mjs", ".cjs", *_PARSERS)

    def put(self, source: str, suffix: str, lines: Collection[int], most: int) -> tuple[Mutant, ...] | None:
        """See ``Faults.put``."""
        return put_faults(source, _PARSERS.get(suffix, "javascript"), _GRAMMAR, lines, most)

    def around(self, source: str, suffix: str, line: int) -> range:
        """See ``Faults.around``."""
        return lines_around(source, _PARSERS.get(suffix, "javascript"), _GRAMMAR, line)


faults = JavaScript()
