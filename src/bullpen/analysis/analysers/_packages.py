"""Which packages a project asks for and which it has locked, from the files that say so. Nothing is resolved or run.

A line or entry that cannot be understood is passed over: nothing is known of it.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bullpen.analysis.analysers._advisories import Key, package_key
from bullpen.analysis.analysers._versions import PYPI, exact, order, poetry_range

NPM, GO = "npm", "Go"
_REQUIREMENTS = re.compile(r"(?:[\w.-]*[-_.])?requirements(?:[-_.][\w.-]*)?\.(?:txt|in)", re.ASCII)
_LOCKED = re.compile(
    r'^\[\[package\]\]\r?\nname = "(?P<name>[^"\n]+)"\r?\nversion = "(?P<version>[^"\n]+)"'
    r"(?:\r?\nsource = \{ (?P<source>\w+))?",
    re.MULTILINE,
)
_MODULE = re.compile(r"\s*(?P<name>[\w.-]+\.[\w.-]+/[\w./~-]+)\s+v(?P<version>\d[\w.+-]*)", re.ASCII)
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_HASH = re.compile(r"\s--hash[=\s]\S+")
_LONGEST = 1000  # characters of one requirement
_MOST_DIRECT = 2000  # nobody asks for more by hand


@dataclass(frozen=True, slots=True)
class Asked:
    """A package as a file has it. ``version`` is the only one possible, or empty; ``allowed`` is None if not known."""

    package: Key
    path: str
    line: int
    version: str = ""
    allowed: SpecifierSet | None = None
    is_locked: bool = False
    is_conditional: bool = False  # only on some machines or for some versions of Python


Reader = Callable[[str, str], Iterator[Asked]]


def is_requirements(path: str) -> bool:
    """Whether pip would read it as a list of requirements, by its name."""
    pure = PurePosixPath(path)
    in_folder = pure.suffix == ".txt" and pure.parent.name == "requirements"
    return in_folder or _REQUIREMENTS.fullmatch(pure.name) is not None


def reader_of(path: str) -> Reader | None:
    """What reads a file, by its name; None for a file that names no packages."""
    return _requirements if is_requirements(path) else _READERS.get(PurePosixPath(path).name)


def _requirements(path: str, text: str) -> Iterator[Asked]:
    for number, line in _joined(text):
        plain = _HASH.sub("", _COMMENT.sub("", line)).strip()
        if plain and not plain.startswith("-"):
            yield from _asked(path, number, plain)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first, as pip puts them together."""
    start, whole = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        start = start if whole else number
        if line.rstrip("\r").endswith("\\"):
            whole += line.rstrip("\r")[:-1] + " "
            continue
        yield start, whole + line
        whole = ""


def _asked(path: str, line: int, text: str) -> Iterator[Asked]:
    try:
        wanted = Requirement(text) if len(text) <= _LONGEST else None
    except InvalidRequirement:
        return
    if wanted and not wanted.url:
        yield Asked(
            package=package_key(PYPI, wanted.name),
            path=path,
            line=line,
            version=exact(wanted.specifier),
            allowed=wanted.specifier,
            is_conditional=wanted.marker is not None,
        )


def _pyproject(path: str, text: str) -> Iterator[Asked]:
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    for word in islice(_requirement_words(data), _MOST_DIRECT):
        yield from _asked(path, _line_of(text, f'"{word}"', f"'{word}'"), word)
    for name, words in islice(_poetry_words(data), _MOST_DIRECT):
        allowed = poetry_range(words) if len(words) <= _LONGEST else None
        if allowed is not None:
            line = _line_of(text, f"\n{name} =", f"\n{name}=", f'"{name}"')
            yield Asked(package_key(PYPI, name), path, line, exact(allowed), allowed)


def _requirement_words(data: Mapping[str, Any]) -> Iterator[str]:
    project = _table(data.get("project"))
    groups = [
        project.get("dependencies"),
        *_table(project.get("optional-dependencies")).values(),
        *_table(data.get("dependency-groups")).values(),
    ]
    yield from (word for group in groups for word in _list(group) if isinstance(word, str))


