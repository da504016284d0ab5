"""Text with everything a formatter may change taken out."""

import re
from functools import lru_cache
from pathlib import PurePosixPath

_STRING = r"'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`"
_HASH = re.compile(rf"(?P<string>{_STRING})|(?P<comment>\#[^\n]*)|\w+|[^\s\w]")
_SLASHES = re.compile(rf"(?P<string>{_STRING})|(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)|\w+|[^\s\w]")
_SLASH_LANGUAGES = frozenset(
    [
        ".js",
        ".jsx",
        ".mjs",
        ".cjs",
        ".ts",
        ".tsx",
        ".go",
        ".java",
        ".kt",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".hpp",
        ".cs",
        ".rs",
        ".swift",
        ".php",
        ".scala",
        ".css",
        ".scss",
    ]
)
_FORMATTING = frozenset("(),;\\")  # redundant parentheses, trailing commas, line continuations


@lru_cache(maxsize=8192)
def normal_form(text: str, path: str) -> str:
    """Tokens joined by single spaces: without layout, comments, parentheses, commas and the choice of quotes.

    It serves to tell statements apart, not to be run. A text that is a comment only is kept, with its spaces collapsed.
    """
    pattern = _SLASHES if PurePosixPath(path).suffix in _SLASH_LANGUAGES else _HASH
    tokens = (_token(match) for match in pattern.finditer(text))
    return " ".join(token for token in tokens if token) or " ".join(text.split())


def _token(match: re.Match[str]) -> str:
    if match["comment"]:
        return ""
    if match["string"]:
        return _unquoted(match["string"])
    return "" if match[0] in _FORMATTING else match[0]


def _unquoted(string: str) -> str:
    marks = 3 if string[:3] in ("'''", '"""') else 1
    inner = string[marks:-marks].replace("\\'", "'").replace('\\"', '"')
    return f'"{" ".join(inner.split())}"'
