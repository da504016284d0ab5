"""Checks that stay when Python runs with -O."""

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_block import has_fixed_lines, widest
from bullpen.recipes._python_edit import Patch, replace, rewriting
from bullpen.recipes._python_file import PythonFile, top_level_imports
from bullpen.recipes.base import Codemod

OPPOSITES: dict[type[cst.BaseCompOp], str] = {
    cst.Is: "is not",
    cst.IsNot: "is",
    cst.In: "not in",
    cst.NotIn: "in",
    cst.Equal: "!=",
    cst.NotEqual: "==",
}
ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)
TEST_LIBRARIES = frozenset({"pytest", "unittest"})


def raise_instead(file: PythonFile, check: cst.Assert) -> Patch | None:
    """``assert x, y`` becomes ``if not x: raise AssertionError(y)``, outside tests."""
    line = file.parent(check)
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or file.has_comment(check):
        return None
    if _in_test(file, check) or file.bound("AssertionError"):
        return None
    opposite = "" if isinstance(check.test, cst.Tuple | cst.NamedExpr) else _opposite(file, check.test)
    if not opposite:
        return None
    indent = file.indent(check) + file.unit_at(check)
    body = f"{file.newline}{indent}{_raised(file, check, indent)}"
    return Patch((replace(file, check, f"if {opposite}:{body}"),))


def _raised(file: PythonFile, check: cst.Assert, indent: str) -> str:
    """The statement that raises; parentheses around a message become those of the call."""
    message = check.msg
    if message is None:
        return "raise AssertionError"
    text = _with_parentheses(file, message)
    if message.lpar and not isinstance(message, cst.Tuple | cst.GeneratorExp | cst.Yield | cst.NamedExpr):
        return f"raise AssertionError{_deeper(file, message, text)}"
    line = f"raise AssertionError({text})"
    if isinstance(message, cst.Tuple) or _many_lines(file, message) or len(indent + line) <= widest(file):
        return line
    return f"raise AssertionError({file.newline}{indent}{file.unit_at(check)}{text}{file.newline}{indent})"


def _deeper(file: PythonFile, node: cst.CSTNode, text: str) -> str:
    """Code over several lines, one level further in; as it is where a string goes on over lines."""
    if has_fixed_lines(file, node):
        return text
    unit = file.unit_at(node)
    first, *more = text.splitlines(keepends=True)
    return first + "".join(unit + line if line.strip() else line for line in more)


def _in_test(file: PythonFile, check: cst.Assert) -> bool:
    around = file.function(check)
    imported = {one.target.partition(".")[0] for one in top_level_imports(file.module)}
    return bool(imported & TEST_LIBRARIES) or (around is not None and around.name.value.startswith("test"))


def _opposite(file: PythonFile, test: cst.BaseExpression) -> str:
    """The condition under which the assertion fails; empty for what is better left to people."""
    if isinstance(test, cst.Name) and test.value in {"True", "False", "None"}:
        return ""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return _in_one_line(file, test.expression, _with_parentheses(file, test.expression))
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        return _opposite_comparison(file, test)
    if isinstance(test, ATOMS):
        return f"not {file.code(test)}"
    if isinstance(test, cst.SimpleString | cst.BaseNumber):
        return ""
    return f"not {_with_parentheses(file, test)}" if test.lpar else f"not ({file.code(test)})"


def _opposite_comparison(file: PythonFile, test: cst.Comparison) -> str:
    (right,) = test.comparisons
    word = OPPOSITES.get(type(right.operator))
    if word is None:
        return f"not ({file.code(test)})" if _many_lines(file, test) else f"not {file.code(test)}"
    left = _with_parentheses(file, test.left)
    text = f"{left} {word} {_with_parentheses(file, right.comparator)}"
    return f"({text})" if _many_lines(file, test) else text


def _in_one_line(file: PythonFile, node: cst.CSTNode, text: str) -> str:
    return f"({text})" if _many_lines(file, node) else text


def _many_lines(file: PythonFile, node: cst.CSTNode) -> bool:
    first, last = file.lines(node)
    return first != last


def _with_parentheses(file: PythonFile, node: cst.BaseExpression) -> str:
    if not node.lpar:
        return file.code(node)
    return file.text(file.span(node.lpar[0])[0], file.span(node.rpar[-1])[1])


RECIPES = (
    Codemod(
        name="assert-to-raise",
        fixes=("ruff:S101",),
        applicability=Applicability.SAFE,
        summary="Raise AssertionError where an assertion guards running code.",
        why="Assertions vanish when Python runs with -O, and the check with them; the error raised stays the same.",
        source="https://docs.astral.sh/ruff/rules/assert/",
        rewrite=rewriting(cst.Assert, raise_instead),
    ),
)
