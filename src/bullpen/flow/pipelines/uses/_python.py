"""Finding a Python of this machine for a job."""

import re
import tomllib
from pathlib import Path

from bullpen.flow.pipelines.uses.base import Given, Site
from bullpen.testing.interpreters import (
    Installation,
    find_installation,
    other_installations,
    own_installation,
)


def wanted_version(site: Site, given: Given) -> str:
    """What a step asks for, as ``uv`` understands it; empty where it asks for nothing."""
    wanted = str(given.get("python-version", "") or "").strip()
    if wanted or not given.get("python-version-file"):
        return "" if wanted in ("3", "3.x", "x") else wanted.removesuffix(".x")
    text = site.texts.get(str(given["python-version-file"]), "")
    if str(given["python-version-file"]).endswith(".toml"):
        return _required(text)
    return text.strip().split("\n", 1)[0]


def _required(text: str) -> str:
    try:
        return str(tomllib.loads(text).get("project", {}).get("requires-python", ""))
    except (tomllib.TOMLDecodeError, AttributeError, RecursionError):
        return ""


async def python_for(site: Site, given: Given) -> Installation | None:
    """The installation, None where the machine has none such. Nothing is downloaded."""
    wanted = wanted_version(site, given)
    if "\n" in wanted or wanted.startswith("-"):
        return None
    if not wanted:
        return own_installation()
    return await find_installation(wanted, site.scratch) or await _listed(site, wanted)


async def _listed(site: Site, wanted: str) -> Installation | None:
    """One that is not on the path, for instance of pyenv."""
    async for one in other_installations(site.scratch):
        if one.version == wanted or one.minor == wanted:
            return one
    versions = Path.home() / ".pyenv" / "versions"
    for folder in sorted(versions.glob(f"{wanted}*")) if re.fullmatch(r"[\d.]+", wanted) else ():
        found = Installation(folder.resolve(), folder.name)
        if found.mountable and wanted in (found.version, found.minor):
            return found
    return None


async def lacks_python(site: Site, given: Given) -> str:
    """Why a step that asks for a Python cannot be run."""
    if await python_for(site, given):
        return ""
    return f"Python {wanted_version(site, given)} is not on this machine"
