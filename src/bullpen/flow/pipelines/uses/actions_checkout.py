"""``actions/checkout``: every job already stands in a checkout of its own."""

from bullpen.flow.pipelines.uses.base import Acted, Action, Given, Lane, Site


async def _objection(_site: Site, given: Given) -> str:
    if given.get("repository"):
        return f"it checks out another repository ({given['repository']})"
    ref = str(given.get("ref", "") or "")
    return f"it checks out {ref}, and only the commit itself is here" if ref else ""


async def _run(_lane: Lane, _given: Given) -> Acted:
    return Acted("the commit is checked out; its git directory is not in the sandbox")


ACTION = Action(_run, _objection)
