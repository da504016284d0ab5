"""Files that decide how changes are judged, and the parts of shared files that do."""

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, cast

import yaml

from bullpen.flow.guarding.breach import Breach, first_difference
from bullpen.kernel.yaml_text import read_yaml

_PATHS = (
    ".circleci/*",
    ".buildkite/*",
    ".bullpen/*",
    ".husky/*",
    "*/.husky/*",
    ".ci/*",
    ".config/nextest.toml",
)
_NAMES = (
    *(".gitlab-ci.yml", "azure-pipelines.yml", "Jenkinsfile", ".travis.yml", "appveyor.yml", ".drone.yml"),
    *("noxfile.py", "pytest.ini", ".pytest.ini", "Makefile", "GNUmakefile", "justfile", "Taskfile.y*ml"),
    *(
        "ruff.toml",
        ".ruff.toml",
        ".flake8",
        ".pylintrc",
        "pylintrc",
        "mypy.ini",
        ".mypy.ini",
        "pyrightconfig.json",
    ),
    *(
        ".coveragerc",
        ".pre-commit-config.yaml",
        ".bandit",
        "bandit.y*ml",
        ".isort.cfg",
        ".pycodestyle",
        ".vulture*",
    ),
    *("*.pth", "sitecustomize.py", "usercustomize.py", ".importlinter", ".style.yapf", ".editorconfig"),
    *(
        ".eslintrc*",
        "eslint.config.*",
        ".eslintignore",
        "biome.json*",
        ".prettierrc*",
        ".prettierignore",
        "tslint.json",
    ),
    *(
        "tsconfig*.json",
        "jest.config.*",
        "vitest.config.*",
        "vite.config.*",
        ".mocharc*",
        ".nycrc*",
        "karma.conf.*",
    ),
    *(
        "playwright.config.*",
        "cypress.config.*",
        "ava.config.*",
        "babel.config.*",
        ".golangci.*",
        "staticcheck.conf",
    ),
    *(
        "codecov.y*ml",
        ".codecov.y*ml",
        "sonar-project.properties",
        ".secrets.baseline",
        ".gitleaks*",
        ".trivyignore*",
    ),
    *(
        ".hadolint.y*ml",
        ".shellcheckrc",
        ".yamllint*",
        ".markdownlint*",
        ".semgrepignore",
        "clippy.toml",
        "rustfmt.toml",
    ),
    *(".rubocop*.yml", "checkstyle*.xml", "phpunit.xml*", "phpstan.neon*", ".swiftlint.yml", "CODEOWNERS"),
)
_JUDGING_TABLES = re.compile(
    r"^(?:tool(?:\.(?!poetry\b|hatch\.version|setuptools|flit|pdm\.(?:version|build)|uv\.sources|bumpversion)[\w.\"-]+)?"
    r"|dependency-groups|tox.*|testenv.*|pytest|tool:pytest|flake8.*|mypy.*|coverage.*|pylint.*|isort|pycodestyle|bandit"
    r"|pydocstyle|aliases|)$"
)
_JUDGING_KEYS = frozenset(
    [
        "scripts",
        "jest",
        "vitest",
        "mocha",
        "ava",
        "nyc",
        "c8",
        "eslintConfig",
        "eslintIgnore",
        "prettier",
        "lint-staged",
        "husky",
        "babel",
        "xo",
        "standard",
        "tap",
    ]
)
_NEUTRAL_STEPS = frozenset({"permissions", "timeout-minutes", "concurrency", "name", "cache", "run-name"})
_REMARK = "changes a file that decides how changes are judged"


def relaxed_configuration(path: str, before: str, after: str) -> Iterator[Breach]:
    """A change of configuration of tests, linters or automation, at its first line."""
    place = PurePosixPath(path)
    if place.name in ("pyproject.toml", "setup.cfg", "tox.ini"):
        line = _changed_table(before, after)
    elif place.name == "package.json":
        line = _changed_key(before, after)
    elif place.match(".github/workflows/*") or place.match(".github/actions/*/*"):
        line = _changed_workflow(before, after)
    else:
        judged = any(fnmatchcase(place.name, name) for name in _NAMES)
        judged = judged or any(fnmatchcase(path, pattern) for pattern in _PATHS)
        line = first_difference(before, after) if judged else 0
    if line:
        yield Breach(path, line, _REMARK)


def _changed_table(before: str, after: str) -> int:
    """The first changed line of a table that configures a checker; 0 where only others changed."""
    old, new = _tables(before), _tables(after)
    for name, lines in new.items():
        if _JUDGING_TABLES.match(name) and [text for _n, text in lines] != [
            text for _n, text in old.get(name, [])
        ]:
            known = {text for _n, text in old.get(name, [])}
            return next((n for n, text in lines if text not in known), lines[0][0] if lines else 1)
    gone = [name for name in old if _JUDGING_TABLES.match(name) and name not in new and old[name]]
    return old[gone[0]][0][0] if gone else 0


def _tables(text: str) -> dict[str, list[tuple[int, str]]]:
    """Lines by table (``[name]``) with their numbers, without comments and blank lines."""
    tables: dict[str, list[tuple[int, str]]] = {"": []}
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if found := re.fullmatch(r"\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?", bare):
            current = found[1].replace('"', "").replace("'", "")
            tables.setdefault(current, []).append((number, bare))
        elif bare and not bare.startswith(("#", ";")):
            tables.setdefault(current, []).append((number, " ".join(bare.split())))
    return tables


def _changed_key(before: str, after: str) -> int:
    old, new = _json(before), _json(after)
    if old is None or new is None:
        return first_difference(before, after)
    for key in sorted(_JUDGING_KEYS):
        if old.get(key) != new.get(key):
            return _line_of(f'"{key}"', after) or _line_of(f'"{key}"', before) or 1
    return 0


def _json(text: str) -> Mapping[str, Any] | None:
    try:
        loaded = json.loads(text or "{}")
    except ValueError:
        return None
    return cast("Mapping[str, Any]", loaded) if isinstance(loaded, dict) else None


def _line_of(text: str, source: str) -> int:
    return next((number for number, line in enumerate(source.splitlines(), start=1) if text in line), 0)


def _changed_workflow(before: str, after: str) -> int:
    """Pinning an action, or giving a job fewer rights or less time, weakens nothing."""
    try:
        same = _essence(read_yaml(before)) == _essence(read_yaml(after))
    except yaml.YAMLError:
        same = False
    return 0 if same and before else first_difference(before, after)


def _essence(node: Any) -> Any:
    if isinstance(node, dict):
        pairs = cast("dict[Any, Any]", node).items()
        return {key: _pinless(key, _essence(value)) for key, value in pairs if key not in _NEUTRAL_STEPS}
    return [_essence(one) for one in cast("list[Any]", node)] if isinstance(node, list) else node


def _pinless(key: Any, value: Any) -> Any:
    return value.split("@", 1)[0] if key == "uses" and isinstance(value, str) else value
