"""Control groups, version 1 (one folder per controller) and version 2 (one folder): limits that hold for a whole tree
of processes. Source: the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bullpen.sandbox.base import Limits
from bullpen.sandbox.linux.owners import is_dead

_PREFIX = "bullpen-"
_NEEDED = ("memory", "pids")
_USED = ("memory", "pids", "cpu", "cpuacct")  # cpuacct: version 1 only, where usage is counted apart
_PERIOD_US = 100_000
_LAUNCHER_PROCESSES = 1  # the first process of the new PID namespace
_UNLIMITED = "max"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Folders in which this process may make groups, by controller; version 2 has the same folder for each."""

    version: int
    parents: dict[str, Path]

    @property
    def limits_cpu(self) -> bool:
        """Whether the share of the processors can be limited."""
        return "cpu" in self.parents


@dataclass(frozen=True, slots=True)
class Group:
    """One run's group: its folders by controller."""

    version: int
    folders: dict[str, Path]


def find_hierarchy() -> Hierarchy | None:
    """Where groups with memory and process limits can be made, tried by making one; None where nowhere."""
    own = _own_folders()
    for found in (_version1(own), _version2(own)):
        if found is not None:
            _sweep(found)
            return found
    return None


def make_group(hierarchy: Hierarchy, limits: Limits) -> Group:
    """A new group with these limits.

    Raises:
        OSError: the kernel refused; nothing is left behind.
    """
    name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    group = Group(hierarchy.version, {key: parent / name for key, parent in hierarchy.parents.items()})
    try:
        for folder in dict.fromkeys(group.folders.values()):
            folder.mkdir()
        _write_limits(group, limits)
    except OSError:
        _remove_folders(group)
        raise
    return group


def join(group: Group, pid: int) -> None:
    """Move a process into the group; what it starts later is born there.

    The kernel may let this wait some milliseconds (an RCU grace period): call it off the loop's thread.

    Raises:
        OSError: the process has ended, or may not be moved.
    """
    for folder in dict.fromkeys(group.folders.values()):
        (folder / "cgroup.procs").write_text(str(pid))


def out_of_memory(group: Group) -> bool:
    """Whether the kernel killed a process of the group for want of memory."""
    file = "memory.oom_control" if group.version == 1 else "memory.events"
    return _field(group.folders["memory"] / file, "oom_kill") > 0


def peak_memory(group: Group) -> int:
    """Most bytes in use at once, page cache included; 0 where the kernel (version 2 before 5.19) does not say."""
    file = "memory.max_usage_in_bytes" if group.version == 1 else "memory.peak"
    return _number(group.folders["memory"] / file)


def cpu_seconds(group: Group) -> float:
    """Processor time used by all processes of the group, dead ones included; 0.0 where it is not counted."""
    if group.version == 2:
        return _field(group.folders["memory"] / "cpu.stat", "usage_usec") / 1e6
    return _number(group.folders["cpuacct"] / "cpuacct.usage") / 1e9 if "cpuacct" in group.folders else 0.0


def kill_group(group: Group) -> None:
    """Send SIGKILL to every process in the group."""
    if group.version == 2 and _try_write(group.folders["memory"] / "cgroup.kill", "1"):
        return
    with contextlib.suppress(FileNotFoundError):
        for pid in (group.folders["pids"] / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(pid), 9)


async def remove_group(group: Group) -> None:
    """Remove the folders; the kernel may need a moment after the last process's death."""
    for pause in (0, 0.002, 0.005, 0.02, 0.1, 0.5, 1):
        await asyncio.sleep(pause)
        if _remove_folders(group):
            return
        kill_group(group)


