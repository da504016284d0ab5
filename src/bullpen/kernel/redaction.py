"""Take secrets out of a text before it is recorded, shown or sent.

Two kinds are known: values the platform holds (each in the forms it takes inside JSON, a URL and base64), and values
that look like a secret by their shape. Each shape is only searched for where its marker occurs, so a text without
secrets costs a few scans for short strings.
"""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

REDACTED = "[redacted]"
SHORTEST_SECRET = 6  # a shorter value would take half of every text with it

# not in the middle of a word; the letter of an escape inside JSON, as in "\\nsk-…", is not part of a word
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt]))"
_SHAPES_BY_MARKERS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
            r"(?:(?:[^\"'\\]|\\[nrt])*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|(?:[^\"'\\]|\\[nrt])*)"
        ),
    ),
    (("gho_", "ghp_", "ghr_", "ghs_", "ghu_"), re.compile(r"gh[oprsu]_[A-Za-z0-9]{20,255}")),
    (("github_pat_",), re.compile(r"github_pat_[A-Za-z0-9_]{22,255}")),
    (("glpat-", "gldt-", "glrt-"), re.compile(r"gl(?:pat|dt|rt)-[A-Za-z0-9_\-.]{16,255}")),
    (("sk-",), re.compile(_START + r"sk-[A-Za-z0-9_\-]{20,255}")),
    (("sk_live_", "rk_live_", "sk_test_"), re.compile(r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}")),
    (("AKIA", "ASIA"), re.compile(r"(?<![A-Z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])")),
    (("xox",), re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,255}")),
    (("AIza",), re.compile(r"AIza[A-Za-z0-9_\-]{35}")),
    (("npm_",), re.compile(r"npm_[A-Za-z0-9]{36}")),
    (("pypi-AgE",), re.compile(r"pypi-AgE[A-Za-z0-9_\-]{40,}")),
    (("hf_",), re.compile(_START + r"hf_[A-Za-z0-9]{30,}")),
    (("SG.",), re.compile(r"SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}")),
    (("eyJ",), re.compile(r"eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}")),
)
_SHAPES = tuple((marker, shape) for markers, shape in _SHAPES_BY_MARKERS for marker in markers)
_URL_CREDENTIALS = re.compile(r"(?<=://)(?:[^\s/@:\"'\\]*:[^\s/@\"'\\]+|[A-Za-z0-9_\-.]{20,})(?=@)")
_BEARER = re.compile(r"(?i)" + _START + r"(bearer|basic)\s+[A-Za-z0-9+/_\-.=]{16,}")
_NAMED = re.compile(
    r"(?i)((?:password|passwd|secret|token|api_?key|access_?key|private_?key)[\w-]*\\?[\"']?\s*[:=]\s*\\?[\"'])"
    r"(?=[^\"'\\\s]*[0-9])(?=[^\"'\\\s]*[A-Za-z])([^\"'\\\s]{12,})(?=\\?[\"'])"
)
_NAMES = ("password", "passwd", "secret", "token", "key")


class Redactor:
    """Knows the secret values of a run. Immutable; safe to share."""

    __slots__ = ("_known", "_mark")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._mark = "" if any(_touches_mark(form) for form in forms) else REDACTED

    def redact(self, text: str) -> str:
        """The same text with every known value, and every value shaped like a secret, replaced."""
        return self._without_known(_without_shapes(self._without_known(text))) if text else text

    def _without_known(self, text: str) -> str:
        while self._known is not None and self._known.search(text):
            text = self._known.sub(self._mark, text)
        return text


def _forms(secret: str) -> set[str]:
    if len(secret) < SHORTEST_SECRET:
        return set()
    raw = secret.encode("utf-8", "surrogateescape")
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    written = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return written | {quote(raw, safe="")} | {form.rstrip("=") for form in encoded}


def _touches_mark(form: str) -> bool:
    """Whether a value could appear again out of the mark and the text around it."""
    return "[" in form or "]" in form or form in REDACTED


def _without_shapes(text: str) -> str:
    for marker, shape in _SHAPES:
        if marker in text:
            text = shape.sub(REDACTED, text)
    if "://" in text and "@" in text:
        text = _URL_CREDENTIALS.sub(REDACTED, text)
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:
        text = _BEARER.sub(rf"\1 {REDACTED}", text)
    for name in _NAMES:
        if name in lowered:
            return _NAMED.sub(rf"\1{REDACTED}", text)
    return text
