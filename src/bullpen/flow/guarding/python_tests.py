"""Two versions of a file of Python tests: what the new one no longer checks."""

import ast
from collections.abc import Container, Iterator

from bullpen.flow.guarding.breach import Breach, Sign, added
from bullpen.flow.guarding.checks import SWALLOWED, called
from bullpen.flow.guarding.normal import normal_text
from bullpen.flow.guarding.outlined import Outlined, TestFile, exits_in, lost, patches_in, read_tests
from bullpen.kernel.python_text import parse_expression

_HARMLESS = ("pytest.mark.asyncio", "pytest.mark.parametrize", "pytest.fixture", "staticmethod", "override")
_SWITCHES = frozenset({"pytestmark", "collect_ignore", "collect_ignore_glob", "__test__", "pytest_plugins"})

_KIND_CALLS = frozenset({"isinstance", "issubclass", "callable", "hasattr", "assertIsInstance", "type"})


def weaker_tests(path: str, before: str, after: str) -> Iterator[Breach]:
    """What the new version of a file of tests, or of a ``conftest.py``, checks less than the old one."""
    new, old = read_tests(after), read_tests(before)
    if new is None:
        yield Breach(path, 1, "leaves a file of tests that cannot be parsed")
        return
    if old is not None:
        yield from _lost(path, old, new)
    yield from _gained(path, old or read_tests(""), new)
    yield from _hollow(path, old.functions if old else (), new)


def _lost(path: str, old: TestFile, new: TestFile) -> Iterator[Breach]:
    for name, function in old.functions.items():
        if name in new.functions:
            yield from _weaker(path, function, new.functions[name])
        elif function.is_test:
            yield Breach(path, function.node.lineno, f"deletes the test {name}")
    for name, node in old.classes.items():
        if name in new.classes:
            yield from _hidden_class(path, node, new.classes[name])


def _weaker(path: str, old: Outlined, new: Outlined) -> Iterator[Breach]:
    line = new.node.lineno
    left = list(new.checks)
    for check in old.checks:
        match = next((one for one in left if one.covers(check)), None)
        if match is not None:
            left.remove(match)
            continue
        same = next((one for one in left if one.text == check.text), None)
        words = (
            f"makes a check of {old.name} depend on more"
            if same
            else f"drops or loosens a check of {old.name}"
        )
        text = check.text.split(" ← ", 1)[0]
        yield Breach(path, same.line if same else line, f"{words}: {text[:80]}")
    for around in set(new.within) - set(old.within):
        yield Breach(path, line, f"puts {old.name} under a condition: {around}")
    for used in sorted(old.uses - new.uses):
        yield Breach(path, line, f"{old.name} no longer uses {used}")
    for patched in lost(new.patches, old.patches):
        yield Breach(path, line, f"puts a double in place of the code {old.name} is about: {patched}")
    yield from _other_cases(path, old, new)
    if old.is_test:
        yield from _other_frame(path, old, new)
    elif _is_trivial(new) and not _is_trivial(old):
        yield Breach(path, line, f"leaves {old.name} with nothing to do")


def _other_cases(path: str, old: Outlined, new: Outlined) -> Iterator[Breach]:
    for title, rows in old.cases.items():
        for row in lost(rows, new.cases.get(title, ())):
            yield Breach(path, new.node.lineno, f"drops a case of {old.name}: {row[:80]}")


def _other_frame(path: str, old: Outlined, new: Outlined) -> Iterator[Breach]:
    """Decorators and fixtures a test did not have before."""
    for text in lost(new.decorators, old.decorators):
        if not text.startswith(_HARMLESS):
            yield Breach(path, new.node.decorator_list[0].lineno, f"marks the test {old.name}: @{text[:80]}")
    given = {name.strip() for title in new.cases for name in title.split(",")}
    for name in new.takes:
        if name not in old.takes and name not in given:
            yield Breach(path, new.node.lineno, f"gives {old.name} another fixture: {name}")


def _is_trivial(function: Outlined) -> bool:
    """Whether a function only gives back a constant, or nothing."""
    body = [one for one in function.node.body if not (isinstance(one, ast.Expr) and _is_constant(one.value))]
    return all(_gives_constant(statement) for statement in body)


def _gives_constant(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Return):
        return _is_constant(statement.value)
    inner = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(inner, ast.Yield) and _is_constant(inner.value)


def _is_constant(node: ast.expr | None) -> bool:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return not node.elts
    return node is None or isinstance(node, ast.Constant) or (isinstance(node, ast.Dict) and not node.keys)