def _poetry_words(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    poetry = _table(_table(data.get("tool")).get("poetry"))
    tables = [poetry.get("dependencies"), poetry.get("dev-dependencies")]
    tables += [_table(group).get("dependencies") for group in _table(poetry.get("group")).values()]
    for table in tables:
        for name, asked in _table(table).items():
            words = asked if isinstance(asked, str) else _table(asked).get("version")
            if isinstance(words, str) and name != "python":
                yield name, words


def _line_of(text: str, *words: str) -> int:
    """The line of the first of the words that occurs, else the first of all."""
    found = next((at + len(word) - 1 for word in words if (at := text.find(word)) >= 0), 0)
    return text.count("\n", 0, found) + 1


def _toml_lock(path: str, text: str) -> Iterator[Asked]:
    """``uv.lock`` and ``poetry.lock``, both written by machines in one form; quicker than as TOML."""
    line, seen = 1, 0
    for match in _LOCKED.finditer(text):
        at = match.start("version")
        line, seen = line + text.count("\n", seen, at), at
        if match["source"] in (None, "registry"):
            yield Asked(package_key(PYPI, match["name"]), path, line, match["version"], is_locked=True)


def _pipfile_lock(path: str, text: str) -> Iterator[Asked]:
    data = _json(text)
    lines = _first_lines(text)
    for group in ("default", "develop"):
        for name, entry in _table(data.get(group)).items():
            version = _specifier(_table(entry).get("version"))
            if version:
                line = lines.get(f'"{name}"', 1)
                yield Asked(package_key(PYPI, name), path, line, version, is_locked=True)


def _specifier(words: object) -> str:
    try:
        return exact(SpecifierSet(words)) if isinstance(words, str) else ""
    except InvalidSpecifier:
        return ""


def _package_json(path: str, text: str) -> Iterator[Asked]:
    data = _json(text)
    for group in ("dependencies", "devDependencies", "optionalDependencies"):
        for name, words in islice(_table(data.get(group)).items(), _MOST_DIRECT):
            if isinstance(words, str) and words.count(".") >= 2 and order(NPM, words) is not None:
                line = _line_of(text, f'"{name}": "{words}"', f'"{name}"')
                yield Asked((NPM, name), path, line, words)


def _package_lock(path: str, text: str) -> Iterator[Asked]:
    data = _json(text)
    lines = _first_lines(text)
    packages = _table(data.get("packages"))
    for place, entry in packages.items() or _flat(_table(data.get("dependencies"))):
        version, name = _table(entry).get("version"), place.rpartition("node_modules/")[2]
        if isinstance(version, str) and place and not _table(entry).get("link"):
            shown = place if packages else name
            yield Asked((NPM, name), path, lines.get(f'"{shown}"', 1), version, is_locked=True)


def _first_lines(text: str) -> Mapping[str, int]:
    """By key, quotes included, the first line that opens an object for it."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        key, opens, _ = line.strip().partition(": {")
        if opens:
            found.setdefault(key, number)
    return found


def _flat(dependencies: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The nested form of lock files before npm 7."""
    waiting = [dependencies]
    while waiting:
        for name, entry in waiting.pop().items():
            yield name, entry
            waiting.append(_table(_table(entry).get("dependencies")))


def _go_mod(path: str, text: str) -> Iterator[Asked]:
    lines = [(number, block, line) for number, block, line in _directives(text)]
    replaced = {words[0] for _, block, line in lines if block == "replace" and (words := line.split())}
    for number, block, line in lines:
        match = _MODULE.match(line) if block == "require" else None
        if match and match["name"] not in replaced:
            yield Asked((GO, match["name"]), path, number, match["version"], is_locked=True)


def _directives(text: str) -> Iterator[tuple[int, str, str]]:
    """Number of a line, the directive it belongs to, and the rest of it."""
    block = ""
    for number, line in enumerate(text.split("\n"), start=1):
        word, _, rest = line.strip().partition(" ")
        if block:
            block = "" if word == ")" else block
            yield number, block, line
        elif rest.lstrip().startswith("("):
            block = word
        else:
            yield number, word, rest


def _json(text: str) -> Mapping[str, Any]:
    try:
        return _table(json.loads(text))
    except (json.JSONDecodeError, RecursionError):
        return {}


def _table(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list) else ()


_READERS: Mapping[str, Reader] = {
    "pyproject.toml": _pyproject,
    "uv.lock": _toml_lock,
    "poetry.lock": _toml_lock,
    "Pipfile.lock": _pipfile_lock,
    "package.json": _package_json,
    "package-lock.json": _package_lock,
    "npm-shrinkwrap.json": _package_lock,
    "go.mod": _go_mod,
}
