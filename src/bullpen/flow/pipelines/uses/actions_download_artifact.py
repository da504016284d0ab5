"""``actions/download-artifact``: what an earlier job of the run kept."""

from bullpen.flow.pipelines.uses._copy import hand_out
from bullpen.flow.pipelines.uses.base import Acted, Action, Given, Lane, plain_name


async def _run(lane: Lane, given: Given) -> Acted:
    name = str(given.get("name") or given.get("artifact-ids") or "")
    wanted = [plain_name(name)] if name else sorted(one.name for one in lane.site.artifacts.iterdir())
    base = str(given.get("path") or ".")
    for one in wanted:
        if not (lane.site.artifacts / one).is_dir():
            return Acted(problem=f"no job kept {one!r}")
        done = await hand_out(lane, lane.site.artifacts / one, base if name else f"{base}/{one}")
        if not done.ok:
            return Acted(
                problem=f"{one} could not be copied: {done.stderr.decode('utf-8', 'replace')[-300:]}"
            )
    return Acted(f"put {', '.join(wanted) or 'nothing'} into {base}")


ACTION = Action(_run)
