"""Scope: a change stays in the files and lines that were agreed. Pure."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from bullpen.analysis.outline import Outline, parse_python
from bullpen.domain.change import FileChange
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.guards import is_test_path
from bullpen.vcs.diffs import Diff, FileDiff, Hunk

NEAR = 3  # lines around a site that belong to it where there is no syntax to tell


def outside_scope(draft: ItemDraft, diff: Diff, changes: Sequence[FileChange]) -> list[str]:
    """Places the change touches that the item did not name: ``path:line`` each.

    Agreed are the innermost function or class around each site, lines near a site outside any, and imports and new
    names added outside functions. An item about tests may add test files. No file may go, or change its kind or mode.
    """
    by_path = {change.path: change for change in changes}
    return [place for file in diff.files for place in _strayed(draft, file, by_path.get(file.path))]


def agreed_ranges(path: str, lines: Sequence[int], before: bytes) -> list[range]:
    """Lines of a file that may change for an item at ``lines``."""
    return list(_agreed(lines, Outline(path, before.decode("utf-8", "surrogateescape"))))


def _strayed(draft: ItemDraft, file: FileDiff, change: FileChange | None) -> Iterator[str]:
    if file.path != draft.path:
        may_add = draft.kind == "qa" and is_test_path(file.path)
        if not may_add or _other_kind(file):
            yield f"{file.path}:1"
        return
    if change is None or change.before is None or change.after is None or _other_kind(file):
        yield f"{file.path}:1"
        return
    before = Outline(file.path, _text(change.before))
    after = Outline(file.path, _text(change.after))
    agreed = list(_agreed(draft.lines, before))
    for hunk in file.hunks:
        if not _is_agreed(hunk, agreed, before, after):
            yield f"{file.path}:{max(hunk.old_start, 1)}"


def _other_kind(file: FileDiff) -> bool:
    """A link or a program where there was a plain file, or the other way round, or content that is no text."""
    new = file.old_mode == "000000" and file.new_mode == "100644"
    return file.binary or not (new or file.old_mode == file.new_mode)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


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


def _is_agreed(hunk: Hunk, agreed: Sequence[range], before: Outline, after: Outline) -> bool:
    """A hunk's removed lines must be agreed; what is only added may also be an import or a new name outside functions."""
    if hunk.removed:
        return all(_is_within(line, agreed) or _is_import(line, before) for line in hunk.removed)
    at = hunk.old_start
    if _is_within(at, agreed) or _is_within(at + 1, agreed):
        return True
    if any(scope.first <= at < scope.last for scope in before.scopes):
        return False
    return _adds_names_only(hunk, before, after)


def _is_within(line: int, agreed: Sequence[range]) -> bool:
    return any(line in lines for lines in agreed)


def _is_import(line: int, outline: Outline) -> bool:
    if outline.path.endswith(".go"):
        return _is_go_import(line, outline.lines)
    return any(span.is_import and span.touches(line) for span in outline.statements)


_GO_IMPORT = re.compile(r"""\s*(?:import\s+)?(?:(?!_\s)[\w.]+\s+)?(?:"[^"\\]+"|`[^`]+`)\s*(?://.*)?$""")
_GO_ALONE = re.compile(r"import\b")
_GO_HEAD = re.compile(r"\s*(?:package\s+\w+|import\s*\(?.*|//.*|/\*.*\*/|\))?\s*$")


def _is_go_import(line: int, lines: Sequence[str]) -> bool:
    """Imports of Go stand before everything else: nothing but the package, imports and comments is above one."""
    if not _GO_IMPORT.match(lines[line - 1]):
        return False
    above = lines[: line - 1]
    in_head = all(_GO_HEAD.match(one) or _GO_IMPORT.match(one) for one in above)
    return in_head and (bool(_GO_ALONE.match(lines[line - 1])) or _opened(above))


def _opened(above: Sequence[str]) -> bool:
    """Whether a block of imports is open below these lines."""
    for one in reversed(above):
        if one.strip() == ")":
            return False
        if re.match(r"import\s*\(", one):
            return True
    return False


_LIKE_IMPORT = re.compile(
    r"""\s*(?:import\b|from\b|use\b|require\b|"[\w./-]+"$|\w+\s+"[\w./-]+"$|[()]?$|const .*require\()"""
)


def _adds_names_only(hunk: Hunk, before: Outline, after: Outline) -> bool:
    """Imports, and names that were not there; where there is no syntax to tell, lines that look like imports."""
    if not before.path.endswith((".py", ".pyi")):
        return all(_LIKE_IMPORT.match(after.lines[line - 1]) for line in hunk.added)
    imports = (ast.Import, ast.ImportFrom)
    known = {name for node in _top(before) if not isinstance(node, imports) for name in _names(node)}
    added = [node for node in _top(after) if _overlaps(node, hunk.added)]
    return all(_is_new(node, known) for node in added)


def _top(outline: Outline) -> Sequence[ast.stmt]:
    tree = parse_python(outline.text)
    return tree.body if tree else ()


def _overlaps(node: ast.stmt, lines: Iterable[int]) -> bool:
    return any(node.lineno <= line <= (node.end_lineno or node.lineno) for line in lines)


def _is_new(node: ast.stmt, known: Iterable[str]) -> bool:
    names = _names(node)
    return bool(names) and not names & set(known)


def _names(node: ast.stmt) -> set[str]:
    """What a statement at the top of a module defines; nothing for one that does something else."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".", 1)[0] for alias in node.names}
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}
