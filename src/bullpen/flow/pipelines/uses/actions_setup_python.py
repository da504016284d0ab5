"""``actions/setup-python``: a Python of this machine, in a virtual environment of the job."""

from bullpen.flow.pipelines.uses._python import lacks_python, python_for, wanted_version
from bullpen.flow.pipelines.uses.base import HOME, Acted, Action, Given, Lane

FOLDER = f"{HOME}/.python"


async def _run(lane: Lane, given: Given) -> Acted:
    found = await python_for(lane.site, given)
    if found is None:
        return Acted(problem=f"Python {wanted_version(lane.site, given)} is not on this machine")
    lane.mounts.extend(one for one in found.mounts if one not in lane.mounts)
    made = await lane.run((str(found.python), "-m", "venv", "--clear", FOLDER))
    if not made.ok:
        return Acted(problem=f"no environment could be made: {made.stderr.decode('utf-8', 'replace')[-300:]}")
    lane.path.insert(0, f"{FOLDER}/bin")
    lane.env["pythonLocation"] = FOLDER
    return Acted(f"Python {found.version}", outputs={"python-version": found.version})


ACTION = Action(_run, lacks_python)
