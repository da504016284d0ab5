"""Which tests of a changed file are new, and which mean something else now."""

from dataclasses import dataclass

from bullpen.domain.change import FileChange
from bullpen.flow.guarding.normal import normal_text
from bullpen.flow.guarding.outlined import TestFile, read_tests
from bullpen.flow.guarding.plain_tests import titles


@dataclass(frozen=True, slots=True)
class FreshTests:
    """Names as pytest gives them after the path: ``Class::test`` or ``test``."""

    new: frozenset[str]
    changed: frozenset[str]


def fresh_tests(change: FileChange) -> FreshTests:
    """The new and the changed tests of a Python file."""
    old, new = _bodies(read_tests(_text(change.before))), _bodies(read_tests(_text(change.after)))
    changed = {name for name, body in new.items() if name in old and old[name] != body}
    return FreshTests(frozenset(new.keys() - old.keys()), frozenset(changed))


def has_fresh_titles(change: FileChange) -> bool:
    """Whether a file of tests in another language has a test whose title was not there before."""
    return bool(set(titles(_text(change.after))) - set(titles(_text(change.before))))


def _bodies(file: TestFile | None) -> dict[str, str]:
    if file is None:
        return {}
    return {name: normal_text(one.node) for name, one in file.functions.items() if one.is_test}


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
