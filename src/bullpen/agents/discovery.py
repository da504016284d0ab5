"""Which agents there are beside the roster: programs and addresses with a manifest, found in folders.

A folder may hold ``NAME`` (an executable that carries its manifest in comments), ``NAME.yaml`` or ``NAME.toml`` beside
the program it names, and ``NAME/agent.yaml`` or ``NAME/agent.toml`` with whatever the agent needs around it.

A folder of the person who runs Bullpen is trusted. One of a repository is not: it may only bring scripts, never under a
name that is taken, with limits no higher than the default. What is faulty is set aside with its reason; the others load.
"""

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.agents.manifest import (
    DEFAULT_LIMITS,
    AgentLimits,
    Manifest,
    lower_limits,
    parse_embedded,
    parse_manifest,
)
from bullpen.agents.registry import Quarantined
from bullpen.domain.errors import BullpenError, InvalidInput, NotFound, PermissionRefused
from bullpen.tools.workspace import read_bytes

AGENT_FOLDER = "/opt/agent"  # where an agent's own files are in the sandbox
MOST_AGENTS = 20_000  # of one folder
_MANIFESTS = (".yaml", ".yml", ".toml")
_NESTED = ("agent.yaml", "agent.yml", "agent.toml")


@dataclass(frozen=True, slots=True)
class Source:
    """A folder to look in. ``namespace`` is the part of a repository its agents work on, empty for all of it."""

    folder: Path
    trusted: bool = True
    namespace: str = ""
    limits: AgentLimits = DEFAULT_LIMITS  # for what is not trusted: no agent gets more


@dataclass(frozen=True, slots=True)
class Registration:
    """An agent that was found and checked.

    ``entry`` is the one file mounted for it, empty where its whole folder is. ``revision`` changes with every byte of
    its manifest and program, ``generation`` counts its changes since it was first seen.
    """

    manifest: Manifest
    folder: Path
    entry: str
    revision: str
    namespace: str = ""
    generation: int = 1

    @property
    def name(self) -> str:
        """The name in its manifest."""
        return self.manifest.name

    @property
    def title(self) -> str:
        """Kind, name, version and revision, as the record of a run keeps them."""
        one = self.manifest
        return f"{one.kind}:{one.name}@{one.version}+{self.revision}"

    def check(self) -> None:
        """NotFound if its program is not there any more."""
        if self.entry and not (self.folder / self.entry).is_file():
            raise NotFound(f"The program of {self.name} is gone: {self.folder / self.entry}.")


