"""Python installations and virtual environments of this machine, and whether they hold what a project declares."""

import asyncio
import configparser
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import uv
from packaging.markers import UndefinedEnvironmentName, default_environment
from packaging.requirements import Requirement

from bullpen.domain.errors import InvalidInput
from bullpen.sandbox.base import Mount

OWN_FOLDER = "/opt/bullpen/python"
RESERVED = ("/work", "/usr", "/proc", "/dev", "/tmp", "/opt/bullpen")  # noqa: S108 - paths inside the sandbox
ANSWER_SECONDS = 20.0  # an interpreter that takes longer to start is of no use
ASK = "import sys; print(sys.base_prefix); print('%d.%d.%d' % sys.version_info[:3])"


@dataclass(frozen=True, slots=True)
class Installation:
    """A Python installed at ``prefix``; ``version`` such as ``3.12.1``."""

    prefix: Path
    version: str

    @property
    def minor(self) -> str:
        """Such as ``3.12``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.prefix / "bin" / f"python{self.minor}"

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Nothing for the system's own, which every sandbox has."""
        return () if is_below(self.prefix, ("/usr",)) else (Mount(self.prefix, str(self.prefix)),)

    @property
    def mountable(self) -> bool:
        """Whether its own path is free inside the sandbox and it really is a Python, not just a folder named as one."""
        there = (self.prefix / "lib" / f"python{self.minor}" / "os.py").is_file() and self.python.exists()
        return there and (not is_below(self.prefix, RESERVED) or is_below(self.prefix, ("/usr",)))


@dataclass(frozen=True, slots=True)
class VirtualEnvironment:
    """A folder with ``pyvenv.cfg`` on top of an installation."""

    folder: Path
    base: Installation

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return self.folder / "lib" / f"python{self.base.minor}" / "site-packages"

    @property
    def target(self) -> str:
        """Where the sandbox sees it: at its own path if that is free, for its scripts name it."""
        return OWN_FOLDER if is_below(self.folder, RESERVED) else str(self.folder)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Its installation and itself."""
        return (*self.base.mounts, Mount(self.folder, self.target))


def is_below(path: Path, tops: Iterable[str]) -> bool:
    """Whether the path is one of these or below one."""
    return any(path.is_relative_to(top) for top in tops)


def own_installation() -> Installation:
    """The Python that runs Bullpen."""
    return Installation(Path(sys.base_prefix).resolve(), "{}.{}.{}".format(*sys.version_info[:3]))


def own_virtual_environment() -> VirtualEnvironment | None:
    """The virtual environment Bullpen is installed in, if it is in one."""
    return None if sys.prefix == sys.base_prefix else VirtualEnvironment(Path(sys.prefix), own_installation())


def read_virtual_environment(folder: Path) -> VirtualEnvironment | None:
    """A virtual environment as its files tell, None when there is none or its installation is not there.

    A repository may hold a forged one: nothing of it is run, and what it calls its installation must be one.
    """
    try:
        text = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string("[venv]\n" + text)
    except (OSError, UnicodeDecodeError, configparser.Error):
        return None
    values = parser["venv"]
    version = re.match(r"\d+\.\d+(\.\d+)?", values.get("version", "") or values.get("version_info", ""))
    home = values.get("home", "")
    if not version or not home:
        return None
    base = _mountable(str(Path(home).resolve().parent), version.group())
    return VirtualEnvironment(folder.resolve(), base) if base else None


async def require_interpreter(wanted: str, cwd: Path) -> None:
    """Refuse what is no Python the sandbox could use, before any work begins.

    Args:
        wanted: a version such as ``3.12``, or the path of an interpreter.
        cwd: a folder of ours.

    Raises:
        InvalidInput: what is wrong with it, and what to name instead.
    """
    path = Path(wanted)
    if "/" in wanted and (problem := await asyncio.to_thread(_no_interpreter, path)):
        raise InvalidInput(f"{wanted} cannot run the tests: {problem}.", remedy=_NAME_ANOTHER)
    venv = read_virtual_environment(path.parent.parent) if "/" in wanted else None
    found = await _ask(wanted) if venv else await find_installation(wanted, cwd)
    if found is None:
        what = "is no Python that the sandbox could use" if "/" in wanted else "is no Python of this machine"
        raise InvalidInput(f"{wanted} {what}.", remedy=_NAME_ANOTHER)


_NAME_ANOTHER = (
    "Name an interpreter (--python /usr/bin/python3, or a virtual environment's bin/python) or a version "
    "(--python 3.12), or leave --python and BULLPEN_PYTHON out."
)


def _no_interpreter(path: Path) -> str:
    """What speaks against a path before it is run; nothing if it may be tried."""
    if path.is_dir():
        inside = path / "bin" / "python"
        return "it is a folder" + (f"; its interpreter is {inside}" if inside.exists() else "")
    if not path.exists():
        return "there is no such file"
    return "" if path.is_file() and os.access(path, os.X_OK) else "it is not a program"


async def find_installation(wanted: str, cwd: Path) -> Installation | None:
    """The Python of this machine called ``3.12`` or at this path; nothing is downloaded."""
    arguments = ("python", "find", "--no-python-downloads", "--no-project", "--system", wanted)
    status, stdout, _ = await run_uv(arguments, cwd)
    path = stdout.decode("utf-8", "surrogateescape").strip()
    return await _ask(path) if status == 0 and path else None


async def other_installations(cwd: Path) -> AsyncIterator[Installation]:
    """Every Python uv finds on this machine, newest first, each once."""
    arguments = ("python", "list", "--only-installed", "--no-python-downloads", "--output-format", "json")
    status, stdout, _ = await run_uv(arguments, cwd)
    seen: set[Path] = set()
    for path in _listed(stdout) if status == 0 else ():
        found = await _ask(path)
        if found and found.prefix not in seen:
            seen.add(found.prefix)
            yield found


def _listed(stdout: bytes) -> Iterator[str]:
    for entry in json.loads(stdout or b"[]"):
        if entry.get("implementation") == "cpython" and entry.get("path"):
            yield str(entry["path"])


async def _ask(path: str) -> Installation | None:
    """Ask an interpreter the operator installed; without site, so that no package's code runs.

    None for a program that is no Python, cannot be started or does not answer.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(path, "-I", "-S", "-c", ASK),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            stdout, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = os.fsdecode(stdout).splitlines()
    if process.returncode or len(lines) != 2:
        return None
    return _mountable(lines[0], lines[1])


