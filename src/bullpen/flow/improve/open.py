"""Open the repository: Bullpen's own copy, and what of it can be looked at."""

from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.base import SourceTree
from bullpen.domain.errors import UnusableRepository
from bullpen.domain.events.improve import RepositoryOpened
from bullpen.domain.ids import SessionId
from bullpen.domain.test_report import Coverage
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.improve.project_gates import project_gates
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import Source, SourceKind, open_source
from bullpen.vcs.trees import TreeEntry, has_lfs_rules, lfs_pointers, list_tree, outside_links

_FOREIGN = (
    "node_modules/",
    "vendor/",
    "third_party/",
    "site-packages/",
    ".venv/",
    "venv/",
    "dist/",
    "_vendor/",
)
_REGULAR = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Opened:
    """A copied repository. ``base`` is the commit work starts from; ``checkout`` the person's folder, if there is one."""

    mirror: str
    base: str
    branch: str
    name: str
    checkout: str
    location: str
    files: int
    notes: tuple[str, ...]


async def open_repository(means: Means, session_id: SessionId, options: ImproveOptions) -> Opened:
    """Copy the repository and say what is special about it.

    Raises:
        UnusableRepository: with the reason and what to do.
        InvalidInput: its own gates cannot be read.
    """
    source = await open_source(options.source)
    mirror = await fetch_mirror(source, means.mirrors)
    tree = await list_tree(mirror.path, mirror.base)
    if not tree:
        raise UnusableRepository(
            f"The commit {mirror.base[:12]} has no files.", remedy="Commit something first."
        )
    gates = await project_gates(mirror.path, mirror.base)
    notes = (*_source_notes(source), *await _tree_notes(mirror.path, mirror.base, tree), *gates.notes)
    opened = Opened(
        mirror=str(mirror.path),
        base=mirror.base,
        branch=mirror.branch,
        name=source.name,
        checkout=str(source.files.work_tree) if source.files and source.files.work_tree else "",
        location=source.location,
        files=len(tree),
        notes=notes,
    )
    async with means.database.transaction(means.actor) as uow:
        uow.record(
            session_id, RepositoryOpened(source.location, mirror.base, mirror.branch, len(tree), notes)
        )
    return opened


async def source_tree(
    mirror: Path, treeish: str, root: Path, largest: int, coverage: Coverage | None = None
) -> SourceTree:
    """What analysers may look at of a tree that is checked out at ``root``: regular files of a size people write."""
    entries = await list_tree(mirror, treeish, sizes=True)
    pointers = frozenset(await lfs_pointers(mirror, treeish) if await has_lfs_rules(mirror, entries) else ())
    files = {
        entry.path: entry.blob
        for entry in entries
        if _is_looked_at(entry, largest) and entry.path not in pointers
    }
    return SourceTree(root, files, coverage)


def _is_looked_at(entry: TreeEntry, largest: int) -> bool:
    regular = entry.mode in _REGULAR and entry.size is not None and entry.size <= largest
    foreign = any(entry.path.startswith(folder) or f"/{folder}" in entry.path for folder in _FOREIGN)
    return regular and not foreign and _is_text_name(entry.path) and ".min." not in entry.path


def _is_text_name(path: str) -> bool:
    """Names that are not UTF-8, or that hold line breaks, cannot be shown, stored or reported in one piece."""
    return path.isprintable()


def _source_notes(source: Source) -> list[str]:
    notes: list[str] = []
    if source.dirty:
        notes.append(
            f"{source.dirty} files have uncommitted changes; they are left alone and not part of the work"
        )
    if source.kind is SourceKind.BARE:
        notes.append("the repository is bare; the branch will be in it, and there is no checkout to touch")
    if source.shallow:
        notes.append("the clone is shallow; how often files change is known only as far back as it goes")
    if source.detached and source.kind is not SourceKind.URL:
        notes.append("HEAD is detached; work starts from the commit it is at")
    if source.submodules:
        notes.append(f"{len(source.submodules)} submodules belong to other repositories and are left out")
    if source.nested:
        notes.append(f"{len(source.nested)} nested repositories are left out")
    return notes


async def _tree_notes(mirror: Path, base: str, tree: tuple[TreeEntry, ...]) -> list[str]:
    notes: list[str] = []
    if pointers := await lfs_pointers(mirror, base):
        notes.append(f"{len(pointers)} files are LFS pointers; their content is not here and is left out")
    if links := await outside_links(mirror, base):
        notes.append(f"{len(links)} symbolic links lead out of the tree and are not followed")
    if odd := sum(not _is_text_name(entry.path) for entry in tree):
        notes.append(f"{odd} files have names that are not printable text and are left out")
    return notes
