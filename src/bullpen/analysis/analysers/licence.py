"""Whether a project says on which terms it may be used, says the same everywhere, and keeps to it. No legal advice."""

import asyncio
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

from bullpen.analysis.analysers import _licence_texts
from bullpen.analysis.analysers._licence_texts import (
    PERMISSIVE,
    agree,
    copyleft_header,
    licence_of_classifier,
    licence_of_name,
    licence_of_text,
)
from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import own_version
from bullpen.analysis.where import Role, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_FILE = re.compile(
    r"(?:UN)?LICEN[CS]E(?:[-_.].*)?|COPYING(?:[-_.].*)?|.*[-_.]LICEN[CS]E(?:\.\w+)?", re.IGNORECASE
)
_FOLDERS = ("LICENSES/", "licenses/", "LICENSE/", "license/")
_PACKAGES = ("pyproject.toml", "package.json")
_OTHERS = ("setup.py", "setup.cfg", "go.mod", "Cargo.toml")
_SOURCES = (
    ".py",
    ".pyx",
    ".js",
    ".ts",
    ".jsx",
    ".tsx",
    ".go",
    ".c",
    ".h",
    ".cc",
    ".cpp",
    ".java",
    ".rs",
    ".rb",
    ".sh",
)
_HEAD_BYTES = 3000
_LONGEST = 200_000
_PAGE = "https://choosealicense.com/no-permission/"
_SPDX_PAGE = "https://packaging.python.org/en/latest/guides/licensing-examples-and-user-scenarios/"
_GNU_PAGE = "https://www.gnu.org/licenses/license-compatibility.html"


@dataclass(frozen=True, slots=True)
class _Declared:
    """What a package's metadata says: the licence by its common name, as written, and where."""

    name: str
    written: str
    path: str
    line: int


class Licence:
    """Missing licences, metadata that names another one, and files under terms the project does not pass on."""

    name = "licence"
    reach = Reach.TREE

    def version(self) -> str:
        """Of the files it is made of."""
        return own_version(__file__, str(_licence_texts.__file__))

    def wants(self, path: str) -> bool:
        """Licences and metadata at the top of the tree, and sources of the product."""
        if "/" not in path:
            return _is_licence(path) or path in (*_PACKAGES, *_OTHERS) or path.endswith(_SOURCES)
        return path.startswith(_FOLDERS) or (path.endswith(_SOURCES) and role_of(path) is Role.PRODUCT)

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        return await asyncio.to_thread(lambda: list(_observe(tree, paths)))


def _observe(tree: SourceTree, paths: Sequence[str]) -> Iterator[Observation]:
    texts = [path for path in paths if _is_licence(path) or path.startswith(_FOLDERS)]
    declared = list(_declared(tree, paths))
    package = next((path for path in (*_PACKAGES, *_OTHERS) if path in paths), "")
    if package and not texts and not declared and not _says_in_words(tree, package):
        yield _missing(package)
    held = {licence_of_text(tree.text(path)[:_LONGEST]) for path in texts}
    if len(texts) == 1 and "" not in held:
        yield from (_other(each, texts[0], *held) for each in declared if not agree(each.name, *held))
    terms = held if len(held) == 1 and "" not in held else {each.name for each in declared}
    if len(terms) == 1 and terms <= PERMISSIVE:
        sources = (path for path in paths if path.endswith(_SOURCES))
        yield from (seen for path in sources for seen in _copyleft(tree, path, *terms))


def _is_licence(path: str) -> bool:
    return "/" not in path and not path.endswith(_SOURCES) and _FILE.fullmatch(path) is not None


def _says_in_words(tree: SourceTree, package: str) -> bool:
    """Whether metadata names any licence in whatever form: then somebody has thought of it."""
    return "licen" in tree.text(package)[:_LONGEST].lower()


def _declared(tree: SourceTree, paths: Sequence[str]) -> Iterator[_Declared]:
    for path in _PACKAGES:
        text = tree.text(path) if path in paths else ""
        words = _of_pyproject(text) if path.endswith(".toml") else _of_package_json(text)
        for written, name in words:
            line = next((n for n, each in enumerate(text.split("\n"), start=1) if written in each), 1)
            if name:
                yield _Declared(name, written, path, line)


def _of_pyproject(text: str) -> Iterator[tuple[str, str]]:
    """What is written, and which licence that is."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    project = _table(data.get("project")) or _table(_table(data.get("tool")).get("poetry"))
    licence = project.get("license")
    written = licence if isinstance(licence, str) else _table(licence).get("text")
    if isinstance(written, str) and len(written) < 80:
        yield written, licence_of_name(written)
    classifiers = project.get("classifiers")
    terms = (
        [each for each in cast("list[object]", classifiers) if _is_term(each)]
        if isinstance(classifiers, list)
        else []
    )
    if len(terms) == 1:
        yield str(terms[0]), licence_of_classifier(str(terms[0]))


def _is_term(classifier: object) -> bool:
    return isinstance(classifier, str) and classifier.startswith("License :: ")


def _of_package_json(text: str) -> Iterator[tuple[str, str]]:
    try:
        written = _table(json.loads(text or "null")).get("license")
    except (json.JSONDecodeError, RecursionError):
        return
    if isinstance(written, str):
        yield written, licence_of_name(written)


def _table(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _copyleft(tree: SourceTree, path: str, terms: str) -> Iterator[Observation]:
    with (tree.root / path).open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    for kind, offset in copyleft_header(_comments(head)):
        yield _observed(
            "copyleft-in-permissive",
            f"This file says it is under the GNU {kind}, but the project is offered under {terms}.",
            Severity.MEDIUM,
            Place(path, head.count("\n", 0, offset) + 1),
            _GNU_PAGE,
        )


def _comments(head: str) -> str:
    """The first lines, as long as they are comments, docstrings or empty: where a file states its terms."""
    kept: list[str] = []
    quoted = False
    for line in head.split("\n"):
        plain = line.strip()
        marks = plain.count('"""') + plain.count("'''")
        if not (quoted or not plain or marks or plain.startswith(("#", "//", "/*", "*", "--"))):
            break
        quoted = quoted != (marks % 2 == 1)
        kept.append(line)
    return "\n".join(kept)


def _missing(package: str) -> Observation:
    return _observed(
        "missing",
        "The project does not say on which terms it may be used, so nobody may: there is no licence file.",
        Severity.LOW,
        Place(package, 1),
        _PAGE,
    )


def _other(declared: _Declared, file: str, held: str) -> Observation:
    return _observed(
        "disagrees",
        f"The metadata says {declared.written!r}, but {PurePosixPath(file).name} holds the text of {held}.",
        Severity.MEDIUM,
        Place(declared.path, declared.line),
        _SPDX_PAGE,
    )


def _observed(rule: str, message: str, severity: Severity, place: Place, url: str) -> Observation:
    return Observation(f"licence:{rule}", message, severity, Concern.DEPENDENCY, place, "licence", url=url)


ANALYSER = Licence()
