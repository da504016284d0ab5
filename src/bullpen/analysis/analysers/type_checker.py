"""Types that do not fit, by mypy, where the project itself has configured mypy; ``# type: ignore`` is honoured.

The project's settings hold, but for what would run its code (plugins) or complain of packages that are not installed
here. What is imported from outside counts as known to be right.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ValidationError

from bullpen.analysis.analysers import _mypy_settings
from bullpen.analysis.analysers._mypy_settings import FILES, Settings, as_file, listed, read_settings
from bullpen.analysis.base import AnalyserFailed, Reach, SourceTree
from bullpen.analysis.tools import (
    names_back,
    own_version,
    python_module,
    run_tool,
    tool_version,
)
from bullpen.analysis.where import Role, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Mount, Outcome, Sandbox

_INSIDE = "/opt/settings"
_OPTIONS = (
    *(
        "--no-incremental",
        "--cache-dir=/dev/null",
        "--ignore-missing-imports",
        "--no-site-packages",
        "--no-color-output",
    ),
    *(
        "--output=json",
        "--no-error-summary",
        "--show-column-numbers",
        "--no-warn-unused-configs",
        "--no-warn-unused-ignores",
    ),
)
# What depends on packages that may not be here, or is of no weight by itself.
_UNKNOWN = frozenset(
    {
        *(
            "import",
            "import-untyped",
            "import-not-found",
            "no-any-return",
            "no-any-unimported",
            "untyped-decorator",
        ),
        *(
            "unused-ignore",
            "misc",
            "annotation-unchecked",
            "ignore-without-code",
            "redundant-cast",
            "deprecated",
        ),
    }
)
_MILD = frozenset(
    {"no-untyped-def", "no-untyped-call", "type-arg", "var-annotated", "no-redef", "unreachable"}
)
_SYNTAX = "syntax"
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)  # what needs no quoting in mypy's settings


class _Error(BaseModel):
    """A line of mypy's output."""

    file: str
    line: int
    column: int
    message: str
    code: Annotated[str, BeforeValidator(lambda value: value or "")]
    severity: str


class TypeChecker:
    """See the module."""

    name = "type-checker"
    reach = Reach.TREE

    def version(self) -> str:
        """Of mypy and of the files it is made of."""
        return f"{tool_version('mypy', __file__)} {own_version(str(_mypy_settings.__file__))}"

    def wants(self, path: str) -> bool:
        """Python sources, stubs, and the files mypy is configured in."""
        return path.endswith((".py", ".pyi")) or path in FILES

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        read = (read_settings(file, tree.text(file)) for file in FILES if file in paths)
        settings = next((each for each in read if each is not None), None)
        targets = _targets(settings, paths) if settings else []
        if not settings or not targets or _has_own_plugin(settings, paths):
            return []
        with tempfile.TemporaryDirectory() as folder:
            await asyncio.to_thread(_write, Path(folder), as_file(settings, targets))
            argv = [*python_module("mypy"), f"--config-file={_INSIDE}/mypy.ini", *_OPTIONS]
            mount = Mount(Path(folder), _INSIDE)
            outcome = await run_tool(sandbox, tree, argv, statuses=frozenset({0, 1, 2}), mounts=(mount,))
        return list(_observe(outcome, names_back(paths)))


def _targets(settings: Settings, paths: Sequence[str]) -> list[str]:
    """What the project has checked; if it does not say, its packages."""
    asked = [*listed(settings, "files"), *(_folder_of(each, paths) for each in listed(settings, "packages"))]
    return asked or sorted(place for place in _packages(paths) if _PLAIN.fullmatch(place))


def _packages(paths: Sequence[str]) -> Iterator[str]:
    """Folders of packages of the product, at the top or in ``src``."""
    for path in paths:
        place, _, name = path.rpartition("/")
        outermost = place.count("/") == (1 if place.startswith("src/") else 0)
        if name == "__init__.py" and place and outermost and role_of(path) is Role.PRODUCT:
            yield place


def _folder_of(package: str, paths: Sequence[str]) -> str:
    place = package.replace(".", "/")
    return next((f"{top}{place}" for top in ("", "src/") if f"{top}{place}/__init__.py" in paths), place)


def _has_own_plugin(settings: Settings, paths: Sequence[str]) -> bool:
    """Whether types only fit with a plugin of the tree itself, which we do not run. Of packages we know nothing anyway."""
    tops = {part for path in paths for part in path.split("/")[:2]}
    plugins = listed(settings, "plugins")
    return any(plugin.endswith(".py") or "/" in plugin or plugin.split(".")[0] in tops for plugin in plugins)


def _write(folder: Path, text: str) -> None:
    folder.chmod(0o755)  # the sandbox's user is another one
    (folder / "mypy.ini").write_text(text, "utf-8", "surrogateescape")


def _observe(outcome: Outcome, names: Mapping[str, str]) -> Iterator[Observation]:
    """mypy gives up on the whole tree over a file it cannot parse; other tools speak of that."""
    errors = list(_errors(outcome))
    gave_up = outcome.exit_status == 2
    if gave_up and not any(error.code == _SYNTAX for error in errors):
        said = (outcome.stderr or outcome.stdout).decode("utf-8", "replace").strip().splitlines() or [
            "it said nothing"
        ]
        raise AnalyserFailed(f"mypy gave up: {said[-1][:300]}")
    for error in errors:
        if error.severity == "error" and error.code not in {*_UNKNOWN, _SYNTAX, ""} and error.file in names:
            yield _observation(error, names[error.file])


def _errors(outcome: Outcome) -> Iterator[_Error]:
    for line in outcome.stdout.splitlines():
        if line.startswith(b"{"):
            try:
                yield _Error.model_validate(json.loads(line))
            except (json.JSONDecodeError, ValidationError) as error:
                raise AnalyserFailed(f"mypy printed a line that is not as agreed: {line[:200]!r}.") from error


def _observation(error: _Error, path: str) -> Observation:
    mild = error.code in _MILD or role_of(path) is not Role.PRODUCT
    return Observation(
        rule=f"type-checker:{error.code}",
        message=f"{error.message.rstrip('.')}.",
        severity=Severity.LOW if mild else Severity.MEDIUM,
        concern=Concern.MAINTAINABILITY if error.code in _MILD else Concern.QA,
        place=Place(path, max(error.line, 1), max(error.column, 0) + 1),
        analyser="type-checker",
        url=f"https://mypy.readthedocs.io/en/stable/_refs.html#code-{error.code}",
    )


ANALYSER = TypeChecker()
