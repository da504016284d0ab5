"""What installing a project would have left beside its code, made without running its build."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from packaging.version import Version

from bullpen.testing.declared import Declared

VERSION_MODULE = '''"""Generated for a test run."""
__version__ = version = {version!r}
__version_tuple__ = version_tuple = {parts!r}
__commit_id__ = commit_id = None
'''


def write_metadata(folder: Path, declared: Declared) -> Path:
    """A folder with the project's ``.dist-info``, so that ``importlib.metadata`` knows its name and entry points.

    Named by its content below ``folder``, made once; complete or absent, also with several writers.
    """
    name = declared.name.replace("-", "_")
    files = {"METADATA": _core_metadata(declared), "entry_points.txt": _entry_points(declared), "RECORD": ""}
    digest = hashlib.sha256(repr((name, declared.version, files)).encode()).hexdigest()[:16]
    target = folder / digest
    if target.is_dir():
        return target
    partial = folder / f"{digest}.partial-{secrets.token_hex(4)}"
    inner = partial / f"{name}-{declared.version}.dist-info"
    inner.mkdir(parents=True)
    for file, text in files.items():
        (inner / file).write_text(text, encoding="utf-8")
    try:
        partial.rename(target)
    except OSError:  # another was first
        shutil.rmtree(partial)
    return target


def _core_metadata(declared: Declared) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {declared.name}", f"Version: {declared.version}"]
    lines += [f"Requires-Dist: {line}" for line in declared.runtime]
    return "\n".join(lines) + "\n"


def _entry_points(declared: Declared) -> str:
    groups = (
        "\n".join((f"[{group}]", *(f"{name} = {target}" for name, target in points), ""))
        for group, points in declared.entry_points
    )
    return "\n".join(groups)


def version_modules(declared: Declared) -> tuple[tuple[str, str], ...]:
    """The version modules a build would generate: path and text."""
    parsed = Version(declared.version)
    text = VERSION_MODULE.format(version=declared.version, parts=parsed.release)
    return tuple((name, text) for name in declared.version_files)


@contextmanager
def present(workspace: Path, files: Iterable[tuple[str, str]]) -> Generator[None]:
    """Write those files that are missing, and take them away again. Never through a link, never over a file."""
    written = [path for name, text in files if (path := _write_missing(workspace, name, text))]
    try:
        yield
    finally:
        for path in written:
            if path.parent.resolve() == path.parent:
                path.unlink(missing_ok=True)


def _write_missing(workspace: Path, name: str, text: str) -> Path | None:
    path = workspace.resolve() / name
    if path.parent.resolve() != path.parent or not path.parent.is_dir():
        return None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except FileExistsError:
        return None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
