"""JavaScript and TypeScript that does something else than it says."""

import re

from ast_grep_py import SgNode

from bullpen.domain.change import Applicability
from bullpen.recipes._syntax import SyntaxRecipe, arguments

NAN = frozenset({"NaN", "Number.NaN"})
FRESH = frozenset({"array", "object", "new_expression"})


def _called(node: SgNode) -> str:
    function = node.field("function")
    return function.text() if function else ""


def _number_is_nan(comparison: SgNode) -> str | None:
    left, operator, right = (comparison.field(name) for name in ("left", "operator", "right"))
    if left is None or right is None or operator is None or operator.text() not in {"==", "===", "!=", "!=="}:
        return None
    sides = [side for side in (left, right) if side.text() not in NAN]
    if len(sides) != 1 or comparison.find(kind="comment"):
        return None
    return f"{'!' if operator.text().startswith('!') else ''}Number.isNaN({sides[0].text()})"


def _parse_one_argument(call: SgNode) -> str | None:
    given = arguments(call)
    if not _called(call).endswith(".map") or len(given) != 1:
        return None
    name = given[0].text()
    if name not in {"parseInt", "Number.parseInt"}:
        return None
    return f"{_called(call)}((text) => {name}(text, 10))"


def _structured_clone(call: SgNode) -> str | None:
    given = arguments(call)
    if _called(call) != "JSON.parse" or len(given) != 1 or given[0].kind() != "call_expression":
        return None
    inner = arguments(given[0])
    if _called(given[0]) != "JSON.stringify" or len(inner) != 1 or inner[0].kind() == "spread_element":
        return None
    return f"structuredClone({inner[0].text()})"


def _separate_elements(call: SgNode) -> str | None:
    """``new Array(n).fill([])`` puts one array into every place."""
    given, function = arguments(call), call.field("function")
    made = function.field("object") if function and function.kind() == "member_expression" else None
    if made is None or not _called(call).endswith(".fill") or len(given) != 1 or given[0].kind() not in FRESH:
        return None
    match = re.fullmatch(r"(?:new\s+)?Array\((\w+(?:\.\w+)*)\)", made.text())
    if match is None:
        return None
    text = given[0].text()
    text = f"({text})" if given[0].kind() == "object" else text
    return f"Array.from({{ length: {match[1]} }}, () => {text})"


def _thrown_error(statement: SgNode) -> str | None:
    """``throw "text"`` throws a text; an Error also knows where."""
    inner = [node for node in statement.children() if node.is_named()]
    if len(inner) != 1 or inner[0].kind() not in {"string", "template_string"}:
        return None
    end = ";" if statement.text().endswith(";") else ""
    return f"throw new Error({inner[0].text()}){end}"


UNSAFE = Applicability.UNSAFE
REFERENCE = "https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference"
RECIPES = (
    SyntaxRecipe(
        name="js-number-is-nan",
        fixes=("ast-grep:js-compare-nan",),
        applicability=UNSAFE,
        summary="Ask Number.isNaN instead of comparing with NaN.",
        why="NaN equals nothing, itself included, so the comparison always gives the same answer.",
        source=f"{REFERENCE}/Global_Objects/NaN",
        kind="binary_expression",
        mend=_number_is_nan,
    ),
    SyntaxRecipe(
        name="js-map-one-argument",
        fixes=("ast-grep:js-map-parse-int",),
        applicability=UNSAFE,
        summary="Give parseInt only the text, and the radix 10.",
        why="map also passes the index, and parseInt takes it for the radix.",
        source=f"{REFERENCE}/Global_Objects/Array/map",
        kind="call_expression",
        mend=_parse_one_argument,
    ),
    SyntaxRecipe(
        name="js-structured-clone",
        fixes=("ast-grep:js-json-deep-copy",),
        applicability=UNSAFE,
        summary="Copy with structuredClone instead of through JSON.",
        why="JSON loses dates, maps, undefined and cycles on the way, and is slow; structuredClone refuses functions.",
        source="https://developer.mozilla.org/en-US/docs/Web/API/Window/structuredClone",
        kind="call_expression",
        mend=_structured_clone,
    ),
    SyntaxRecipe(
        name="js-separate-elements",
        fixes=("ast-grep:js-fill-shared",),
        applicability=UNSAFE,
        summary="Make a new element for each place of the array.",
        why="fill puts the same object into every place: changing one changes all.",
        source=f"{REFERENCE}/Global_Objects/Array/fill",
        kind="call_expression",
        mend=_separate_elements,
    ),
    SyntaxRecipe(
        name="js-throw-error",
        fixes=("ast-grep:js-throw-literal",),
        applicability=UNSAFE,
        summary="Throw an Error with the text instead of the text.",
        why="Only an Error carries the place where it was made, and handlers expect its message.",
        source=f"{REFERENCE}/Statements/throw",
        kind="throw_statement",
        mend=_thrown_error,
    ),
)
