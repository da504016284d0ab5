"""Guards: a change may not weaken what judges it. Pure; every breach names its line."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from bullpen.domain.change import FileChange

JUDGING_FILES = (
    ".github/*",
    ".gitlab-ci.yml",
    ".circleci/*",
    "azure-pipelines.yml",
    "Jenkinsfile",
    ".travis.yml",
    "noxfile.py",
    "tox.ini",
    "setup.cfg",
    "pyproject.toml",
    "pytest.ini",
    "*conftest.py",
    "*ruff.toml",
    ".flake8",
    "mypy.ini",
    "pyrightconfig.json",
    ".coveragerc",
    ".pre-commit-config.yaml",
    ".bandit",
    "*.eslintrc*",
    "*eslint.config.*",
    "biome.json",
    "*tsconfig*.json",
    "*jest.config.*",
    "*vitest.config.*",
    ".golangci.y*ml",
    "codecov.yml",
    "sonar-project.properties",
    ".bullpen/*",
)

_SUPPRESSION = re.compile(
    r"#\s*(?:noqa|nosec|type:\s*ignore|pyright:\s*ignore|pragma:\s*no\s*cover|pylint:\s*disable|ruff:\s*noqa"
    r"|bullpen:\s*ignore|shellcheck\s+disable|hadolint\s+ignore)"
    r"|(?://|/\*)\s*(?:eslint-disable|@ts-ignore|@ts-nocheck|biome-ignore|nolint|istanbul ignore|c8 ignore"
    r"|bullpen:\s*ignore)",
    re.IGNORECASE,
)
_SKIP = re.compile(
    r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b|unittest\.(?:skip|expectedFailure)|raise\s+SkipTest"
    r"|self\.skipTest\(|\b(?:it|test|describe)\.(?:skip|todo)\(|\bx(?:it|describe)\(|\bt\.Skip(?:f|Now)?\("
)


_Test = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Breach:
    """A weakening. ``line`` is in the new file, or in the old one where the line is gone."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def find_breaches(changes: Sequence[FileChange]) -> tuple[Breach, ...]:
    """Everything in a change that weakens tests, suppressions, CI or linter configuration."""
    return tuple(breach for change in changes for breach in _breaches(change))


def is_test_path(path: str) -> bool:
    """Whether a path is test code by the conventions of the common frameworks."""
    name = PurePosixPath(path).name
    in_folder = any(
        part in ("test", "tests", "testing", "__tests__", "spec") for part in PurePosixPath(path).parts[:-1]
    )
    patterns = ("test_*.py", "*_test.py", "conftest.py", "*.test.*", "*.spec.*", "*_test.go", "*Test.java")
    return in_folder or any(fnmatchcase(name, pattern) for pattern in patterns)


def _breaches(change: FileChange) -> Iterator[Breach]:
    before, after = _text(change.before), _text(change.after)
    if any(fnmatchcase(change.path, pattern) for pattern in JUDGING_FILES):
        yield Breach(
            change.path,
            _first_difference(before, after),
            "changes a file that decides how changes are judged",
        )
    yield from _added(change.path, before, after, _SUPPRESSION, "silences a checker")
    if is_test_path(change.path):
        yield from _added(change.path, before, after, _SKIP, "skips a test")
        if change.after is None:
            yield Breach(change.path, 1, "deletes a file of tests")
        elif change.path.endswith(".py"):
            yield from _weaker_tests(change.path, before, after)


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")


def _first_difference(before: str, after: str) -> int:
    old, new = before.splitlines(), after.splitlines()
    same = next(
        (number for number, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    return same + 1


def _added(path: str, before: str, after: str, pattern: re.Pattern[str], what: str) -> Iterator[Breach]:
    known = Counter(found.group() for found in pattern.finditer(before))
    for number, line in enumerate(after.splitlines(), start=1):
        for found in pattern.finditer(line):
            if known[found.group()] > 0:
                known[found.group()] -= 1
            else:
                yield Breach(path, number, f"{what}: {found.group()}")


def _weaker_tests(path: str, before: str, after: str) -> Iterator[Breach]:
    old, new = _tests(before), _tests(after)
    if new is None:
        yield Breach(path, 1, "leaves a file of tests that cannot be parsed")
        return
    for name, test in (old or {}).items():
        if name not in new:
            yield Breach(path, test.lineno, f"deletes the test {name}")
            continue
        lost = _checks(test) - _checks(new[name])
        for check in lost:
            yield Breach(path, new[name].lineno, f"drops or loosens a check of {name}: {check[:80]}")


def _tests(source: str) -> dict[str, _Test] | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    found: dict[str, _Test] = {}
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for member in members:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name.startswith("test"):
                found[prefix + member.name] = member
    return found


def _checks(test: ast.AST) -> Counter[str]:
    """Assertions as normalised text: ``assert``, ``self.assert…`` calls, ``raises`` and ``warns`` contexts."""
    checks: Counter[str] = Counter()
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            checks[ast.unparse(node.test)] += 1
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if name.startswith(("assert", "fail")) or name in ("raises", "warns", "deprecated_call"):
                checks[ast.unparse(node)] += 1
    return checks
