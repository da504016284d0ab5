"""Find or make an interpreter with what a project's tests need. No build of the project or of a dependency ever runs.

In this order: the interpreter asked for, the checkout's own virtual environment, the active one, Bullpen's own
interpreter when it holds all that is declared, an environment made from wheels and kept under ``home``.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import sysconfig
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bullpen.sandbox.base import Command, Limits, Mount, Sandbox
from bullpen.testing.base import Environment
from bullpen.testing.declared import UNKNOWN_VERSION, Declared, read_declared, version_of_tag
from bullpen.testing.interpreters import (
    OWN_FOLDER,
    Installation,
    VirtualEnvironment,
    applies,
    find_installation,
    other_installations,
    own_installation,
    own_virtual_environment,
    read_virtual_environment,
    run_uv,
    unsatisfied,
)
from bullpen.testing.project_metadata import version_modules, write_metadata

PROJECT_FOLDER = "/opt/bullpen/project"
WORKSPACE = "/work"
FORMAT = "1"  # part of every key: raise it when the layout of made environments changes
PROOF = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pytest') is None)"
OFFLINE_SIGNS = (
    "error sending request",
    "Failed to fetch",
    "dns error",
    "Could not connect",
    "Network connectivity",
)

OWN_PACKAGES = Path(sysconfig.get_path("purelib"))

Progress = Callable[[str], None]


async def prepare_environment(
    root: Path,
    home: Path,
    sandbox: Sandbox,
    wanted_python: str | None = None,
    on_progress: Progress = lambda text: None,
    *,
    checkout: Path | None = None,
    active: Path | None = None,
) -> Environment:
    """An environment that was seen to work in this sandbox, or as a last resort Bullpen's own with notes that say why.

    Args:
        root: the tree whose tests will run; only read.
        home: where made environments are kept; shared by processes.
        wanted_python: a version such as ``3.12``, or the path of an interpreter.
        on_progress: told one line before each thing that may take long.
        checkout: the user's own working copy, whose ``.venv`` or ``venv`` may be used, read-only.
        active: a virtual environment to consider, by default the one named by ``VIRTUAL_ENV``.
    """
    declared = await asyncio.to_thread(read_declared, root)
    declared = (
        replace(declared, version=await _tagged_version(root)) if _lacks_version(declared) else declared
    )
    folder = home / "environments"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    notes: list[str] = []
    active = active or (Path(os.environ["VIRTUAL_ENV"]) if os.environ.get("VIRTUAL_ENV") else None)
    async for candidate in _candidates(
        declared, folder, wanted_python, (checkout, active), notes, on_progress
    ):
        if await _works(candidate, sandbox):
            return await asyncio.to_thread(_completed, candidate, declared, folder, notes)
        notes.append(f"{candidate.origin} does not work in the sandbox, or has no pytest.")
    notes.append(
        "No environment with the project's dependencies could be had; Bullpen's own is used without them."
    )
    return await asyncio.to_thread(_completed, own_environment(), declared, folder, notes)


def own_environment() -> Environment:
    """Bullpen's own interpreter with the packages installed beside it."""
    own = own_virtual_environment()
    if own:
        return _of_virtual_environment(own, "Bullpen's own interpreter")
    base = own_installation()
    return Environment(
        "Bullpen's own interpreter", str(base.python), base.mounts, (f"{WORKSPACE}/src", WORKSPACE)
    )


async def _candidates(
    declared: Declared,
    folder: Path,
    wanted: str | None,
    places: tuple[Path | None, Path | None],
    notes: list[str],
    on_progress: Progress,
) -> AsyncIterator[Environment]:
    if wanted:
        async for candidate in _wanted(declared, folder, wanted, notes, on_progress):
            yield candidate
        return
    for candidate in _existing(declared, *places, notes):
        yield candidate
    async for base in _bases(declared, folder):
        made = await _made(declared, base, folder, notes, on_progress)
        if made:
            yield made
        if notes and notes[-1].startswith("Packages cannot be fetched"):
            return


async def _wanted(
    declared: Declared, folder: Path, wanted: str, notes: list[str], on_progress: Progress
) -> AsyncIterator[Environment]:
    venv = read_virtual_environment(Path(wanted).parent.parent) if "/" in wanted else None
    if venv:
        yield _of_virtual_environment(venv, f"The interpreter asked for, {wanted}")
        return
    base = await find_installation(wanted, folder)
    if base is None:
        notes.append(f"There is no Python {wanted} on this machine that the sandbox could use.")
        return
    made = await _made(declared, base, folder, notes, on_progress)
    if made:
        yield made


