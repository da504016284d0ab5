"""Packages with known faults, pins that hold them there, and locks that no longer fit, from files alone."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from packaging.version import InvalidVersion, Version

from bullpen.analysis.analysers import _advisories, _packages, _versions
from bullpen.analysis.analysers._advisories import (
    Advisory,
    Key,
    UnreadableAdvisory,
    built_in,
    by_package,
    of_folder,
    parse_advisories,
)
from bullpen.analysis.analysers._packages import Asked, is_requirements, reader_of
from bullpen.analysis.analysers._versions import PYPI, ends_below, order, starts_at_or_above
from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import own_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_OWN = ".bullpen/advisories/"
_LIBRARY = ("pyproject.toml", "setup.py", "setup.cfg")
_LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock")
_MOST_NAMED = 4
_PIP = "https://pip.pypa.io/en/stable/topics/repeatable-installs/"
_LOCKING = "https://docs.astral.sh/uv/concepts/projects/sync/"


class Dependencies:
    """What a project depends on, held against advisories and against its own locks."""

    name = "dependencies"
    reach = Reach.KNOWN

    def version(self) -> str:
        """Of the files it is made of and of the advisories that come with it."""
        parts = (str(part.__file__) for part in (_advisories, _packages, _versions))
        newest = max((advisory.id for advisory in built_in()), default="")
        return f"{own_version(__file__, *parts)} advisories {len(built_in())} {newest}"

    def wants(self, path: str) -> bool:
        """Files that name packages, and the project's own advisories."""
        return reader_of(path) is not None or (path.startswith(_OWN) and path.endswith(".json"))

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        return await asyncio.to_thread(lambda: list(_observe(tree, paths)))


def _observe(tree: SourceTree, paths: Sequence[str]) -> Iterator[Observation]:
    asked = [each for path in paths if (read := reader_of(path)) for each in read(path, tree.text(path))]
    own: list[Advisory] = []
    for path in paths:
        if path.startswith(_OWN) and path.endswith(".json"):
            try:
                own += parse_advisories((tree.root / path).read_bytes())
            except UnreadableAdvisory as error:
                yield _unreadable(path, error)
    yield from _faulty(asked, _known(tree, own, {each.package for each in asked}))
    yield from _stale(asked)
    yield from _unpinned(asked, tree)


def _known(tree: SourceTree, own: Sequence[Advisory], wanted: set[Key]) -> Mapping[Key, list[Advisory]]:
    persons = of_folder(tree.advisories, wanted) if tree.advisories else ()
    return by_package([*built_in(), *own, *persons])


def _faulty(asked: Sequence[Asked], known: Mapping[Key, list[Advisory]]) -> Iterator[Observation]:
    locked = {(each.package, _folder(each.path)) for each in asked if each.is_locked}
    told: set[tuple[str, Key, str]] = set()
    for each in asked:
        if not each.is_locked and (each.package, _folder(each.path)) in locked:
            continue  # what is installed is what the lock says
        advisories = known.get(each.package, [])
        once = (each.path, each.package, each.version or str(each.allowed))
        held = [advisory for advisory in advisories if _holds(each, advisory)] if once not in told else []
        told.add(once)
        if held:
            yield _known_fault(each, held, advisories)


def _holds(asked: Asked, advisory: Advisory) -> bool:
    """Whether what is asked for has the fault, or can be nothing else."""
    if asked.version:
        return advisory.affects(asked.version)
    if asked.package[0] != PYPI or not asked.allowed:
        return False
    fixes = [fix for version in advisory.fixes() if (fix := _release(version))]
    since = _release(advisory.since())
    ends = len(fixes) == 1 and ends_below(asked.allowed, fixes[0])  # of several lines any may be meant
    return ends and since is not None and (since == Version("0") or starts_at_or_above(asked.allowed, since))


