"""What a Python project says about itself, read from its files only: nothing of it is run.

Sources: pyproject.toml (PEP 621, PEP 735, Poetry, PDM, Hatch), setup.cfg, literal arguments in setup.py, requirements
files, tox.ini. A file that cannot be parsed counts as absent.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from bullpen.kernel.python_text import parse_module

TEST_GROUPS = ("test", "tests", "testing")
RUNTIME_FILES = ("requirements.txt",)
TEST_FILES = (
    *("requirements-test.txt", "requirements-tests.txt", "requirements_test.txt", "requirements_tests.txt"),
    *("test-requirements.txt", "test_requirements.txt", "requirements/test.txt", "requirements/tests.txt"),
    *("requirements/testing.txt", "tests/requirements.txt", "test/requirements.txt"),
)
DEV_FILES = ("requirements-dev.txt", "requirements_dev.txt", "dev-requirements.txt", "requirements/dev.txt")
NOT_FOR_TESTS = frozenset(  # what people list for development and tests do not import
    (
        *(
            "black",
            "build",
            "bump2version",
            "bumpversion",
            "commitizen",
            "flake8",
            "furo",
            "hatch",
            "isort",
            "mkdocs",
        ),
        *(
            "mkdocs-material",
            "mkdocstrings",
            "mypy",
            "nox",
            "pre-commit",
            "pylint",
            "pyright",
            "ruff",
            "sphinx",
        ),
        *("sphinx-rtd-theme", "towncrier", "tox", "twine", "ty", "uv", "wheel"),
    )
)
UNKNOWN_VERSION = "0+unknown"
MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Declared:
    """A project's name, version, dependencies and entry points as far as its files tell.

    ``runtime`` and ``testing`` hold requirement lines (PEP 508). ``left_out`` holds what cannot be installed without
    running a build: links and paths. ``version_files`` are modules that a build would generate. ``source_folders``
    are where packages begin, relative to the root, the root itself last.
    """

    name: str
    version: str
    requires_python: str
    runtime: tuple[str, ...]
    testing: tuple[str, ...]
    left_out: tuple[str, ...]
    entry_points: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    version_files: tuple[str, ...]
    source_folders: tuple[str, ...]
    native: bool

    def accepts(self, version: str) -> bool:
        """Whether ``requires-python`` allows this version; an unreadable one allows all."""
        try:
            return SpecifierSet(self.requires_python).contains(version, prereleases=True)
        except InvalidSpecifier:
            return True


def read_declared(root: Path) -> Declared:
    """Everything there is to know without running anything."""
    files = _Files(_toml(root / "pyproject.toml"), _ini(root / "setup.cfg"), _setup_call(root / "setup.py"))
    project = _table(files.pyproject, "project")
    name = str(project.get("name") or _table(files.pyproject, "tool", "poetry").get("name") or "")
    name = name or _ini_value(files.cfg, "metadata", "name") or str(files.setup.get("name") or "")
    runtime, refused = _requirements(_runtime_lines(root, files))
    testing, refused_too = _requirements(_expand_self(name, project, _test_lines(root, files)))
    return Declared(
        name=name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else "",
        version=_version(root, files, name),
        requires_python=_requires_python(files),
        runtime=runtime,
        testing=testing,
        left_out=(*refused, *refused_too),
        entry_points=_entry_points(files),
        version_files=tuple(sorted(_version_files(files))),
        source_folders=tuple(dict.fromkeys((*_source_folders(root, files), "."))),
        native=_has_native(root, files),
    )


@dataclass(frozen=True, slots=True)
class _Files:
    pyproject: Mapping[str, Any]
    cfg: ConfigParser
    setup: Mapping[str, Any]


# Files


def _text(path: Path) -> str:
    """Empty when it is missing, too large, a link, or not UTF-8."""
    try:
        if path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _ini(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(path))
    except ConfigError:
        return ConfigParser(interpolation=None)
    return parser


def _ini_value(parser: ConfigParser, section: str, key: str) -> str:
    return parser.get(section, key, fallback="").strip()


def _tree(path: Path) -> ast.Module:
    try:
        return parse_module(_text(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _setup_call(path: Path) -> Mapping[str, Any]:
    """The literal arguments of the call of ``setup``."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "setup":
            found = {word.arg: _literal(word.value) for word in node.keywords if word.arg}
            return {key: value for key, value in found.items() if value is not None}
    return {}


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _table(tree: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for key in path:
        below = tree.get(key)
        tree = cast("Mapping[str, Any]", below) if isinstance(below, dict) else {}
    return tree


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.splitlines())
    if isinstance(value, list | tuple):
        return tuple(item for item in cast("Iterable[object]", value) if isinstance(item, str))
    return ()


