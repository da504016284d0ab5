"""What a running job holds, and what an action is that can be run here."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from hashlib import sha256
from pathlib import Path
from typing import Any

from bullpen.domain.errors import InvalidInput
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Command, Limits, Mount, Network, Outcome, Sandbox

HOME = "/home/runner"
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(frozen=True, slots=True)
class Site:
    """What all jobs of a run share. ``blobs`` are the files of the commit with git's hashes of their contents.

    ``artifacts`` is where jobs leave files for people and for each other, ``cache`` what outlives the run.
    """

    sandbox: Sandbox
    limits: Limits
    network: Network
    blobs: Mapping[str, str]
    texts: Mapping[str, str]
    artifacts: Path
    cache: Path
    scratch: Path

    def hash_files(self, *patterns: str) -> str:
        """A hash over the contents of all files of the commit that match; empty where none does."""
        rules = [re.compile(_glob(pattern)) for pattern in patterns]
        found = sorted((path, blob) for path, blob in self.blobs.items() if any(r.match(path) for r in rules))
        return sha256(repr(found).encode("utf-8", "surrogateescape")).hexdigest() if found else ""


def _glob(pattern: str) -> str:
    """``**/`` matches any folders, also none; the rest is as in a shell."""
    return (
        "(?:.*/)?".join(
            translate(part).removesuffix(r"\z").removesuffix(r"\Z")
            for part in pattern.removeprefix("./").split("**/")
        )
        + r"\Z"
    )


@dataclass(slots=True)
class Lane:
    """A job as it runs: its checkout, its home, and what its steps have set so far."""

    site: Site
    workspace: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict[str, str])
    path: list[str] = field(default_factory=list[str])
    mounts: list[Mount] = field(default_factory=list[Mount])
    saves: list[Callable[[], Awaitable[None]]] = field(default_factory=list[Callable[[], Awaitable[None]]])

    async def run(
        self,
        argv: tuple[str, ...],
        *,
        env: Mapping[str, str] | None = None,
        folder: str = "",
        mounts: tuple[Mount, ...] = (),
        seconds: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """A command in the sandbox, in the job's checkout, with its home and its tools."""
        limits = self.site.limits
        wall = min(limits.wall_seconds, seconds) if seconds else limits.wall_seconds
        command = Command(
            argv=argv,
            workspace=self.workspace,
            workspace_writable=True,
            cwd=f"/work/{folder}".rstrip("/"),
            env={**self.env, "PATH": ":".join((*self.path, *SYSTEM_PATH)), **(env or {})},
            mounts=(Mount(self.home, HOME, writable=True), *self.mounts, *mounts),
            limits=Limits(
                cpus=limits.cpus,
                memory_bytes=limits.memory_bytes,
                processes=limits.processes,
                wall_seconds=wall,
            ),
            network=self.site.network,
        )
        return await self.site.sandbox.run(command, on_output)


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of an action. A ``problem`` means that it failed."""

    said: str = ""
    problem: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])


Given = Mapping[str, Any]


async def no_objection(_site: Site, _given: Given) -> str:
    """Nothing speaks against it."""
    return ""


@dataclass(frozen=True)
class Action:
    """An action: ``objection`` says before a job begins why it cannot be run here, in words, or nothing."""

    run: Callable[[Lane, Given], Awaitable[Acted]]
    objection: Callable[[Site, Given], Awaitable[str]] = no_objection


USES: ExtensionPoint[Action] = ExtensionPoint("bullpen.flow.pipelines.uses", "ACTION")


def action_named(uses: str) -> Action | None:
    """The action behind ``owner/name@version``, None where there is none of that name here."""
    name = re.sub(r"[^a-z0-9]", "_", uses.partition("@")[0].lower())
    return USES.load(name) if name in USES.names() else None


def words(given: Given, name: str) -> tuple[str, ...]:
    """The lines of an input."""
    return tuple(line.strip() for line in str(given.get(name, "") or "").splitlines() if line.strip())


def plain_name(text: str) -> str:
    """``text`` if it can name a folder.

    Raises:
        InvalidInput: it cannot.
    """
    if not re.fullmatch(r"[\w.+ -]{1,120}", text) or text.startswith(".") or text != text.strip():
        raise InvalidInput(f"{text!r} cannot name an artifact.", remedy="Use letters, digits, - and _.")
    return text
