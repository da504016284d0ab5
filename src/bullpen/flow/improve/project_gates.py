"""The gates of a project: the built-in ones, and those of its own file."""

from pathlib import Path

from bullpen.domain.errors import NotFound
from bullpen.flow.gates import DEFAULT_GATES, PROJECT_GATES, GateSet, parse_gates, with_project_gates
from bullpen.vcs.trees import read_file


async def project_gates(mirror: Path, base: str) -> GateSet:
    """The built-in gates, and those of the project as they are at ``base``: no change can bring its own.

    Raises:
        InvalidInput: the project's gate file cannot be read; file, line and column are named.
    """
    built_in = parse_gates(DEFAULT_GATES)
    try:
        content = await read_file(mirror, base, PROJECT_GATES)
    except NotFound:
        return GateSet(built_in)
    return with_project_gates(built_in, content.decode("utf-8", "replace"))