# Requirements


def _runtime_lines(root: Path, files: _Files) -> Iterator[str]:
    before = _strings(_table(files.pyproject, "project").get("dependencies"))
    yield from before
    yield from _poetry(_table(files.pyproject, "tool", "poetry", "dependencies"))
    yield from _ini_value(files.cfg, "options", "install_requires").splitlines()
    yield from _strings(files.setup.get("install_requires"))
    if not before:
        yield from chain.from_iterable(_requirement_file(root, name) for name in RUNTIME_FILES)


def _test_lines(root: Path, files: _Files) -> tuple[str, ...]:
    """From groups called for tests; from those for developers only when there are none."""
    lines = tuple(
        chain(_group_lines(files, TEST_GROUPS), *(_requirement_file(root, name) for name in TEST_FILES))
    )
    lines += tuple(_strings(files.setup.get("tests_require")))
    lines += tuple(_ini_value(files.cfg, "options", "tests_require").splitlines())
    if not lines:
        found = chain(_group_lines(files, ("dev",)), *(_requirement_file(root, name) for name in DEV_FILES))
        lines = tuple(line for line in found if not _only_for_developers(line))
    return lines + tuple(_tox_lines(root))


def _only_for_developers(line: str) -> bool:
    requirement = _parsed(line)
    return requirement is not None and canonicalize_name(requirement.name) in NOT_FOR_TESTS


def _group_lines(files: _Files, names: tuple[str, ...]) -> Iterator[str]:
    extras = _table(files.pyproject, "project", "optional-dependencies")
    setup_extras = cast("object", files.setup.get("extras_require"))
    for name in names:
        yield from _strings(extras.get(name))
        yield from _dependency_group(_table(files.pyproject, "dependency-groups"), name, frozenset())
        yield from _poetry(_table(files.pyproject, "tool", "poetry", "group", name, "dependencies"))
        yield from _strings(_table(files.pyproject, "tool", "pdm", "dev-dependencies").get(name))
        yield from _ini_value(files.cfg, "options.extras_require", name).splitlines()
        if isinstance(setup_extras, dict):
            yield from _strings(cast("dict[str, object]", setup_extras).get(name))
    yield from _hatch_lines(files, names)
    if "dev" in names:
        yield from _poetry(_table(files.pyproject, "tool", "poetry", "dev-dependencies"))


def _hatch_lines(files: _Files, names: tuple[str, ...]) -> Iterator[str]:
    environments = ("hatch-test", *names) if "dev" not in names else ("default", *names)
    for name in environments:
        table = _table(files.pyproject, "tool", "hatch", "envs", name)
        yield from _strings(table.get("dependencies"))
        yield from _strings(table.get("extra-dependencies"))


def _dependency_group(groups: Mapping[str, Any], name: str, seen: frozenset[str]) -> Iterator[str]:
    entries = groups.get(name)
    if name in seen or not isinstance(entries, list):
        return
    for entry in cast("list[object]", entries):
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            included = str(cast("dict[str, object]", entry).get("include-group", ""))
            yield from _dependency_group(groups, included, seen | {name})


def _poetry(table: Mapping[str, Any]) -> Iterator[str]:
    """Names with the lower bound of ``^1.2`` and ``~1.2``; other forms as PEP 440 reads them."""
    for name, wish in table.items():
        value = cast("dict[str, object]", wish).get("version", "*") if isinstance(wish, dict) else wish
        text = str(value).strip()
        if name == "python":
            continue
        if text[:1] in "^~" and text[:2] != "~=":
            text = ">=" + text.lstrip("^~")
        yield name if text in ("*", "") else f"{name}{text if text[0] in '<>=!~' else '==' + text}"