Key = tuple[str, str]  # namespace, name
_Mark = tuple[int, ...]  # of the files of one entry: what changes when they change


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry of a folder: what it was when it was read, and what came of it."""

    mark: _Mark
    registration: Registration | None = None
    refused: Quarantined | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """All agents by namespace and name, what was set aside, and what need not be read again."""

    agents: Mapping[Key, Registration] = field(default_factory=dict[Key, Registration])
    quarantined: tuple[Quarantined, ...] = ()
    seen: Mapping[Path, Seen] = field(default_factory=dict[Path, Seen])


def discover(
    sources: Iterable[Source], before: Discovery | None = None, taken: Iterable[str] = ()
) -> Discovery:
    """Look through the folders, in order; of two agents with one name the first keeps it.

    ``before`` is what was found the last time: what did not change is not read again. ``taken`` are names of roles.
    """
    past = before or Discovery()
    names = frozenset(taken)
    agents: dict[Key, Registration] = {}
    refused: list[Quarantined] = []
    seen: dict[Path, Seen] = {}
    for source in sources:
        for entry in _entries(source, refused):
            one = seen[entry] = _look(entry, source, past.seen.get(entry))
            clash = clash_of(one.registration, agents, names, str(entry)) if one.registration else one.refused
            if clash:
                refused.append(clash)
            elif one.registration:
                agents[one.registration.namespace, one.registration.name] = one.registration
    programs = {str(one.folder / one.entry) for one in agents.values() if one.entry}
    return Discovery(agents, tuple(one for one in refused if one.source not in programs), seen)


async def watch(folders: Sequence[Path]) -> AsyncIterator[None]:
    """Yield whenever something in the folders changed; between changes it costs nothing.

    Raises:
        NotFound: one of them does not exist.
    """
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]

    for folder in folders:
        if not folder.is_dir():
            raise NotFound(f"{folder} is not a folder.")
    async for _ in awatch(*folders, recursive=True):
        yield


def clash_of(
    one: Registration, agents: Mapping[Key, Registration], taken: frozenset[str], entry: str
) -> Quarantined | None:
    """Why an agent from ``entry`` cannot have its name; None if it can."""
    other = agents.get((one.namespace, one.name))
    if other is not None:
        where = other.folder / (other.entry or "")
        return Quarantined(entry, f"The name {one.name!r} is registered already, by {where}.")
    if one.name in taken:
        return Quarantined(entry, f"The name {one.name!r} belongs to a role of the roster.")
    return None


def _entries(source: Source, refused: list[Quarantined]) -> Iterator[Path]:
    """What may be an agent, by name; links are none."""
    try:
        with os.scandir(source.folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        refused.append(Quarantined(str(source.folder), f"The folder cannot be read: {error.strerror}."))
        return
    if len(entries) > MOST_AGENTS:
        refused.append(
            Quarantined(str(source.folder), f"More than {MOST_AGENTS} entries; the rest is left out.")
        )
    named = _named_programs(entries)
    for entry in entries[:MOST_AGENTS]:
        if (
            entry.name.startswith(".")
            or entry.name.endswith(".md")
            or entry.is_symlink()
            or entry.name in named
        ):
            continue
        if entry.is_dir(follow_symlinks=False) or entry.name.endswith(_MANIFESTS) or _runs(entry):
            yield source.folder / entry.name


def _named_programs(entries: Sequence["os.DirEntry[str]"]) -> frozenset[str]:
    """Executables that have a manifest beside them: ``count.sh`` beside ``count.yaml``."""
    stems = {Path(entry.name).stem for entry in entries if entry.name.endswith(_MANIFESTS)}
    return frozenset(
        entry.name
        for entry in entries
        if not entry.name.endswith(_MANIFESTS) and (entry.name in stems or Path(entry.name).stem in stems)
    )


def _runs(entry: "os.DirEntry[str]") -> bool:
    mode = entry.stat(follow_symlinks=False).st_mode
    return stat.S_ISREG(mode) and bool(mode & 0o111)


def _look(entry: Path, source: Source, before: Seen | None) -> Seen:
    """What an entry is; read only where it changed."""
    generation = before.registration.generation if before and before.registration else 0
    try:
        if before and before.mark == _marks(entry, before.registration):
            return before
        registration = read_registration(entry, source)
        return Seen(_marks(entry, registration), replace(registration, generation=generation + 1))
    except BullpenError as error:
        refusal = Quarantined(str(entry), f"{error.sentence} {error.remedy}".strip())
        return Seen(_marks(entry, None), refused=refusal)
    except OSError as error:
        return Seen((), refused=Quarantined(str(entry), f"It cannot be read: {error.strerror}."))


def read_registration(entry: Path, source: Source) -> Registration:
    """The agent of one entry of a folder: an executable, a manifest, or a folder with both.

    Raises:
        InvalidInput, NotFound, PermissionRefused: what is wrong with it, and the remedy.
        OSError: it cannot be read.
    """
    return _admit(_read(entry, source), source)


def digest_of(content: bytes) -> str:
    """The revision of an agent whose manifest and program are ``content``: 12 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:12]


def _marks(entry: Path, registration: Registration | None) -> _Mark:
    """Inode, size, mode and time of change of the entry and of what belongs to it; empty where it is gone."""
    places = [entry]
    if entry.is_dir():
        places += sorted(entry.iterdir())[:256]
    elif registration and registration.entry:
        places.append(registration.folder / registration.entry)
    elif registration is None:  # what it lacks may have come
        places += [place for place in _beside(entry) if place.exists()]
    try:
        states = [place.lstat() for place in places]
    except OSError:
        return ()
    return tuple(
        number
        for state in states
        for number in (state.st_ino, state.st_size, state.st_mode, state.st_ctime_ns)
    )


