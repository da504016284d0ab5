"""Where remote agents answer: signed tokens that open one door once, until a deadline.

A token is a payload and its HMAC-SHA256 (RFC 2104), each in base64url. It names the call, so an answer can only reach the
run that asked; the run itself is waited for in this process, so a token of a run that is over opens nothing.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from bullpen.domain.errors import Conflict, InvalidInput, LimitExceeded, NotFound, PermissionRefused
from bullpen.domain.ids import new_id
from bullpen.kernel.clock import now

LONGEST_ANSWER = 1024 * 1024  # bytes
MOST_MESSAGES = 1_000  # of one call
_SHORTEST_KEY = 32


@dataclass(slots=True)
class Call:
    """One call that waits for its answer. ``token`` opens the door, ``url`` is where it stands."""

    id: str
    token: str
    url: str
    messages: "asyncio.Queue[Mapping[str, Any]]" = field(default_factory=lambda: asyncio.Queue(MOST_MESSAGES))
    answered: bool = False


@dataclass(slots=True)
class Callbacks:
    """The open calls. ``key`` signs, ``url`` is the address of ``accept`` as remote agents reach it."""

    key: bytes = field(repr=False)
    url: str
    clock: Callable[[], float] = now
    _open: dict[str, Call] = field(default_factory=dict[str, Call])

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST_KEY:
            raise InvalidInput(f"The key that signs callbacks needs at least {_SHORTEST_KEY} bytes.")

    @contextmanager
    def call(self, seconds: float) -> Generator[Call]:
        """A door that is open while the run waits, at most ``seconds``."""
        name = new_id("call", 20)
        call = Call(name, self._token(name, self.clock() + seconds), self.url)
        self._open[name] = call
        try:
            yield call
        finally:
            del self._open[name]

    def accept(self, token: str, body: bytes) -> None:
        """Take a message of a remote agent: progress, usage, or its one answer. The API calls this.

        Raises:
            PermissionRefused: the token is forged, or its time is over.
            NotFound: the run it belongs to is over.
            Conflict: it was answered already.
            InvalidInput: the body is no JSON object.
            LimitExceeded: the body is too long, or there were too many messages.
        """
        call = self._open.get(self._opened(token))
        if call is None:
            raise NotFound("Nobody waits for this answer any more.")
        if call.answered:
            raise Conflict("This task was answered already; only the first answer counts.")
        message = _message(body)
        try:
            call.messages.put_nowait(message)
        except asyncio.QueueFull:
            raise LimitExceeded(f"More than {MOST_MESSAGES} messages wait to be read.") from None
        call.answered = message.get("type") in ("result", "error")

    def signature(self, body: bytes) -> str:
        """What a remote agent can check to know that a request is ours: hex of an HMAC with the shared key."""
        return hmac.new(self.key, body, hashlib.sha256).hexdigest()

    def _token(self, name: str, deadline: float) -> str:
        payload = json.dumps({"call": name, "until": deadline}).encode()
        return f"{_coded(payload)}.{_coded(self._seal(payload))}"

    def _opened(self, token: str) -> str:
        """The call a token names, if it is ours and in time."""
        try:
            payload, seal = (
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
            )
        except (ValueError, binascii.Error):
            raise PermissionRefused("The token is not one of ours.") from None
        if not hmac.compare_digest(seal, self._seal(payload)):
            raise PermissionRefused("The token is not one of ours.")
        said = cast("dict[str, Any]", json.loads(payload))
        if self.clock() > said["until"]:
            raise PermissionRefused("The time for this answer is over.")
        return str(said["call"])

    def _seal(self, payload: bytes) -> bytes:
        return hmac.new(self.key, b"callback\0" + payload, hashlib.sha256).digest()


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _message(body: bytes) -> Mapping[str, Any]:
    if len(body) > LONGEST_ANSWER:
        raise LimitExceeded(f"An answer has at most {LONGEST_ANSWER} bytes.")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("The answer is not JSON.") from None
    if not isinstance(message, dict):
        raise InvalidInput("The answer is not a JSON object.")
    return cast("dict[str, Any]", message)
