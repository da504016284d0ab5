"""``astral-sh/setup-uv``: the uv that Bullpen brings, and a Python of this machine."""

from pathlib import Path

import uv

from bullpen.flow.pipelines.uses._python import lacks_python, python_for
from bullpen.flow.pipelines.uses.base import Acted, Action, Given, Lane
from bullpen.sandbox.base import Mount

FOLDER = "/opt/bullpen/uv"


async def _run(lane: Lane, given: Given) -> Acted:
    program = Path(uv.find_uv_bin())
    for one in (program, program.with_name("uvx")):
        if one.exists():
            lane.mounts.append(Mount(one, f"{FOLDER}/{one.name}"))
    lane.path.insert(0, FOLDER)
    found = await python_for(lane.site, given)
    if found is not None:
        lane.mounts.extend(one for one in found.mounts if one not in lane.mounts)
        lane.path.append(f"{found.prefix}/bin")
    if found is not None and given.get("python-version"):
        lane.env["UV_PYTHON"] = str(found.python)
    return Acted("uv, as Bullpen brings it")


ACTION = Action(_run, lacks_python)
