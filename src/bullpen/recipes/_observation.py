"""Watching a project's function from outside: requests to the observer in the sandbox, and what comes back."""

import ast
import json
import math
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bullpen.recipes._inputs import Call
from bullpen.recipes.base import RecipeJob
from bullpen.sandbox.base import MEBIBYTE, Command, Limits

OBSERVER = Path(__file__).with_name("_observer.py")
SYSTEM_PYTHON = "/usr/bin/python3"
LIMITS = Limits(memory_bytes=1024 * MEBIBYTE, processes=64, wall_seconds=90, output_bytes=2 * MEBIBYTE)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one call did: ``value`` is a literal, or an error came. ``loud`` is what reached beyond computing.

    ``home`` is the module the error can be imported from, ``line`` where in the function's file it was raised (0:
    elsewhere), ``meant`` whether a ``raise`` statement did it.
    """

    value: str = ""
    error: str = ""
    home: str = ""
    message: str = ""
    line: int = 0
    meant: bool = False
    loud: tuple[str, ...] = ()

    @property
    def worth_keeping(self) -> bool:
        """Whether a test can hold it: nothing but computing, and a plain result or an error that was meant."""
        return not self.loud and bool(self.value or (self.error and self.meant and self.home))


@dataclass(frozen=True, slots=True)
class Answer:
    """The observer's answer: an observation per call, and for each mutant the same, or None if it never ended."""

    original: tuple[Observation | None, ...] = ()
    mutants: tuple[tuple[Observation, ...] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A function to observe: the dotted module, and the function in its syntax tree."""

    module: str
    function: ast.FunctionDef


@dataclass(frozen=True, slots=True)
class Seen:
    """A call, and what it did every time."""

    call: Call
    observation: Observation


def module_of(path: str, root: Path) -> str:
    """The dotted name by which the project's root or its ``src`` folder gives a file; "" if neither does."""
    if not path.endswith(".py"):
        return ""
    folder, parts = posixpath.dirname(path), [posixpath.basename(path).removesuffix(".py")]
    while folder and (root / folder / "__init__.py").is_file():
        parts.insert(0, posixpath.basename(folder))
        folder = posixpath.dirname(folder)
    if parts[-1] == "__init__":
        parts.pop()
    known = folder in {"", "src"} and parts and all(part.isidentifier() for part in parts)
    return ".".join(parts) if known else ""


async def observe(job: RecipeJob, target: Target, calls: Sequence[Call]) -> tuple[Seen, ...]:
    """What calls did, as far as it was the same in two processes, in another order and with other hash seeds."""
    first = await _ask(job, target, calls, seed=1)
    if len(first.original) != len(calls):
        return ()
    seen = [
        Seen(call, one) for call, one in zip(calls, first.original, strict=True) if one and one.worth_keeping
    ]
    if not seen:
        return ()
    again = await _ask(job, target, [one.call for one in reversed(seen)], seed=2, together=True)
    if len(again.original) != len(seen):
        return ()
    return tuple(
        one for one, other in zip(seen, reversed(again.original), strict=True) if one.observation == other
    )


async def noticed(
    job: RecipeJob, target: Target, seen: Sequence[Seen], mutants: Sequence[str]
) -> list[frozenset[int]]:
    """For each call, the mutants (by index) whose result is another, so that a test of the call would fail."""
    answer = await _ask(job, target, [one.call for one in seen], seed=3, mutants=mutants)
    return [
        frozenset(
            number
            for number, results in enumerate(answer.mutants)
            if results is not None and len(results) == len(seen) and fails(one.observation, results[place])
        )
        for place, one in enumerate(seen)
    ]


def fails(expected: Observation, actual: Observation) -> bool:
    """Whether a test that expects the one would fail on the other; False where that is not certain."""
    if expected.error:
        return actual.error != expected.error or expected.message not in actual.message
    if actual.error:
        return True
    return bool(actual.value) and not _equal(expected.value, actual.value)


def _equal(expected: str, actual: str) -> bool:
    try:
        one, other = ast.literal_eval(expected), ast.literal_eval(actual)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return True
    if one is None or isinstance(one, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return bool(one == other)


async def _ask(
    job: RecipeJob,
    target: Target,
    calls: Sequence[Call],
    *,
    seed: int,
    together: bool = False,
    mutants: Sequence[str] = (),
) -> Answer:
    request = {
        "module": target.module,
        "function": target.function.name,
        "line": target.function.lineno,
        "calls": [call.request for call in calls],
        "mutants": list(mutants),
        "together": together or bool(mutants),
    }
    command = Command(
        argv=(job.python or SYSTEM_PYTHON, "-c", OBSERVER.read_text("utf-8")),
        workspace=job.root,
        env={
            "PYTHONPATH": "/work/src:/work",
            "PYTHONHASHSEED": str(seed),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "TZ": "UTC" if seed % 2 else "Asia/Kathmandu",
        },
        limits=LIMITS,
        stdin=json.dumps(request).encode(),
    )
    outcome = await job.sandbox.run(command)
    return _parsed(outcome.stdout) if outcome.ok else Answer()


def _parsed(output: bytes) -> Answer:
    """The project's code could have written this: what is not an answer counts as none."""
    try:
        answer = _answers().validate_json(output)
    except ValidationError:
        return Answer()
    return answer if all(one is None or _is_literal(one.value) for one in answer.original) else Answer()


@cache
def _answers() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text or "0")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True
