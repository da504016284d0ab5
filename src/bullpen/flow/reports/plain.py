"""Text of repositories made safe to look at: what cannot be seen, or changes how its neighbours are seen, is spelt out.

Right-to-left overrides and their kind let source read otherwise than it runs (CVE-2021-42574, "Trojan Source").
"""

import unicodedata
from urllib.parse import urlsplit

from bullpen.kernel.redaction import Redactor

_SPELT_OUT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_REDACTOR = Redactor()


def visible(text: str, *, keep: str = "\n\t") -> str:
    """The text with control, format (bidi, zero-width), surrogate and unassigned characters as ``⟦U+202E⟧``.

    Bytes that were not UTF-8 (low surrogates of ``surrogateescape``) become ``⟦\\xE9⟧``. Those in ``keep`` stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelt(letter) if _is_hidden(letter, keep) else letter for letter in text)


def one_line(text: str) -> str:
    """The same with every run of white space as one space."""
    return visible(" ".join(text.split()))


def without_secrets(text: str) -> str:
    """The same with everything that has the shape of a secret replaced."""
    return _REDACTOR.redact(text)


def shorten(text: str, most: int) -> str:
    """At most ``most`` characters; a cut is shown by an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def web_address(url: str) -> str:
    """The URL if it leads to a web page, else nothing: ``javascript:`` and its kind are never followed."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else ""


def _is_hidden(letter: str, keep: str) -> bool:
    return unicodedata.category(letter) in _SPELT_OUT and letter not in keep


def _spelt(letter: str) -> str:
    code = ord(letter)
    return f"⟦\\x{code - 0xDC00:02X}⟧" if 0xDC80 <= code <= 0xDCFF else f"⟦U+{code:04X}⟧"
