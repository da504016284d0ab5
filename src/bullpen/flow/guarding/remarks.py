"""Lines that say something to people alone, told without a parser, for languages that have none here."""

from pathlib import PurePosixPath

_HASH = frozenset({".sh", ".bash", ".rb", ".pl", ".r", ".ps1", ".ex", ".exs", ".jl", ".nim", ".tcl"})
_DASHES = frozenset({".sql", ".lua", ".hs", ".elm"})


def is_remark(path: str, line: str) -> bool:
    """Whether a line of a file of code is empty or a comment as a whole.

    A line inside a block comment does not show what it is, so it counts as code.
    """
    text = line.strip()
    ending = PurePosixPath(path).suffix.lower()
    mark = "#" if ending in _HASH else "--" if ending in _DASHES else "//"
    return not text or (text.startswith(mark) and not text.startswith("#!"))