def _requirement_file(root: Path, name: str, depth: int = 0) -> Iterator[str]:
    for line in _text(root / name).splitlines():
        words = line.split("#", 1)[0].split()
        if len(words) == 2 and words[0] in ("-r", "--requirement") and depth < 3:
            path = (root / name).parent / words[1]
            if path.resolve().is_relative_to(root.resolve()):
                yield from _requirement_file(root, str(path.relative_to(root)), depth + 1)
        elif words and not words[0].startswith("--"):
            yield line.split(" --hash", 1)[0].split(" #", 1)[0].rstrip("\\ ")


def _tox_lines(root: Path) -> Iterator[str]:
    for line in _ini_value(_ini(root / "tox.ini"), "testenv", "deps").splitlines():
        if line.startswith("-r"):
            yield from _requirement_file(root, line[2:].strip())
        elif "{" not in line and not re.match(
            r"[\w,!-]+:\s", line
        ):  # substitutions, and factors such as "py27: six"
            yield line


def _expand_self(name: str, project: Mapping[str, Any], lines: tuple[str, ...]) -> Iterator[str]:
    """``thisproject[cli]`` in a group means that extra's own lines."""
    for line in lines:
        requirement = _parsed(line)
        if requirement and name and canonicalize_name(requirement.name) == canonicalize_name(name):
            extras = _table(project, "optional-dependencies")
            yield from chain.from_iterable(
                _strings(extras.get(extra)) for extra in sorted(requirement.extras)
            )
        else:
            yield line


