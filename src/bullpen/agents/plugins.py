"""Agents that installed packages bring: entry points of the group ``bullpen.agents``, each naming a package.

    [project.entry-points."bullpen.agents"]
    acme = "acme_agents.agents"

What is in that package's folder is found as in any other folder. Nothing of the package is imported: its agents are
programs, and run in the sandbox.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from bullpen.agents.discovery import Source
from bullpen.agents.registry import Quarantined

GROUP = "bullpen.agents"


@dataclass(frozen=True, slots=True)
class Plugins:
    """Where agents of plugins are, and the plugins that were set aside."""

    sources: tuple[Source, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()


def find_plugins(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """The folders of all plugins, or of those given. A faulty one never stops the others."""
    sources: list[Source] = []
    refused: list[Quarantined] = []
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda one: one.name):
        folder, fault = _folder(point)
        if folder is None:
            refused.append(Quarantined(f"plugin {point.name}", fault))
        else:
            sources.append(Source(folder))
    return Plugins(tuple(sources), tuple(refused))


def _folder(point: EntryPoint) -> tuple[Path | None, str]:
    """The folder a plugin names; without one, why."""
    if point.attr:
        return None, f"{point.value!r} names an attribute; a plugin names a package that holds agents."
    top, *rest = point.module.split(".")
    try:
        spec = find_spec(top)  # of a package at the top nothing is run
    except (ImportError, ValueError, AttributeError) as error:
        return None, f"The package {top!r} cannot be found: {error}."
    places = spec.submodule_search_locations if spec else None
    if not places:
        return None, f"There is no package {top!r}."
    folder = Path(next(iter(places)), *rest)
    if not folder.is_dir():
        return None, f"There is no folder {folder}."
    return folder, ""