def _write_limits(group: Group, limits: Limits) -> None:
    memory, pids = group.folders["memory"], group.folders["pids"]
    (pids / "pids.max").write_text(str(limits.processes + _LAUNCHER_PROCESSES))
    if group.version == 1:
        (memory / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
        _try_write(memory / "memory.memsw.limit_in_bytes", str(limits.memory_bytes))
    else:
        (memory / "memory.max").write_text(str(limits.memory_bytes))
        _try_write(memory / "memory.swap.max", "0")
        _try_write(memory / "memory.oom.group", "1")
    if "cpu" in group.folders:
        _write_cpu(group, max(1_000, int(limits.cpus * _PERIOD_US)))


def _write_cpu(group: Group, quota_us: int) -> None:
    cpu = group.folders["cpu"]
    if group.version == 1:
        (cpu / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (cpu / "cpu.cfs_quota_us").write_text(str(quota_us))
    else:
        (cpu / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")


def _remove_folders(group: Group) -> bool:
    gone = True
    for folder in dict.fromkeys(group.folders.values()):
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            gone = False
    return gone


async def sweep(hierarchy: Hierarchy) -> None:
    """Remove groups left by processes that were killed; what is dying in them is waited for, for a moment."""
    for pause in (0, 0.01, 0.05, 0.2, 0.5, 1):
        await asyncio.sleep(pause)
        if not any(_is_of_this_namespace(folder) for folder in _sweep(hierarchy)):
            return


def _sweep(hierarchy: Hierarchy) -> list[Path]:
    """Remove empty groups left by processes that were killed; those that could not be removed."""
    left: list[Path] = []
    for parent in dict.fromkeys(hierarchy.parents.values()):
        for folder in parent.glob(f"{_PREFIX}*-*"):
            owner = folder.name.removeprefix(_PREFIX).split("-")[0]
            if owner.isdigit() and is_dead(owner):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    continue  # somebody else sweeps, too
                except OSError:
                    left.append(folder)
    return left


def _is_of_this_namespace(folder: Path) -> bool:
    """Whether its owner was a process whose id means the same here: to others its processes have the id 0."""
    try:
        return "0" not in (folder / "cgroup.procs").read_text().split()
    except OSError:
        return False


def _own_folders() -> dict[str, tuple[Path, Path]]:
    """(mount point, own folder) by controller of version 1; version 2 under the empty name."""
    paths = _own_paths()
    found: dict[str, tuple[Path, Path]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _source, options = right.split(" ", 2)
        root, mount_point = (_unescape(field) for field in left.split(" ")[3:5])
        names = {"cgroup": options.split(","), "cgroup2": [""]}.get(kind, [])
        for name in (name for name in names if name in paths):
            inside = paths[name].removeprefix(root.rstrip("/")).lstrip("/")
            found[name] = (Path(mount_point), Path(mount_point, inside))
    return found


def _own_paths() -> dict[str, str]:
    """Path of this process's group by controller; version 2 under the empty name."""
    paths: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _version1(own: dict[str, tuple[Path, Path]]) -> Hierarchy | None:
    parents = {name: own[name][1] for name in _USED if name in own and os.access(own[name][1], os.W_OK)}
    return _usable(Hierarchy(1, parents))


def _version2(own: dict[str, tuple[Path, Path]]) -> Hierarchy | None:
    """The nearest group, from this process's upwards, that may have limited groups below it."""
    if "" not in own:
        return None
    top, folder = own[""]
    upwards = (folder, *(above for above in folder.parents if above.is_relative_to(top)))
    for number, parent in enumerate(upwards):
        _pass_down(reversed(upwards[number:]))
        found = _below(parent)
        if found is not None:
            return found
    return None


def _pass_down(folders: Iterable[Path]) -> None:
    """Ask each group, from the top, to let its children have the controllers; where we may not, it stays as it is."""
    for folder in folders:
        for name in _USED:
            _try_write(folder / "cgroup.subtree_control", f"+{name}")


def _below(parent: Path) -> Hierarchy | None:
    if not (os.access(parent, os.W_OK) and os.access(parent / "cgroup.procs", os.W_OK)):
        return None
    enabled = (parent / "cgroup.subtree_control").read_text().split()
    return _usable(Hierarchy(2, {name: parent for name in _USED if name in enabled}))


def _usable(hierarchy: Hierarchy) -> Hierarchy | None:
    if not all(name in hierarchy.parents for name in _NEEDED):
        return None
    try:
        group = make_group(hierarchy, Limits())
    except OSError:
        return None
    _remove_folders(group)
    return hierarchy


def _field(file: Path, name: str) -> int:
    lines = file.read_text().splitlines() if file.exists() else []
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)


def _number(file: Path) -> int:
    text = file.read_text().strip() if file.exists() else "0"
    return 0 if text == _UNLIMITED else int(text)


def _try_write(file: Path, text: str) -> bool:
    try:
        file.write_text(text)
    except OSError:
        return False
    return True


def _unescape(field: str) -> str:
    """Mount tables write space, tab, newline and backslash as three octal digits."""
    return field.encode("latin-1", "replace").decode("unicode_escape") if "\\" in field else field
