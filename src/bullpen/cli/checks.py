"""What ``bullpen doctor`` looks at."""

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bullpen.domain.errors import BullpenError
from bullpen.kernel.settings import Settings, default_home, read_settings

OLDEST_PYTHON = (3, 11)
OLDEST_GIT = (2, 38)  # git merge-tree --write-tree
LITTLE_SPACE = 1 << 30  # bytes
_PROGRAMS = ("ruff", "bandit", "hadolint", "shellcheck", "jscpd", "uv")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``remedy`` is empty where nothing need be done."""

    name: str
    state: Literal["ok", "warning", "problem"]
    seen: str
    remedy: str = ""


async def examine() -> list[Check]:
    """Look at everything this program needs, each by really trying it."""
    checks = [_python(), await _git()]
    try:
        settings = read_settings()
    except BullpenError as error:
        return [*checks, Check("settings", "problem", error.sentence, error.remedy)]
    checks.append(Check("settings", "ok", f"model {settings.model}, sandbox {settings.sandbox}"))
    checks += await _sandboxes(settings.sandbox)
    checks.append(_home(settings.home))
    checks.append(await _database(settings))
    checks += [*_programs(), *_analysers(), *_recipes()]
    return checks


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("python", "problem", version, "Install Python 3.11 or newer.")
    return Check("python", "ok", f"{version} ({sys.executable})")


async def _git() -> Check:
    from bullpen.vcs.git import git_version

    try:
        version = await git_version()
    except BullpenError as error:
        return Check("git", "problem", error.sentence, error.remedy)
    shown = ".".join(str(part) for part in version)
    if version < OLDEST_GIT:
        return Check("git", "problem", shown, "Install git 2.38 or newer.")
    return Check("git", "ok", f"{shown} ({shutil.which('git')})")


async def _sandboxes(wanted: str) -> list[Check]:
    """Those that may be used, tried; only that none of them works is a problem."""
    from bullpen.sandbox.choose import AUTO, IN_ORDER

    names = IN_ORDER if wanted == AUTO else (wanted,)
    checks = list(await asyncio.gather(*(_sandbox(name) for name in names)))
    if any(check.state != "problem" for check in checks):
        return [
            Check(one.name, "warning" if one.state == "problem" else one.state, one.seen, one.remedy)
            for one in checks
        ]
    return checks


async def _sandbox(name: str) -> Check:
    from bullpen.sandbox.choose import BACKENDS

    try:
        probe = await BACKENDS.load(name).probe()
    except BullpenError as error:
        return Check(f"sandbox {name}", "problem", error.sentence, error.remedy)
    if not probe.works:
        return Check(f"sandbox {name}", "problem", f"does not work: {probe.reason}", probe.remedy)
    if probe.weaknesses:
        return Check(f"sandbox {name}", "warning", f"works; weaker here: {'; '.join(probe.weaknesses)}")
    return Check(f"sandbox {name}", "ok", "works, with every limit")


def _home(home: Path) -> Check:
    place = next(one for one in (home, *home.parents) if one.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        return Check(
            "home", "problem", f"{home} cannot be written", "Set BULLPEN_HOME to a folder you can write."
        )
    free = shutil.disk_usage(place).free
    shown = f"{home}, {free / (1 << 30):.1f} GiB free"
    if free < LITTLE_SPACE:
        return Check("home", "warning", shown, "Free some space, or set BULLPEN_HOME to another disk.")
    return Check("home", "ok", shown)


async def _database(settings: Settings) -> Check:
    from bullpen.app import open_records
    from bullpen.sessions.queries import list_sessions
    from bullpen.vcs.git import redact

    if not settings.database_url and not (settings.home / "bullpen.db").exists():
        return Check("database", "ok", "none yet; it is made by the first session")
    try:
        async with open_records(settings) as records, records.database.view(records.actor) as uow:
            count = len(await list_sessions(uow, limit=10_000))
    except BullpenError as error:
        return Check("database", "problem", error.sentence, error.remedy)
    return Check("database", "ok", f"{redact(settings.database)}, {count} sessions")


def _programs() -> list[Check]:
    import sysconfig

    folder = Path(sysconfig.get_path("scripts"))
    missing = [name for name in _PROGRAMS if not (folder / name).exists()]
    if missing:
        seen = f"not installed beside Bullpen: {', '.join(missing)}"
        return [Check("programs", "problem", seen, "Install Bullpen again, with its dependencies.")]
    return [Check("programs", "ok", ", ".join(_PROGRAMS))]


def _analysers() -> list[Check]:
    from bullpen.cli.analyser_list import list_analysers

    found = list_analysers()
    broken = [one for one in found if one.problem]
    if broken:
        seen = "; ".join(f"{one.name}: {one.problem}" for one in broken)
        return [Check("analysers", "problem", seen, "Install Bullpen again, with its dependencies.")]
    return [Check("analysers", "ok", f"{len(found)} can be used")]


def _recipes() -> list[Check]:
    from bullpen.agents.registry import load_roster
    from bullpen.recipes.base import catalogue

    try:
        recipes, roles = len(catalogue().recipes), len(load_roster().cards)
    except BullpenError as error:
        return [Check("recipes and roles", "problem", error.sentence, error.remedy)]
    return [
        Check(
            "recipes and roles", "ok", f"{recipes} recipes, {roles} roles; logs in {default_home() / 'logs'}"
        )
    ]
