"""Programs that are installed on this machine, and how a sandbox gets to see them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bullpen.agents.health import Checkup
from bullpen.agents.stdio import last_line
from bullpen.domain.errors import BullpenError, Missing
from bullpen.sandbox.base import Command, Limits, Mount, Sandbox

_FOLDER = "/opt/cli"
_CHECK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """Where a program is in the sandbox, and what must be mounted for it."""

    inside: str
    mounts: tuple[Mount, ...] = ()


def find_program(name: str, install: str) -> Program:
    """A program by name or absolute path. What is below /usr is there anyway; of an npm package all packages are
    mounted, of anything else the one file.

    Raises:
        Missing: it is not installed; ``install`` says how to get it.
    """
    found = shutil.which(name)
    if found is None:
        raise Missing(f"The program {name} is not installed.", remedy=f"Install it: {install}")
    program = Path(found).resolve()
    if program.is_relative_to("/usr"):
        return Program(str(program))
    if "node_modules" in program.parts:
        packages = Path(*program.parts[: program.parts.index("node_modules") + 1])
        inside = f"{_FOLDER}/node_modules/{program.relative_to(packages)}"
        return Program(inside, (Mount(packages, f"{_FOLDER}/node_modules"),))
    return Program(f"{_FOLDER}/{program.name}", (Mount(program, f"{_FOLDER}/{program.name}"),))


async def version_of(name: str, install: str, sandbox: Sandbox) -> Checkup:
    """Whether the program starts in the sandbox and says its version. Never raises."""
    try:
        program = find_program(name, install)
        limits = Limits(wall_seconds=_CHECK_SECONDS)
        outcome = await sandbox.run(
            Command((program.inside, "--version"), mounts=program.mounts, limits=limits)
        )
    except BullpenError as error:
        lacking = (name,) if isinstance(error, Missing) else ()
        return Checkup(alive=False, lacking=lacking, error=f"{error.sentence} {error.remedy}".strip())
    if outcome.ok:
        return Checkup(alive=True, seconds=outcome.wall_seconds)
    how = outcome.end if outcome.exit_status is None else f"status {outcome.exit_status}"
    return Checkup(alive=False, error=f"{name} --version ended: {how}. {last_line(outcome.stderr)}".strip())