def _beside(entry: Path) -> Iterable[Path]:
    return (entry.with_suffix(suffix) for suffix in ("", ".sh", ".py", ".js", ".rb", ".pl"))


def _read(entry: Path, source: Source) -> Registration:
    if entry.is_dir():
        return _nested(entry, source)
    if entry.name.endswith(_MANIFESTS):
        return _with_manifest(entry, source)
    content = read_bytes(source.folder, entry.name)
    manifest = parse_embedded(content, entry.name)
    if manifest is None:
        raise InvalidInput(
            f"{entry.name}: an executable without a manifest.",
            remedy="Put one beside it, or between two lines '# ---' near its beginning.",
        )
    if manifest.command:
        raise InvalidInput(
            f"{entry.name}: command: an executable that carries its manifest is its own command."
        )
    _check_program(entry)
    return Registration(manifest, source.folder, entry.name, digest_of(content), source.namespace)


def _with_manifest(entry: Path, source: Source) -> Registration:
    content = read_bytes(source.folder, entry.name)
    manifest = parse_manifest(content, entry.name)
    if manifest.kind in ("remote", "coding_cli") or not _local(manifest):
        return Registration(manifest, source.folder, "", digest_of(content), source.namespace)
    program = _program(entry, manifest)
    _check_program(source.folder / program)
    whole = content + read_bytes(source.folder, program)
    return Registration(manifest, source.folder, program, digest_of(whole), source.namespace)


def _local(manifest: Manifest) -> bool:
    """Whether its program is a file of its own, rather than one that is installed on the machine."""
    return manifest.command[0].startswith("./") if manifest.command else not manifest.adapter


def _program(entry: Path, manifest: Manifest) -> str:
    if manifest.command:
        program = manifest.command[0].removeprefix("./")
        if "/" in program or program in ("", "..", "."):
            raise InvalidInput(
                f"{entry.name}: command: {manifest.command[0]!r} is not a file beside the manifest.",
                remedy="Give an agent of several files a folder of its own, with agent.yaml in it.",
            )
        return program
    found = [place.name for place in _beside(entry) if place.is_file()]
    if not found:
        raise InvalidInput(f"{entry.name}: there is no command, and no executable of that name beside it.")
    return found[0]


def _nested(entry: Path, source: Source) -> Registration:
    names = [name for name in _NESTED if (entry / name).is_file()]
    if not names:
        raise InvalidInput(f"{entry.name}/: a folder without agent.yaml.")
    content = read_bytes(entry, names[0])
    manifest = parse_manifest(content, f"{entry.name}/{names[0]}")
    if manifest.kind in ("remote", "coding_cli"):
        return Registration(manifest, entry, "", digest_of(content), source.namespace)
    if not manifest.command and not manifest.adapter:
        raise InvalidInput(f"{entry.name}/{names[0]}: command: missing.")
    if _local(manifest):
        program = manifest.command[0].removeprefix("./")
        content += read_bytes(entry, program)
        _check_program(entry / program)
    return Registration(manifest, entry, "", digest_of(content), source.namespace)


def _check_program(program: Path) -> None:
    mode = program.lstat().st_mode
    if not stat.S_ISREG(mode) or not mode & 0o100:
        raise InvalidInput(f"{program.name}: not executable.", remedy=f"chmod +x {program.name}")
    if os.geteuid() == 0 and mode & 0o005 != 0o005:
        raise PermissionRefused(
            f"{program.name}: the sandbox's user may not read and run it.",
            remedy=f"chmod o+rx {program.name}",
        )


def _admit(one: Registration, source: Source) -> Registration:
    """The registration as it may be used."""
    if source.trusted:
        return one
    manifest = one.manifest
    if manifest.kind != "script" or manifest.secret or not _local(manifest):
        raise PermissionRefused(
            f"{one.name}: a repository may bring scripts of its own, and nothing that gets a secret or the network.",
            remedy="An administrator can add such an agent.",
        )
    return replace(one, manifest=replace(manifest, limits=lower_limits(manifest.limits, source.limits)))
