"""Guards: a change may not weaken what judges it. Pure; every breach names its line."""

import re
from collections.abc import Iterator, Sequence

from bullpen.domain.change import FileChange
from bullpen.flow.guarding.breach import Breach, first_difference
from bullpen.flow.guarding.configuration import relaxed_configuration
from bullpen.flow.guarding.cost import slower_code
from bullpen.flow.guarding.directives import lost_examples, new_awareness, new_silences, new_skips
from bullpen.flow.guarding.documents import lost_words
from bullpen.flow.guarding.outlined import read_tests
from bullpen.flow.guarding.paths import is_collected, is_document_path, is_test_data, is_test_path
from bullpen.flow.guarding.plain_tests import weaker_plain_tests
from bullpen.flow.guarding.python_tests import weaker_tests
from bullpen.flow.guarding.rote import answers_by_rote
from bullpen.flow.guarding.swallowing import swallowed_errors

__all__ = ["Breach", "find_breaches", "is_test_path"]

_ALWAYS_EQUAL = re.compile(r"def __eq__\([^)]*\)[^:]*:\s*(?:#.*)?\s*return True\b")


def find_breaches(changes: Sequence[FileChange]) -> tuple[Breach, ...]:
    """Everything in a change that weakens tests, silences checkers, or touches what judges it.

    A file of tests that was renamed is compared with what it became.
    """
    found = (breach for change in _joined(changes) for breach in _breaches(change))
    return tuple(dict.fromkeys(found))


def _joined(changes: Sequence[FileChange]) -> Iterator[FileChange]:
    """Changes, with a deleted file of tests and a new one that has all its tests made one."""
    fresh = [change for change in changes if change.before is None and is_collected(change.path)]
    for change in changes:
        heir = _heir(change, fresh) if change.after is None and change.path.endswith(".py") else None
        yield FileChange(heir.path, change.before, heir.after) if heir else change


def _heir(gone: FileChange, fresh: Sequence[FileChange]) -> FileChange | None:
    names = _test_names(gone.before)
    return next((one for one in fresh if names and names <= _test_names(one.after)), None)


def _test_names(content: bytes | None) -> frozenset[str]:
    file = read_tests(_text(content))
    return frozenset(name for name, one in file.functions.items() if one.is_test) if file else frozenset()


def _breaches(change: FileChange) -> Iterator[Breach]:
    path, before, after = change.path, _text(change.before), _text(change.after)
    yield from relaxed_configuration(path, before, after)
    yield from new_silences(path, before, after)
    if is_test_path(path):
        yield from _in_tests(change, before, after)
    else:
        yield from new_awareness(path, before, after)
        yield from _in_code(path, before, after)
    if is_document_path(path):
        yield from lost_words(path, before, after)


def _in_tests(change: FileChange, before: str, after: str) -> Iterator[Breach]:
    path = change.path
    yield from new_skips(path, before, after)
    if change.after is None:
        yield Breach(path, 1, "deletes a file of tests")
    elif is_test_data(path):
        if change.before is not None:
            yield Breach(path, first_difference(before, after), "changes what tests expect")
    elif path.endswith(".py"):
        yield from weaker_tests(path, before, after)
    elif not path.endswith((".md", ".rst", ".adoc")):
        yield from weaker_plain_tests(path, before, after)


def _in_code(path: str, before: str, after: str) -> Iterator[Breach]:
    if not path.endswith(".py"):
        return
    yield from lost_examples(path, before, after)
    yield from answers_by_rote(path, before, after)
    yield from slower_code(path, before, after)
    yield from swallowed_errors(path, before, after)
    old = len(_ALWAYS_EQUAL.findall(before))
    for found in list(_ALWAYS_EQUAL.finditer(after))[old:]:
        yield Breach(path, after.count("\n", 0, found.start()) + 1, "makes everything equal: __eq__")


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
