"""A wire adapter's memory of a dialogue: each message is serialised once, when it is added.

A request body is the bytes so far between a head and a tail, so a call costs a copy of bytes and nothing per message.
"""

import json
from collections.abc import Mapping
from typing import Any


class History:
    """An append-only list of JSON objects kept as its own serialisation."""

    __slots__ = ("_bytes", "_count")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, message: Mapping[str, Any]) -> None:
        """Append one message; the cost depends on this message alone."""
        if self._count:
            self._bytes += b","
        self._bytes += json.dumps(message, separators=(",", ":")).encode("ascii")
        self._count += 1

    def body(self, settings: Mapping[str, Any], key: str = "messages") -> bytes:
        """The request: ``settings`` with the messages under ``key`` as its last member."""
        head = json.dumps(settings, separators=(",", ":")).encode("ascii")[:-1]
        comma = b"," if settings else b""
        return b"".join((head, comma, json.dumps(key).encode("ascii"), b":[", self._bytes, b"]}"))
