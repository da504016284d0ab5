"""``actions/upload-artifact``: files go to a folder of the run, for people and for later jobs."""

from bullpen.flow.pipelines.uses._copy import collect
from bullpen.flow.pipelines.uses.base import Acted, Action, Given, Lane, plain_name, words


async def _run(lane: Lane, given: Given) -> Acted:
    name = plain_name(str(given.get("name") or "artifact"))
    target = lane.site.artifacts / name
    target.mkdir(parents=True, exist_ok=True)
    done = await collect(lane, words(given, "path"), target)
    count = done.stdout.decode("ascii", "replace").strip().rsplit("\n", 1)[-1]
    if not done.ok or not count.isdigit():
        return Acted(problem=f"{name} could not be copied: {done.stderr.decode('utf-8', 'replace')[-300:]}")
    if count == "0" and given.get("if-no-files-found") == "error":
        return Acted(problem=f"nothing matches {', '.join(words(given, 'path'))}")
    return Acted(f"{count} kept as {name}", outputs={"artifact-id": name})


ACTION = Action(_run)
