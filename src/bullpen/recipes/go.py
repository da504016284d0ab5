"""Go: calls that have a plainer successor."""

import re

from ast_grep_py import SgNode

from bullpen.domain.change import Applicability
from bullpen.recipes._go_imports import import_names, is_shadowed, with_imports
from bullpen.recipes._syntax import SyntaxRecipe, arguments, read, spliced

IOUTIL = {
    "ReadAll": "io.ReadAll",
    "Discard": "io.Discard",
    "NopCloser": "io.NopCloser",
    "ReadFile": "os.ReadFile",
    "WriteFile": "os.WriteFile",
    "TempDir": "os.MkdirTemp",
    "TempFile": "os.CreateTemp",
}


def _errorf(call: SgNode) -> str | None:
    """``errors.New(fmt.Sprintf(…))`` is ``fmt.Errorf(…)``, as long as no verb wraps."""
    function, given = call.field("function"), arguments(call)
    if function is None or function.text() != "errors.New" or len(given) != 1:
        return None
    inner = given[0]
    called = inner.field("function") if inner.kind() == "call_expression" else None
    listed = inner.field("arguments")
    if called is None or listed is None or called.text() != "fmt.Sprintf":
        return None
    form = arguments(inner)[:1]
    plain = form and form[0].kind() in {"interpreted_string_literal", "raw_string_literal"}
    return f"fmt.Errorf{listed.text()}" if plain and "%w" not in form[0].text() else None


def _errors_is(comparison: SgNode) -> str | None:
    left, operator, right = (comparison.field(name) for name in ("left", "operator", "right"))
    if left is None or right is None or operator is None or operator.text() not in {"==", "!="}:
        return None
    if not re.fullmatch(r"err|\w+Err", left.text()) or right.kind() not in {
        "selector_expression",
        "identifier",
    }:
        return None
    if not re.fullmatch(r"(?:\w+\.)?(?:Err[A-Z]\w*|EOF|Canceled|DeadlineExceeded|Nil)", right.text()):
        return None
    return f"{'!' if operator.text() == '!=' else ''}errors.Is({left.text()}, {right.text()})"


def _imports_put_right(text: str) -> str | None:
    """What the calls that were put in need is imported, and what nobody uses any more is not."""
    root = read(text, "go")
    if root is None or any(is_shadowed(root, name) for name in ("errors", "fmt")):
        return None
    used = {node.text() for node in root.find_all(kind="identifier")}
    known = import_names(root)
    add = [name for name in ("errors", "fmt") if name in used and name not in known]
    drop = ["errors"] if "errors" in known and "errors" not in used else []
    return with_imports(text, add, drop)


def _without_ioutil(node: SgNode) -> str | None:
    """Nothing by itself: the import is the site, its uses are rewritten with it."""
    return node.text() if _path(node) == '"io/ioutil"' and node.field("name") is None else None


def _path(spec: SgNode) -> str:
    path = spec.field("path")
    return path.text() if path else ""


def _uses_put_right(text: str) -> str | None:
    root = read(text, "go")
    if root is None or any(is_shadowed(root, name) for name in ("ioutil", "io", "os")):
        return None
    uses = [node for node in root.find_all(kind="selector_expression") if _operand(node) == "ioutil"]
    names = [field.text() if (field := node.field("field")) else "" for node in uses]
    if not uses or not all(name in IOUTIL for name in names):
        return None
    new = spliced(text, [(node, IOUTIL[name]) for node, name in zip(uses, names, strict=True)])
    needed = sorted({IOUTIL[name].partition(".")[0] for name in names})
    return with_imports(new, [name for name in needed if name not in import_names(root)], ["io/ioutil"])


def _operand(selector: SgNode) -> str:
    operand = selector.field("operand")
    return operand.text() if operand else ""


RECIPES = (
    SyntaxRecipe(
        name="go-errorf",
        fixes=("ast-grep:go-errors-new-sprintf",),
        applicability=Applicability.SAFE,
        summary="Write fmt.Errorf for errors.New of a formatted text.",
        why="It gives the same error in one call, and can wrap a cause later.",
        source="https://pkg.go.dev/fmt#Errorf",
        kind="call_expression",
        mend=_errorf,
        finish=_imports_put_right,
    ),
    SyntaxRecipe(
        name="go-errors-is",
        fixes=("ast-grep:go-error-compared",),
        applicability=Applicability.UNSAFE,
        summary="Recognise an error with errors.Is.",
        why="An error that was wrapped on its way is not equal to the one it wraps; errors.Is looks through.",
        source="https://go.dev/blog/go1.13-errors",
        kind="binary_expression",
        mend=_errors_is,
        finish=_imports_put_right,
    ),
    SyntaxRecipe(
        name="go-without-ioutil",
        fixes=("ast-grep:go-ioutil",),
        applicability=Applicability.SAFE,
        summary="Call io and os instead of io/ioutil.",
        why="Since Go 1.16 io/ioutil only calls the functions that replace it.",
        source="https://pkg.go.dev/io/ioutil",
        kind="import_spec",
        mend=_without_ioutil,
        finish=_uses_put_right,
    ),
)
