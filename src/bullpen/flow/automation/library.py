"""The automations there are: those a repository keeps, those in Bullpen's home, and templates to begin with."""

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.flow.automation.check import read_automation
from bullpen.flow.automation.model import Automation
from bullpen.flow.definitions.model import Source
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import open_source
from bullpen.vcs.trees import list_tree, read_blobs

FOLDER = ".bullpen/automations"
HOME = ""  # the origin of those in Bullpen's home
MOST_FILES = 200


@cache
def template_sources() -> tuple[Source, ...]:
    """The templates that ship with the package; ``_`` in a file's name is ``-`` in that of the template."""
    folder = files("bullpen.flow.automation").joinpath("templates")
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name)
    names = ((one.name.removesuffix(".yaml").replace("_", "-"), one) for one in found)
    return tuple(Source(name, one.name, one.read_text("utf-8"), built_in=True) for name, one in names)


def from_template(template: str, *, name: str = "", repo: str = "") -> str:
    """The text of an automation made from a template; with ``repo`` it is one for Bullpen's home.

    Raises:
        NotFound: there is no such template.
        InvalidInput: the name is none.
    """
    known = {one.name: one for one in template_sources()}
    if template not in known:
        raise NotFound(f"There is no template {template!r}; there are: {', '.join(sorted(known))}.")
    about = f"\nrepo: {json.dumps(repo)}" if repo else ""
    text = re.sub(
        r"^name: .*$",
        lambda _: f"name: {name or template}{about}",
        known[template].text,
        count=1,
        flags=re.MULTILINE,
    )
    read_automation(Source(name or template, known[template].where, text), in_repository=not repo)
    return text


def home_folder(home: Path) -> Path:
    """Where a person keeps automations of their own."""
    return home / "automations"


def home_sources(home: Path) -> tuple[Source, ...]:
    """The files in Bullpen's home, by name.

    Raises:
        InvalidInput: one cannot be read.
    """
    folder = home_folder(home)
    found = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    return tuple(Source(one.stem, str(one), _text(one)) for one in found)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", remedy="Mend it, or move it away.") from error


async def repository_sources(mirrors: Path, repo: str) -> tuple[Source, ...]:
    """The files a repository keeps, as they are committed: links are not followed.

    Raises:
        InvalidInput: there are too many.
    """
    mirror = await fetch_mirror(await open_source(repo), mirrors)
    entries = [one for one in await list_tree(mirror.path, mirror.base) if one.is_file and _is_ours(one.path)]
    if len(entries) > MOST_FILES:
        raise InvalidInput(f"{FOLDER} holds {len(entries)} automations; {MOST_FILES} is the most.")
    contents = await read_blobs(mirror.path, (one.blob for one in entries))
    return tuple(
        Source(PurePosixPath(one.path).stem, one.path, contents[one.blob].decode("utf-8", "replace"))
        for one in entries
    )


def _is_ours(path: str) -> bool:
    return str(PurePosixPath(path).parent) == FOLDER and path.endswith((".yaml", ".yml"))


def automation_in(source: Source, *, in_repository: bool) -> Automation:
    """A sound automation whose name is that of its file.

    Raises:
        InvalidInput: it is faulty, or called otherwise.
    """
    read = read_automation(source, in_repository=in_repository)
    if read.name != source.name:
        raise InvalidInput(
            f"{source.where} names its automation {read.name!r}.",
            remedy=f"Name the file {read.name}.yaml, or the automation {source.name}.",
        )
    return read
