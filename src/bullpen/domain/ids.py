"""Identifiers: a short prefix that says what it names, then random or derived characters."""

import hashlib
import secrets
from typing import NewType

OrganizationId = NewType("OrganizationId", str)
ActorId = NewType("ActorId", str)
SessionId = NewType("SessionId", str)
ItemId = NewType("ItemId", str)
TaskId = NewType("TaskId", str)
ApprovalId = NewType("ApprovalId", str)

LOCAL_ORGANIZATION = OrganizationId("local")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter is mistaken for a digit


def new_id(prefix: str, length: int = 10) -> str:
    """A random identifier such as ``ses-4f9k2m0xqa`` (50 bits at the default length)."""
    return f"{prefix}-{''.join(_ALPHABET[byte % 32] for byte in secrets.token_bytes(length))}"


def derived_id(prefix: str, *parts: str, length: int = 10) -> str:
    """The same parts give the same identifier, so a step that runs again makes no second row."""
    digest = int.from_bytes(
        hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest(), "big"
    )
    letters: list[str] = []
    for _ in range(length):
        digest, rest = divmod(digest, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return f"{prefix}-{''.join(letters)}"
