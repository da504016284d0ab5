"""The workflows there are: those that ship with the package, and those a project keeps in ``.bullpen/workflows``."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.flow.definitions.check import read_definition
from bullpen.flow.definitions.model import Definition, Source
from bullpen.vcs.trees import list_tree, read_blobs

FOLDER = ".bullpen/workflows"
DEFAULT = "default"
MOST_FILES = 200
DEEPEST = 8  # children of children


@cache
def built_in_sources() -> tuple[Source, ...]:
    """The files that ship with the package."""
    folder = files("bullpen.flow.definitions").joinpath("builtin")
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name)
    names = ((one.name.removesuffix(".yaml"), one) for one in found)
    return tuple(Source(name, one.name, one.read_text("utf-8"), built_in=True) for name, one in names)


async def project_sources(mirror: Path, commit: str) -> tuple[Source, ...]:
    """The files of a project as they are at a commit: links are not followed, and no change can bring its own.

    Raises:
        InvalidInput: there are too many.
    """
    entries = [one for one in await list_tree(mirror, commit) if one.is_file and _is_workflow(one.path)]
    if len(entries) > MOST_FILES:
        raise InvalidInput(f"{FOLDER} holds {len(entries)} workflows; {MOST_FILES} is the most.")
    contents = await read_blobs(mirror, (one.blob for one in entries))
    return tuple(
        Source(PurePosixPath(one.path).stem, one.path, contents[one.blob].decode("utf-8", "replace"))
        for one in entries
    )


def _is_workflow(path: str) -> bool:
    return str(PurePosixPath(path).parent) == FOLDER and path.endswith((".yaml", ".yml"))


def sources_by_name(project: Iterable[Source]) -> dict[str, Source]:
    """Every workflow by name; a project's own stands before the built-in one of its name."""
    return {one.name: one for one in (*built_in_sources(), *project)}


def find_source(known: Mapping[str, Source], name: str) -> Source:
    """The workflow of a name.

    Raises:
        NotFound: there is none; the message lists those there are.
    """
    if name not in known:
        raise NotFound(
            f"There is no workflow {name!r}; there are: {', '.join(sorted(known))}.",
            remedy=f"Write {FOLDER}/{name}.yaml and commit it.",
        )
    return known[name]


def with_children(known: Mapping[str, Source], name: str) -> dict[str, Source]:
    """A workflow and every workflow it starts, by name: all that a run keeps.

    Raises:
        InvalidInput: one is faulty, or they start each other in a circle.
        NotFound: one is not there.
    """
    found: dict[str, Source] = {}
    _gather(known, name, (), found)
    return found


def _gather(known: Mapping[str, Source], name: str, above: tuple[str, ...], found: dict[str, Source]) -> None:
    if name in above or len(above) >= DEEPEST:
        way = " → ".join((*above, name))
        raise InvalidInput(f"These workflows start each other: {way}.", remedy="Break the circle.")
    source = find_source(known, name)
    definition = read_definition(source)
    if definition.name != source.name:
        raise InvalidInput(
            f"{source.where} names its workflow {definition.name!r}.",
            remedy=f"Name the file {definition.name}.yaml, or the workflow {source.name}.",
        )
    found[name] = source
    for child in children_of(definition):
        _gather(known, child, (*above, name), found)


def children_of(definition: Definition) -> tuple[str, ...]:
    """Names of the workflows its steps start."""
    return tuple(str(one.given["name"]) for one in definition.steps if one.kind == "workflow")
