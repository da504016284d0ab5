"""The functions of a file of tests: what each is called, checks, calls, takes, and carries as decorators."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bullpen.flow.guarding.checks import Check, called, checks_of
from bullpen.flow.guarding.data_flow import Flow, Function, flow_of, root_name
from bullpen.flow.guarding.normal import normal_text
from bullpen.kernel.python_text import parse_module

_TEST_TOOLS = frozenset({"pytest", "hypothesis", "mock", "nose", "freezegun", "responses", "pytest_asyncio"})
_PATCHING = frozenset({"setattr", "setitem", "delattr", "setenv", "patch", "object", "multiple"})
_EXITS = frozenset({"exit", "_exit", "quit", "abort", "kill", "killpg", "SystemExit", "raise_signal"})


@dataclass(frozen=True, slots=True)
class Outlined:
    """One function of a file of tests."""

    name: str
    node: Function
    checks: tuple[Check, ...]
    within: tuple[str, ...]  # conditions and classes around it
    uses: frozenset[str]
    patches: tuple[str, ...]
    decorators: tuple[str, ...]
    cases: Mapping[str, tuple[str, ...]]

    @property
    def is_test(self) -> bool:
        """Whether a runner takes it for a test, by its own name."""
        return self.node.name.startswith("test")

    @property
    def takes(self) -> tuple[str, ...]:
        """Its parameters, in other words the fixtures it asks for."""
        arguments = self.node.args
        return tuple(one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))

    @property
    def is_fixture(self) -> bool:
        """Whether pytest calls it for others."""
        return any("fixture" in text for text in self.decorators)


@dataclass(frozen=True, slots=True)
class TestFile:
    """A parsed file of tests. ``functions`` go by qualified name; of two with one name the last one counts."""

    __test__ = False
    tree: ast.Module
    functions: Mapping[str, Outlined]
    classes: Mapping[str, ast.ClassDef]
    flow: Flow
    imported: frozenset[str]


@lru_cache(maxsize=8)
def read_tests(source: str) -> TestFile | None:
    """Outline a file of tests; None where it does not parse. Nobody changes what it returns: the last ones are kept."""
    try:
        tree = parse_module(source.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    flow = flow_of(tree.body)
    imported = frozenset(_imported(tree))
    found = [
        _outlined(name, node, within, flow, imported) for name, node, within in _functions(tree.body, "", ())
    ]
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return TestFile(tree, {one.name: one for one in found}, classes, flow, imported)


def _functions(
    body: Sequence[ast.stmt], prefix: str, within: tuple[str, ...]
) -> Iterator[tuple[str, Function, tuple[str, ...]]]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node, within
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}::", within)
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            around = f"if {normal_text(node.test)}" if isinstance(node, ast.If) else type(node).__name__
            yield from _functions(node.body, prefix, (*within, around))
            others = getattr(node, "orelse", [])
            yield from _functions(others, prefix, (*within, f"not {around}"))


def _outlined(
    name: str, node: Function, within: tuple[str, ...], module: Flow, imported: frozenset[str]
) -> Outlined:
    return Outlined(
        name,
        node,
        tuple(checks_of(node, module)),
        within,
        frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in imported),
        tuple(patches_in(node, imported)),
        tuple(_decorator_text(one) for one in node.decorator_list),
        {title: rows for one in node.decorator_list for title, rows in _cases(one, module)},
    )


def _imported(tree: ast.Module) -> Iterator[str]:
    """Names that come from modules other than Python's own and the usual tools of tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not _is_tool(alias.name):
                    yield (alias.asname or alias.name).split(".", 1)[0]
        elif isinstance(node, ast.ImportFrom) and (node.level or not _is_tool(node.module or "")):
            yield from (alias.asname or alias.name for alias in node.names)


def _is_tool(module: str) -> bool:
    top = module.split(".", 1)[0]
    return top in sys.stdlib_module_names or top in _TEST_TOOLS


def patches_in(node: ast.AST, imported: frozenset[str]) -> Iterator[str]:
    """Places where something is replaced by a double."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and _is_patch(part, imported):
            yield normal_text(part.func)
        elif isinstance(part, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            for target in targets:
                if _is_foreign(target, imported):
                    yield f"{normal_text(target)} ="


def _is_patch(call: ast.Call, imported: frozenset[str]) -> bool:
    if called(call) == "setattr" and isinstance(call.func, ast.Name):
        return bool(call.args) and root_name(call.args[0]) in imported
    text = ast.unparse(call.func)
    root = text.split(".", 1)[0]
    if called(call) not in _PATCHING:
        return False
    return root in ("patch", "monkeypatch", "mocker", "mp") or "patch" in text or root == "mock"


def _is_foreign(target: ast.expr, imported: frozenset[str]) -> bool:
    """Something inside an imported module or class, or ``sys.modules``."""
    if not isinstance(target, (ast.Attribute, ast.Subscript)):
        return False
    return root_name(target) in imported or ast.unparse(target).startswith("sys.modules")


def exits_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Calls that end the process: what is called, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in _EXITS:
            yield ast.unparse(node.func), node.lineno


def _decorator_text(node: ast.expr) -> str:
    """``@pytest.fixture()`` and ``@pytest.fixture`` are the same."""
    if isinstance(node, ast.Call) and not node.args and not node.keywords:
        node = node.func
    return normal_text(node).replace("yield_fixture", "fixture")


def _cases(node: ast.expr, module: Flow) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not isinstance(node, ast.Call) or called(node) not in (
        "parametrize",
        "expand",
        "data",
        "example",
        "given",
    ):
        return
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    if called(node) != "parametrize" or len(given) < 2:
        yield ast.unparse(node.func), tuple(_row(one) for one in given)
        return
    yield _title(given[0]), tuple(_row(row) for row in _rows(given[1], module))


def _title(names: ast.expr) -> str:
    """``"a, b"`` and ``("a", "b")`` are the same."""
    parts = names.elts if isinstance(names, (ast.Tuple, ast.List)) else [names]
    texts = [str(part.value) if isinstance(part, ast.Constant) else ast.unparse(part) for part in parts]
    return ",".join(name.strip() for text in texts for name in text.split(","))


def _rows(values: ast.expr, module: Flow) -> Sequence[ast.expr]:
    if isinstance(values, ast.Name) and len(module.bound.get(values.id, ())) == 1:
        values = module.bound[values.id][0]
    return values.elts if isinstance(values, (ast.List, ast.Tuple, ast.Set)) else [values]


def _row(row: ast.expr) -> str:
    if isinstance(row, ast.List):
        row = ast.Tuple(row.elts, ast.Load())
    return normal_text(row)


def lost(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """What is there less often."""
    return sorted((Counter(before) - Counter(after)).elements())