def _existing(
    declared: Declared, checkout: Path | None, active: Path | None, notes: list[str]
) -> Iterable[Environment]:
    """Those already on the machine whose packages meet what is declared."""
    places = [(checkout / name, "The checkout's own environment") for name in (".venv", "venv") if checkout]
    places += [(active, "The active environment")] if active else []
    for place, origin in places:
        venv = read_virtual_environment(place)
        if venv and (lacking := _lacking(declared, venv.site_packages, venv.base.version)):
            notes.append(f"{origin} lacks {', '.join(lacking)}.")
        elif venv:
            yield _of_virtual_environment(venv, f"{origin}, {place}")
    if not _lacking(declared, OWN_PACKAGES, own_installation().version):
        yield _without_undeclared_plugins(own_environment(), declared)


def _without_undeclared_plugins(environment: Environment, declared: Declared) -> Environment:
    """Bullpen's environment may hold plugins of pytest that the project never asked for."""
    names = {canonicalize_name(Requirement(line).name) for line in (*declared.runtime, *declared.testing)}
    undeclared = (
        point.name
        for package in distributions(path=[str(OWN_PACKAGES)])
        for point in package.entry_points.select(group="pytest11")
        if canonicalize_name(package.name) not in names  # last, for reading a package's name takes longest
    )
    options = " ".join(f"-p no:{name}" for name in sorted(undeclared))
    return replace(environment, variables=(("PYTEST_ADDOPTS", options),)) if options else environment


def _lacking(declared: Declared, site_packages: Path, version: str) -> tuple[str, ...]:
    if not declared.accepts(version):
        return (f"a Python that {declared.requires_python} allows",)
    return unsatisfied((*declared.runtime, *_with_pytest(declared)), site_packages, version)


async def _bases(declared: Declared, folder: Path) -> AsyncIterator[Installation]:
    """Bullpen's own Python first, then the others that the project allows."""
    own = own_installation()
    if own.mountable and declared.accepts(own.version):
        yield own
    async for other in other_installations(folder):
        if other != own and declared.accepts(other.version):
            yield other


def _of_virtual_environment(venv: VirtualEnvironment, origin: str) -> Environment:
    return Environment(origin, f"{venv.target}/bin/python", venv.mounts, (f"{WORKSPACE}/src", WORKSPACE))


async def _works(environment: Environment, sandbox: Sandbox) -> bool:
    """Seen by starting it and looking for pytest."""
    limits = Limits(wall_seconds=30)
    argv = (environment.python, "-I", "-c", PROOF)
    return (await sandbox.run(Command(argv, cwd="/", mounts=environment.mounts, limits=limits))).ok


def _completed(environment: Environment, declared: Declared, folder: Path, notes: list[str]) -> Environment:
    """With the project itself: its import paths, its metadata, its generated modules, and what is to be said."""
    imports = tuple(f"{WORKSPACE}/{name}".removesuffix("/.") for name in declared.source_folders)
    said = list(notes)
    if declared.native:
        said.append("The project has native extensions; they were not built, so tests that need them fail.")
    if declared.left_out:
        said.append(
            "Left out, for only packages by name are installed: " + ", ".join(declared.left_out) + "."
        )
    mounts = environment.mounts
    if declared.name:
        mounts = (*mounts, Mount(write_metadata(folder / "metadata", declared), PROJECT_FOLDER))
        imports = (*imports, PROJECT_FOLDER)
    return replace(
        environment, mounts=mounts, import_paths=imports, files=version_modules(declared), notes=tuple(said)
    )


# The version of a project that takes it from git


def _lacks_version(declared: Declared) -> bool:
    return declared.version == UNKNOWN_VERSION and bool(declared.name)