def _mountable(prefix: str, version: str) -> Installation | None:
    found = Installation(Path(prefix).resolve(), version)
    return found if found.mountable else None


async def run_uv(arguments: Iterable[str], cwd: Path, seconds: float = 600.0) -> tuple[int, bytes, bytes]:
    """Run uv from a folder of ours, so that no repository configures it. Status 124 means it took too long."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    process = await asyncio.create_subprocess_exec(
        *(uv.find_uv_bin(), "--no-progress", "--color", "never", *arguments),
        cwd=cwd,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr = await process.communicate()
    except TimeoutError:
        return 124, b"", b"uv took too long"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, stdout, stderr


def unsatisfied(requirements: Iterable[str], site_packages: Path, version: str) -> tuple[str, ...]:
    """The requirements that the packages in this folder do not meet, by their metadata alone."""
    wanted = {line: Requirement(line) for line in requirements}
    return tuple(line for line, one in wanted.items() if not _is_met(one, site_packages, version))


def applies(requirement: Requirement, version: str) -> bool:
    """Whether its marker holds for this version of Python on this machine."""
    environment = {
        **default_environment(),
        "python_version": ".".join(version.split(".")[:2]),
        "python_full_version": version,
        "extra": "",
    }
    try:
        return requirement.marker is None or requirement.marker.evaluate(
            {k: str(v) for k, v in environment.items()}
        )
    except UndefinedEnvironmentName:
        return True


def _is_met(requirement: Requirement, site_packages: Path, version: str) -> bool:
    if not applies(requirement, version):
        return True
    found = next(iter(distributions(name=requirement.name, path=[str(site_packages)])), None)
    version_found = (found and found.version) or ""  # of a broken one there is no version
    return bool(version_found) and requirement.specifier.contains(version_found, prereleases=True)