def _hidden_class(path: str, old: ast.ClassDef, new: ast.ClassDef) -> Iterator[Breach]:
    """A class of tests that runners do not find any more."""
    kept = {"object", *(ast.unparse(one) for one in new.bases)}
    for base in (ast.unparse(one) for one in old.bases):
        if base not in kept:
            yield Breach(path, new.lineno, f"takes {base} from the class {old.name}")
    had = {one.name for one in old.body if isinstance(one, ast.FunctionDef)}
    for node in new.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and "__init__" not in had:
            yield Breach(path, node.lineno, f"hides the class {old.name} from pytest")
    for text in lost(
        [normal_text(one) for one in new.decorator_list], [normal_text(o) for o in old.decorator_list]
    ):
        yield Breach(path, new.decorator_list[0].lineno, f"marks the class {old.name}: @{text[:80]}")


def _gained(path: str, old: TestFile | None, new: TestFile) -> Iterator[Breach]:
    """What no file of tests needs more of: exits, switches, hooks, doubles for everybody."""
    for sign in added(_signs(old), _signs(new)):
        yield Breach(path, sign.line, sign.text)


def _hollow(path: str, known: Container[str], new: TestFile) -> Iterator[Breach]:
    """New tests that only ask of what kind something is: they hold for nearly everything the code could say."""
    for name, function in new.functions.items():
        if not function.is_test or name in known:
            continue
        asked = [one for check in function.checks if not _is_presence(one := _expression(check.text))]
        if asked and all(_asks_kind(one) for one in asked):
            yield Breach(path, function.node.lineno, f"{name} checks only of what kind something is")
        elif asked and all(_asks_kind(one) or _asks_itself(one) for one in asked):
            yield Breach(path, function.node.lineno, f"{name} compares something with itself")
        for check in function.checks:
            if SWALLOWED in check.conditions:
                yield Breach(path, check.line, f"{name} catches its own failure")


def _expression(text: str) -> ast.expr | None:
    """The expression a check is about; None where its text is none, as with errors that are expected."""
    try:
        return parse_expression(text.split(" ← ", 1)[0])
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _is_presence(check: ast.expr | None) -> bool:
    """``x is not None``."""
    return isinstance(check, ast.Compare) and isinstance(check.ops[0], ast.IsNot)


def _asks_kind(check: ast.expr | None) -> bool:
    """``isinstance(x, y)``, ``type(x) is y``, ``callable(x)`` and the like; also what is always true."""
    if isinstance(check, ast.Compare):
        sides = (check.left, *check.comparators)
        return any(isinstance(side, ast.Call) and called(side) == "type" for side in sides)
    if isinstance(check, ast.Call):
        return called(check) in _KIND_CALLS
    return isinstance(check, ast.Constant)


def _asks_itself(check: ast.expr | None) -> bool:
    """``f(x) == f(x)``."""
    if not isinstance(check, ast.Compare) or not isinstance(check.ops[0], (ast.Eq, ast.Is, ast.LtE, ast.GtE)):
        return False
    return len(check.ops) == 1 and ast.dump(check.left) == ast.dump(check.comparators[0])


def _signs(file: TestFile | None) -> Iterator[Sign]:
    if file is None:
        return
    for name, line in exits_in(file.tree):
        yield Sign(f"ends the process of the tests: {name}", line)
    for node in file.tree.body:
        yield from _module_signs(node, file)
    for node in ast.walk(file.tree):
        yield from _switches(node)
    for function in file.functions.values():
        if function.is_fixture and any("autouse=True" in text for text in function.decorators):
            yield Sign(f"a fixture for every test: {function.name}", function.node.lineno)
        if function.node.name.startswith("pytest_"):
            yield Sign(f"steers the runner: {normal_text(function.node)}", function.node.lineno)


def _module_signs(node: ast.stmt, file: TestFile) -> Iterator[Sign]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    for patched in patches_in(node, file.imported):
        yield Sign(f"puts a double in place of code for all tests: {patched}", node.lineno)
    if isinstance(node, (ast.Raise, ast.Delete)):
        yield Sign(f"does away with tests: {ast.unparse(node)}", node.lineno)


def _switches(node: ast.AST) -> Iterator[Sign]:
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    for target in targets:
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        if name in _SWITCHES and isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield Sign(f"switches tests: {ast.unparse(node)}", node.lineno)
    if isinstance(node, ast.FunctionDef) and node.name == "__eq__" and _says_yes(node):
        yield Sign("makes everything equal: __eq__", node.lineno)


def _says_yes(function: ast.FunctionDef) -> bool:
    last = function.body[-1]
    return isinstance(last, ast.Return) and isinstance(last.value, ast.Constant) and last.value.value is True