async def _tagged_version(root: Path) -> str:
    """The nearest tag that is a version; the repository's own configuration cannot make git run anything."""
    process = await asyncio.create_subprocess_exec(
        *("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(root)),
        *("describe", "--tags", "--abbrev=0"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    stdout, _ = await process.communicate()
    return version_of_tag(stdout.decode("utf-8", "replace").strip())


# Environments Bullpen makes


async def _made(
    declared: Declared, base: Installation, folder: Path, notes: list[str], on_progress: Progress
) -> Environment | None:
    """One made before, or made now; None with a note when its packages cannot be had."""
    lines = tuple(
        sorted(
            line
            for line in {*declared.runtime, *_with_pytest(declared)}
            if applies(Requirement(line), base.version)
        )
    )
    key = hashlib.sha256(json.dumps([FORMAT, str(base.prefix), base.version, lines]).encode()).hexdigest()[
        :24
    ]
    target = folder / key
    async with _lock(folder / f"{key}.lock"):
        if not target.is_dir():
            on_progress(f"Installing {len(lines)} packages for Python {base.minor}, wheels only")
            problem = await _install(lines, base, target)
            if problem:
                notes.append(problem)
                return None
    notes.extend(json.loads((target / "notes.json").read_text(encoding="utf-8")))
    mounts = (*base.mounts, Mount(target, OWN_FOLDER))
    return Environment(
        f"An environment made by Bullpen, Python {base.version}", f"{OWN_FOLDER}/bin/python", mounts
    )


def _with_pytest(declared: Declared) -> tuple[str, ...]:
    names = {canonicalize_name(Requirement(line).name) for line in (*declared.runtime, *declared.testing)}
    return declared.testing if "pytest" in names else (*declared.testing, "pytest")


async def _install(lines: tuple[str, ...], base: Installation, target: Path) -> str:
    """Install into a folder of its own and rename it when complete. Returns the problem, or nothing."""
    partial = target.with_name(f"{target.name}.partial-{secrets.token_hex(4)}")
    await asyncio.to_thread(_write_skeleton, partial, base)
    try:
        notes, problem = await _fill(lines, base, partial)
        if problem:
            return problem
        await asyncio.to_thread(_finish, partial, base, notes)
        partial.rename(target)
    finally:
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
    return ""


async def _fill(lines: tuple[str, ...], base: Installation, partial: Path) -> tuple[tuple[str, ...], str]:
    """All at once, without what is said to have no wheel; if that cannot be, one by one. Returns notes, and the problem."""
    notes: list[str] = []
    left = list(lines)
    while problem := await _uv_install(tuple(left), base, partial):
        culprits = [line for line in left if _lacks_wheel(line, problem)]
        if not culprits or culprits == left:
            break
        notes += [f"{line} was left out: there is no wheel of it for this Python." for line in culprits]
        left = [line for line in left if line not in culprits]
    else:
        return tuple(notes), ""
    return await _fill_one_by_one(lines, base, partial, problem)


def _lacks_wheel(line: str, problem: str) -> bool:
    """Whether uv names this requirement as one that it finds no wheel for."""
    named = re.findall(r"Wheels are required for `([^`]+)`", " ".join(problem.split()))
    return canonicalize_name(Requirement(line).name) in map(canonicalize_name, named)


async def _fill_one_by_one(
    lines: tuple[str, ...], base: Installation, partial: Path, problem: str
) -> tuple[tuple[str, ...], str]:
    notes: list[str] = []
    for line in sorted(lines, key=lambda line: not line.startswith("pytest")):
        if _is_offline(problem):
            return (), f"Packages cannot be fetched: {_last_line(problem)}"
        problem = await _uv_install((line,), base, partial)
        if problem:
            notes.append(f"{line} was left out: {_last_line(problem)}")
    return tuple(notes), ""


async def _uv_install(lines: tuple[str, ...], base: Installation, partial: Path) -> str:
    """Installs below a prefix with the installation's interpreter: no installed package's code runs here.

    A virtual environment as the target would be started by uv, and with it every ``.pth`` file in it.
    """
    wanted = partial / "requirements.txt"
    await asyncio.to_thread(wanted.write_text, "\n".join(lines) + "\n", encoding="utf-8")
    arguments = (
        *("pip", "install", "--python", str(base.python), "--prefix", str(partial), "--only-binary", ":all:"),
        *("--no-config", "--no-sources", "--compile-bytecode", "--link-mode", "copy", "-r", str(wanted)),
    )
    status, _, stderr = await run_uv(arguments, partial)
    return stderr.decode("utf-8", "replace") or "uv failed" if status else ""


def _is_offline(problem: str) -> bool:
    return any(sign in problem for sign in OFFLINE_SIGNS)


def _last_line(text: str) -> str:
    lines = [line.strip(" ×╰─▶│├") for line in text.splitlines() if line.strip()]
    return " ".join(lines)[-300:]


def _write_skeleton(partial: Path, base: Installation) -> None:
    """What ``python -m venv`` would write, without running anything."""
    (partial / "bin").mkdir(parents=True)
    (partial / "lib" / f"python{base.minor}" / "site-packages").mkdir(parents=True)
    text = f"home = {base.prefix}/bin\ninclude-system-site-packages = false\nversion = {base.version}\n"
    (partial / "pyvenv.cfg").write_text(text, encoding="utf-8")
    for name in ("python", "python3", f"python{base.minor}"):
        (partial / "bin" / name).symlink_to(base.python)


def _finish(partial: Path, base: Installation, notes: tuple[str, ...]) -> None:
    """Scripts name the interpreter as the sandbox will see it; all may read."""
    first = f"#!{base.python}".encode()
    for script in (partial / "bin").iterdir():
        content = script.read_bytes() if script.is_file() and not script.is_symlink() else b""
        if content.startswith(first):
            script.write_bytes(f"#!{OWN_FOLDER}/bin/python".encode() + content[len(first) :])
    (partial / "notes.json").write_text(json.dumps(notes), encoding="utf-8")


@asynccontextmanager
async def _lock(path: Path) -> AsyncGenerator[None]:
    """One maker at a time, over processes; waiting can be cancelled."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
