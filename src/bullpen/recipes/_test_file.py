"""The pytest file that holds what was observed: where it stands, and its text."""

import ast
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bullpen.domain.change import FileChange
from bullpen.recipes._observation import Seen, Target
from bullpen.recipes._observer import literal
from bullpen.recipes.base import RecipeJob

WIDTH = 88
LONGEST_MATCH = 80


@dataclass(frozen=True, slots=True)
class TestFunction:
    """One test: its name, its lines, and the names it takes from the module under test."""

    __test__ = False
    name: str
    lines: tuple[str, ...]
    names: frozenset[str]

    @property
    def text(self) -> str:
        """The source."""
        return f"def {self.name}():\n" + "".join(f"    {line}\n" for line in self.lines)


def tests_of(target: Target, kept: Sequence[Seen]) -> list[TestFunction]:
    """One test of the results, and one per kind of error."""
    results = [one for one in kept if not one.observation.error]
    found: list[TestFunction] = []
    if results:
        lines = tuple(line for one in results for line in _result(target, one))
        found.append(_test(target, "keeps_its_results", lines, ()))
    for error in dict.fromkeys(one.observation.error for one in kept if one.observation.error):
        raised = [one for one in kept if one.observation.error == error]
        lines = tuple(line for one in raised for line in _refusal(target, one))
        homes = () if raised[0].observation.home == "builtins" else (error,)
        found.append(_test(target, f"raises_{_snake(error)}", lines, homes))
    return found


def _test(target: Target, what: str, lines: tuple[str, ...], more: Iterable[str]) -> TestFunction:
    name = target.function.name
    return TestFunction(f"test_{name}_{what}", lines, frozenset({name, *more}))


def _result(target: Target, one: Seen) -> tuple[str, ...]:
    call, value = f"{target.function.name}({one.call})", ast.literal_eval(one.observation.value)
    written = literal(value)
    if value is None or isinstance(value, bool):
        return (f"assert {call} is {written}",)
    if isinstance(value, float) and not value.is_integer():
        written = f"pytest.approx({written})"
    line = f"assert {call} == {written}"
    return (line,) if len(line) + 4 <= WIDTH else (f"assert {call} == (", f"    {written}", ")")


def _refusal(target: Target, one: Seen) -> tuple[str, ...]:
    message = one.observation.message
    match = f", match=re.escape({literal(message)})" if 0 < len(message) <= LONGEST_MATCH else ""
    return (
        f"with pytest.raises({one.observation.error}{match}):",
        f"    {target.function.name}({one.call})",
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def written(job: RecipeJob, module: str, kind: str, tests: Sequence[TestFunction]) -> list[FileChange]:
    """The change that adds the tests that are not there yet; none if the file is somebody else's."""
    path = path_of_tests(job.root, module, kind)
    file = job.root / path
    if not tests or (file.exists() and (file.is_symlink() or not file.is_file())):
        return []
    before = file.read_bytes() if file.exists() else None
    if before is None:
        return [FileChange(path, None, _whole(module, tests).encode())]
    after = _extended(before.decode("utf-8", "surrogateescape"), module, tests)
    changed = after.encode("utf-8", "surrogateescape")
    return [] if changed == before else [FileChange(path, before, changed)]


def _whole(module: str, tests: Sequence[TestFunction]) -> str:
    names = sorted({name for test in tests for name in test.names})
    heads = [*_needed(tests), f"from {module} import {', '.join(names)}"]
    return "\n\n".join((_docstring(module), *heads)) + "\n\n\n" + "\n\n".join(test.text for test in tests)


def _docstring(module: str) -> str:
    return f'"""What {module} does, as it was observed: a change of these results should be meant."""'


def _needed(tests: Sequence[TestFunction]) -> list[str]:
    text = "".join(test.text for test in tests)
    return [f"import {name}" for name in ("re", "pytest") if f"{name}." in text]


def _extended(text: str, module: str, tests: Sequence[TestFunction]) -> str:
    known = set(re.findall(r"^def (\w+)", text, re.MULTILINE))
    new = [test for test in tests if test.name not in known]
    line = re.search(rf"^from {re.escape(module)} import ([\w, ]+)$", text, re.MULTILINE)
    if not new or line is None or not text.startswith(_docstring(module)):
        return text
    names = sorted({*line[1].split(", "), *(name for test in new for name in test.names)})
    missing = [f"{one}\n\n" for one in _needed(new) if not re.search(rf"^{one}$", text, re.MULTILINE)]
    head = text[: line.start()] + "".join(missing) + f"from {module} import {', '.join(names)}"
    return head + text[line.end() :].rstrip("\n") + "\n\n\n" + "\n\n".join(test.text for test in new)


def path_of_tests(root: Path, module: str, kind: str) -> str:
    """Where the tests of a module go: the folder the project keeps tests in, a name no other module's has."""
    parts = module.split(".")
    stem = "_".join(parts[1:] or parts)
    path = f"{folder_of_tests(root)}/test_{stem}_{kind}.py"
    file = root / path
    if file.is_file() and not file.read_text("utf-8", "replace").startswith(_docstring(module)):
        return f"{folder_of_tests(root)}/test_{'_'.join(parts)}_{kind}.py"
    return path


def folder_of_tests(root: Path) -> str:
    """The folder pytest is told to look in, or ``test`` where that is the habit, or ``tests``."""
    named = [*_test_paths(root), "tests", "test"]
    return next(
        (name for name in named if (root / name).is_dir() and not (root / name).is_symlink()), "tests"
    )


def _test_paths(root: Path) -> list[str]:
    file = root / "pyproject.toml"
    if not file.is_file():
        return []
    try:
        settings = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return []
    found: object = settings
    for key in ("tool", "pytest", "ini_options", "testpaths"):
        found = cast("dict[str, object]", found).get(key) if isinstance(found, dict) else None
    names = found.split() if isinstance(found, str) else found
    plain = [str(name).strip("/") for name in cast("list[object]", names)] if isinstance(names, list) else []
    return [name for name in plain if re.fullmatch(r"[\w\-]+(/[\w\-]+)*", name)]
