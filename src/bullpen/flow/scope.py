"""Scope: a change stays in the files and lines that were agreed. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from bullpen.analysis.outline import Outline
from bullpen.domain.change import FileChange
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.guards import is_test_path
from bullpen.vcs.diffs import Diff, FileDiff, Hunk

NEAR = 3  # lines around a site that belong to it where there is no syntax to tell


def outside_scope(draft: ItemDraft, diff: Diff, changes: Sequence[FileChange]) -> list[str]:
    """Places the change touches that the item did not name: ``path:line`` each.

    Agreed are the innermost function or class around each site, lines near a site outside any, and added lines
    outside functions (imports, hoisted constants). An item about tests may add test files.
    """
    before = {change.path: change.before for change in changes}
    return [place for file in diff.files for place in _strayed(draft, file, before.get(file.path))]


def agreed_ranges(path: str, lines: Sequence[int], before: bytes) -> list[range]:
    """Lines of a file that may change for an item at ``lines``."""
    return list(_agreed(lines, Outline(path, before.decode("utf-8", "surrogateescape"))))


def _strayed(draft: ItemDraft, file: FileDiff, before: bytes | None) -> Iterator[str]:
    if file.path != draft.path:
        may_add = draft.kind == "qa" and is_test_path(file.path)
        if not may_add:
            yield f"{file.path}:1"
        return
    if before is None:
        return
    outline = Outline(file.path, before.decode("utf-8", "surrogateescape"))
    agreed = list(_agreed(draft.lines, outline))
    for hunk in file.hunks:
        if not _is_agreed(hunk, agreed, outline):
            yield f"{file.path}:{max(hunk.old_start, 1)}"


def _agreed(lines: Iterable[int], outline: Outline) -> Iterator[range]:
    for line in lines:
        around = [scope for scope in outline.scopes if scope.first <= line <= scope.last]
        if around:
            yield range(around[-1].first, around[-1].last + 1)
        else:
            yield range(line - NEAR, line + NEAR + 1)
        for span in outline.statements:
            if span.touches(line):
                yield range(span.start[0], span.end[0] + 1)


def _is_agreed(hunk: Hunk, agreed: Sequence[range], outline: Outline) -> bool:
    """A hunk's removed lines must be agreed; what is only added may also stand outside every function."""
    removed = hunk.removed
    if removed:
        return all(any(line in lines for lines in agreed) or _is_import(line, outline) for line in removed)
    at = hunk.old_start
    inside = any(scope.first <= at < scope.last for scope in outline.scopes)
    return not inside or any(at in lines or at + 1 in lines for lines in agreed)


def _is_import(line: int, outline: Outline) -> bool:
    return any(span.is_import and span.touches(line) for span in outline.statements)
