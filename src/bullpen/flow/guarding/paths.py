"""Which files are tests, and which hold what tests expect, by the conventions of the common frameworks."""

from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_FOLDERS = frozenset({"test", "tests", "testing", "__tests__", "spec", "__snapshots__", "testdata"})
_NAMES = (
    *("test_*.py", "*_test.py", "conftest.py", "*.test.*", "*.spec.*", "*_test.go", "*Test.java"),
    *("*Tests.java", "*_spec.rb", "*.snap", "*.ambr"),
)
_CODE = frozenset(
    {
        *(".py", ".pyi", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".go", ".java", ".kt"),
        *(".rs", ".rb", ".sh", ".bash", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cs", ".php", ".swift"),
        *(".scala", ".lua", ".pl", ".sql", ".ex", ".exs", ".hs", ".clj", ".dart", ".vue", ".svelte", ".ps1"),
        *(".zig", ".erl", ".ml", ".fs", ".groovy", ".m", ".mm", ".r", ".jl", ".nim", ".elm", ".tcl"),
    }
)
_WORDS = frozenset({".md", ".rst", ".adoc"})


def is_test_path(path: str) -> bool:
    """Whether a path is test code, or belongs to it."""
    place = PurePosixPath(path)
    in_folder = any(part in _FOLDERS for part in place.parts[:-1])
    return in_folder or any(fnmatchcase(place.name, pattern) for pattern in _NAMES)


def is_test_data(path: str) -> bool:
    """Whether a file beside tests is data they read or compare with, and not code or documentation."""
    ending = PurePosixPath(path).suffix.lower()
    return is_test_path(path) and ending not in _CODE and ending not in _WORDS


def is_code_path(path: str) -> bool:
    """Whether a file holds a program's text, by its ending; settings and documents do not."""
    return PurePosixPath(path).suffix.lower() in _CODE


def is_document_path(path: str) -> bool:
    """Whether a file holds words for people, by its ending."""
    return PurePosixPath(path).suffix.lower() in _WORDS


def is_collected(path: str) -> bool:
    """Whether pytest looks for tests in a Python file of this name."""
    name = PurePosixPath(path).name
    return fnmatchcase(name, "test_*.py") or fnmatchcase(name, "*_test.py")
