"""Tools of the machine in a version that a step asks for."""

import re

from bullpen.flow.pipelines.uses.base import Acted, Action, Given, Lane, Site
from bullpen.sandbox.base import Command, Limits


def machine_tool(title: str, key: str, folder: str, argv: tuple[str, ...]) -> Action:
    """An action that only needs the machine's own tool, which ``argv`` asks for its version."""
    path = {"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin"}

    async def objection(site: Site, given: Given) -> str:
        found = await site.sandbox.run(Command(argv, cwd="/", env=path, limits=Limits(wall_seconds=30)))
        version = re.search(r"\d+(\.\d+)*", found.stdout.decode("utf-8", "replace"))
        if not found.ok or version is None:
            return f"{title} is not on this machine"
        wanted = re.fullmatch(r"v?(\d+(?:\.\d+)*?)(?:\.x)*", str(given.get(key, "") or ""))
        if wanted and not f"{version[0]}.".startswith(f"{wanted[1]}."):
            return f"{title} {wanted[1]} is not on this machine, which has {version[0]}"
        return ""

    async def run(lane: Lane, _given: Given) -> Acted:
        lane.path.insert(0, folder)
        return Acted(f"{title} of this machine")

    return Action(run, objection)