def _release(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _known_fault(asked: Asked, held: Sequence[Advisory], all_known: Sequence[Advisory]) -> Observation:
    ids = sorted({advisory.id for advisory in held})
    worst = max(held, key=lambda advisory: (advisory.severity, advisory.id))
    shown = ", ".join(ids[:_MOST_NAMED]) + (
        f" and {len(ids) - _MOST_NAMED} more" if ids[_MOST_NAMED:] else ""
    )
    what = f"{asked.package[1]} {asked.version or asked.allowed}"
    faults = "a known fault" if len(ids) == 1 else f"{len(ids)} known faults"
    safe = _without_fault(asked, held, all_known)
    way_out = f"{safe} has none of them" if len(ids) > 1 else f"it is mended in {safe}"
    return Observation(
        rule="dependencies:known-fault",
        message=f"{what} has {faults} ({shown}); {way_out if safe else 'no mended version is known'}.",
        severity=worst.severity if role_of(asked.path) is Role.PRODUCT else milder(worst.severity),
        concern=Concern.DEPENDENCY,
        place=Place(asked.path, asked.line, symbol=asked.package[1]),
        analyser="dependencies",
        url=worst.url,
    )


def _without_fault(asked: Asked, held: Sequence[Advisory], known: Sequence[Advisory]) -> str:
    """The lowest version above that none of the advisories speaks of."""
    ecosystem = asked.package[0]
    now = order(ecosystem, asked.version) if asked.version else None
    fixes = {fix for advisory in held for fix in advisory.fixes() if order(ecosystem, fix) is not None}
    above = [fix for fix in fixes if now is None or order(ecosystem, fix) > now]
    clean = [fix for fix in above if not any(advisory.affects(fix) for advisory in known)]
    every = [fix for fix in above if not any(advisory.affects(fix) for advisory in held)]
    return min(clean or every, key=lambda fix: order(ecosystem, fix), default="")


def _stale(asked: Sequence[Asked]) -> Iterator[Observation]:
    """Requirements of a project that none of the versions in its lock fits: the lock was not made anew."""
    locked: defaultdict[tuple[Key, str], list[str]] = defaultdict(list)
    for each in asked:
        if each.is_locked:
            locked[each.package, _folder(each.path)].append(each.version)
    for each in asked:
        versions = locked.get((each.package, _folder(each.path)), [])
        if _decides(each) and versions and not any(_fits(version, each) for version in versions):
            yield _stale_lock(each, versions)


def _decides(asked: Asked) -> bool:
    """Whether the lock beside it was made to fit it, whatever the machine."""
    return PurePosixPath(asked.path).name == "pyproject.toml" and not asked.is_conditional


def _fits(version: str, asked: Asked) -> bool:
    release = _release(version)
    return release is None or asked.allowed is None or asked.allowed.contains(release, prereleases=True)


def _stale_lock(asked: Asked, versions: Sequence[str]) -> Observation:
    return Observation(
        rule="dependencies:stale-lock",
        message=f"{asked.package[1]} is to be {asked.allowed}, but the lock has {' and '.join(sorted(set(versions)))}.",
        severity=Severity.MEDIUM,
        concern=Concern.DEPENDENCY,
        place=Place(asked.path, asked.line, symbol=asked.package[1]),
        analyser="dependencies",
        url=_LOCKING,
    )


def _unpinned(asked: Sequence[Asked], tree: SourceTree) -> Iterator[Observation]:
    """Requirements of an application that are another set every time it is installed: one for each file."""
    files: defaultdict[str, list[Asked]] = defaultdict(list)
    for each in asked:
        if is_requirements(each.path) and _is_application(each.path, tree):
            files[each.path].append(each)
    for path, listed in files.items():
        loose = [each for each in listed if not each.version]
        if loose and "-c " not in tree.text(path) and "--constraint" not in tree.text(path):
            yield _loose(path, loose, len(listed))


def _is_application(path: str, tree: SourceTree) -> bool:
    folder = _folder(path)
    beside = (f"{folder}/{name}".lstrip("/") for name in (*_LIBRARY, *_LOCKS))
    named = PurePosixPath(path).name == "requirements.txt"
    return named and role_of(path) is Role.PRODUCT and not any(name in tree.files for name in beside)


def _loose(path: str, loose: Sequence[Asked], total: int) -> Observation:
    names = ", ".join(each.package[1] for each in loose[:_MOST_NAMED])
    more = f" and {len(loose) - _MOST_NAMED} more" if loose[_MOST_NAMED:] else ""
    return Observation(
        rule="dependencies:unpinned",
        message=f"{len(loose)} of {total} requirements name no version, so every installation may differ: {names}{more}.",
        severity=Severity.LOW,
        concern=Concern.DEPENDENCY,
        place=Place(path, loose[0].line),
        analyser="dependencies",
        url=_PIP,
    )


def _unreadable(path: str, error: UnreadableAdvisory) -> Observation:
    return Observation(
        rule="dependencies:unreadable-advisory",
        message=f"This advisory cannot be read, so nothing is held against it: {error}.",
        severity=Severity.LOW,
        concern=Concern.DEPENDENCY,
        place=Place(path, 1),
        analyser="dependencies",
        url="https://ossf.github.io/osv-schema/",
    )


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


ANALYSER = Dependencies()
