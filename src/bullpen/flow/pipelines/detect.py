"""A project's own commands, from its files alone: Makefile, package.json, pyproject.toml, tox.ini, go.mod, Cargo.toml.

Each becomes a job ``test``, ``lint`` or ``build``; a job is there only where the project says how. The first source of
a job wins, in the order above: a Makefile is what its people type.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, cast

from bullpen.flow.pipelines.model import Job, Pipeline, PipelineStep

OWN = "the project's own commands"
FILES = ("Makefile", "package.json", "pyproject.toml", "setup.cfg", "tox.ini", "go.mod", "Cargo.toml")
_PURPOSES = {
    "test": ("test", "tests", "check"),
    "lint": ("lint", "check-lint", "style"),
    "build": ("build", "dist"),
}


def own_pipeline(files: Mapping[str, str], paths: frozenset[str]) -> Pipeline | None:
    """The commands found in ``files`` (texts of those of ``FILES`` that are there); None if there are none.

    ``paths`` are all files of the project.
    """
    found: dict[str, tuple[str, str]] = {}
    for source in (_make, _node, _python, _go, _rust):
        for purpose, told in source(files, paths).items():
            found.setdefault(purpose, told)
    jobs = tuple(_job(purpose, *found[purpose]) for purpose in ("lint", "test", "build") if purpose in found)
    return Pipeline(OWN, ", ".join(sorted({job.where for job in jobs})), jobs) if jobs else None


def _job(purpose: str, command: str, where: str) -> Job:
    return Job(purpose, purpose, where, (PipelineStep(purpose, command, run=command, interpreter="sh"),))


def _make(files: Mapping[str, str], _paths: frozenset[str]) -> dict[str, tuple[str, str]]:
    targets = set(re.findall(r"^([A-Za-z][\w.-]*)\s*:(?!=)", files.get("Makefile", ""), re.MULTILINE))
    return {
        purpose: (f"make {name}", "Makefile")
        for purpose, names in _PURPOSES.items()
        if (name := next((one for one in names if one in targets), ""))
    }


def _node(files: Mapping[str, str], _paths: frozenset[str]) -> dict[str, tuple[str, str]]:
    try:
        read: object = json.loads(files.get("package.json", "{}"))
    except (ValueError, RecursionError):
        return {}
    scripts: object = cast("dict[str, Any]", read).get("scripts") if isinstance(read, dict) else None
    known = cast("dict[str, Any]", scripts) if isinstance(scripts, dict) else {}
    return {
        name: (f"npm run {name}", "package.json") for name in _PURPOSES if isinstance(known.get(name), str)
    }


def _python(files: Mapping[str, str], paths: frozenset[str]) -> dict[str, tuple[str, str]]:
    try:
        tools: object = tomllib.loads(files.get("pyproject.toml", "")).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        tools = {}
    known = cast("dict[str, Any]", tools) if isinstance(tools, dict) else {}
    found: dict[str, tuple[str, str]] = {}
    tests = any(re.search(r"(^|/)(test_[^/]*|[^/]*_test)\.py$", path) for path in paths)
    if tests:
        found["test"] = ("python -m pytest -q", "pyproject.toml" if "pytest" in known else "test files")
    if "ruff" in known or "ruff.toml" in paths:
        found["lint"] = ("python -m ruff check .", "pyproject.toml")
    elif "flake8" in files.get("tox.ini", "") + files.get("setup.cfg", ""):
        found["lint"] = ("python -m flake8", "tox.ini or setup.cfg")
    return found


def _go(files: Mapping[str, str], _paths: frozenset[str]) -> dict[str, tuple[str, str]]:
    if "go.mod" not in files:
        return {}
    words = {"test": "go test ./...", "lint": "go vet ./...", "build": "go build ./..."}
    return {purpose: (command, "go.mod") for purpose, command in words.items()}


def _rust(files: Mapping[str, str], _paths: frozenset[str]) -> dict[str, tuple[str, str]]:
    if "Cargo.toml" not in files:
        return {}
    return {
        "test": ("cargo test --offline", "Cargo.toml"),
        "build": ("cargo build --offline", "Cargo.toml"),
    }