def _requirements(lines: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Requirements as their own parser writes them, once each; and the lines that are none, or are links."""
    kept: dict[str, None] = {}
    refused: dict[str, None] = {}
    for line in filter(None, (line.strip() for line in lines)):
        if line.startswith("#"):
            continue
        requirement = _parsed(line)
        if requirement is None or requirement.url:
            refused[line] = None
        else:
            kept[str(requirement)] = None
    return tuple(kept), tuple(refused)


def _parsed(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _requires_python(files: _Files) -> str:
    poetry = str(_table(files.pyproject, "tool", "poetry", "dependencies").get("python", ""))
    found = _table(files.pyproject, "project").get("requires-python") or poetry.replace("^", ">=")
    return str(
        found
        or _ini_value(files.cfg, "options", "python_requires")
        or files.setup.get("python_requires")
        or ""
    )


# Version

VERSION_MODULES = ("__init__.py", "_version.py", "__about__.py", "version.py", "__version__.py")


def _version(root: Path, files: _Files, name: str) -> str:
    """The first that is a version (PEP 440) of what the files say."""
    for candidate in _version_candidates(root, files, name):
        try:
            return str(Version(candidate))
        except InvalidVersion:
            continue
    return UNKNOWN_VERSION


def version_of_tag(tag: str) -> str:
    """``v1.2`` and ``name-1.2`` are 1.2; anything else is the unknown version."""
    found = re.search(r"\d[\w.+!-]*$", tag)
    try:
        return str(Version(found.group())) if found else UNKNOWN_VERSION
    except InvalidVersion:
        return UNKNOWN_VERSION


def _version_candidates(root: Path, files: _Files, name: str) -> Iterator[str]:
    yield str(_table(files.pyproject, "project").get("version", ""))
    yield str(_table(files.pyproject, "tool", "poetry").get("version", ""))
    yield _ini_value(files.cfg, "metadata", "version")
    yield str(files.setup.get("version", ""))
    yield from re.findall(r"^Version: (\S+)$", _text(root / "PKG-INFO"), re.MULTILINE)
    hatch = _table(files.pyproject, "tool", "hatch", "version").get("path")
    if isinstance(hatch, str):
        yield from _assigned_version(root, hatch)
    package = re.sub(r"[-.]+", "_", name)
    for folder in (f"src/{package}", package, f"src/{package.lower()}", package.lower()):
        for module in VERSION_MODULES:
            yield from _assigned_version(root, f"{folder}/{module}")


def _assigned_version(root: Path, name: str) -> Iterator[str]:
    path = root / name
    if path.resolve().is_relative_to(root.resolve()):
        yield from re.findall(
            r"""^(?:__version__|VERSION|version)\b[^=\n]*=\s*["']([^"']+)["']""", _text(path), re.MULTILINE
        )


def _version_files(files: _Files) -> Iterator[str]:
    tool = _table(files.pyproject, "tool")
    scm = _table(tool, "setuptools_scm") or _table(tool, "setuptools-scm")
    use_scm = cast("object", files.setup.get("use_scm_version"))
    found: tuple[object, ...] = (
        scm.get("write_to"),
        scm.get("version_file"),
        cast("dict[str, object]", use_scm).get("write_to") if isinstance(use_scm, dict) else None,
        _table(tool, "hatch", "build", "hooks", "vcs").get("version-file"),
        _table(tool, "hatch", "build", "targets", "wheel", "hooks", "vcs").get("version-file"),
        _table(tool, "pdm", "version").get("write_to"),
        _table(tool, "versioningit", "write").get("file"),
    )
    for name in found:
        if isinstance(name, str) and name.endswith(".py") and _stays_inside(name):
            yield name


def _stays_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _source_folders(root: Path, files: _Files) -> Iterator[str]:
    setuptools = _table(files.pyproject, "tool", "setuptools")
    named = (
        *_strings(_table(setuptools, "packages", "find").get("where")),
        str(_table(setuptools, "package-dir").get("", "")),
        _pairs(_ini_value(files.cfg, "options", "package_dir").splitlines()).get("", ""),
        _ini_value(files.cfg, "options.packages.find", "where"),
        str(_table(files.pyproject, "tool", "maturin").get("python-source", "")),
        "src",
    )
    yield from (name for name in named if name and _stays_inside(name) and (root / name).is_dir())


# Entry points


def _entry_points(files: _Files) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    groups: dict[str, dict[str, str]] = {}
    project = _table(files.pyproject, "project")
    for group, table in (("console_scripts", "scripts"), ("gui_scripts", "gui-scripts")):
        _add_points(groups, group, _table(project, table))
    for group in _table(project, "entry-points"):
        _add_points(groups, group, _table(project, "entry-points", group))
    for group in _table(files.pyproject, "tool", "poetry", "plugins"):
        _add_points(groups, group, _table(files.pyproject, "tool", "poetry", "plugins", group))
    if files.cfg.has_section("options.entry_points"):
        for group, lines in files.cfg.items("options.entry_points"):
            _add_points(groups, group, _pairs(lines.splitlines()))
    setup = cast("object", files.setup.get("entry_points"))
    if isinstance(setup, dict):
        for group, lines in cast("dict[str, object]", setup).items():
            _add_points(groups, group, _pairs(_strings(lines)))
    return tuple((group, tuple(points.items())) for group, points in groups.items())


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    parts = (line.partition("=") for line in lines if "=" in line)
    return {name.strip(): target.strip() for name, _, target in parts}


def _add_points(groups: dict[str, dict[str, str]], group: str, points: Mapping[str, object]) -> None:
    """Only names and targets that fit on a line of ``entry_points.txt``."""
    for name, target in points.items():
        if isinstance(target, str) and not re.search(r"[\n\r\[\]=]", f"{group}{name}") and "\n" not in target:
            groups.setdefault(group, {})[name] = target


NATIVE_BACKENDS = ("maturin", "scikit_build_core", "mesonpy", "setuptools_rust")


def _has_native(root: Path, files: _Files) -> bool:
    backend = str(_table(files.pyproject, "build-system").get("build-backend", ""))
    requires = " ".join(_strings(_table(files.pyproject, "build-system").get("requires")))
    named = any(name in backend or name in requires for name in (*NATIVE_BACKENDS, "Cython", "cython"))
    return named or "ext_modules" in _text(root / "setup.py")
