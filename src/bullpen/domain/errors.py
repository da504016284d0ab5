"""Every error a person can meet, in one tree.

    BullpenError
    ├── InvalidInput        400  what was asked cannot be understood or is not allowed to be asked
    │   └── UnusableRepository   the repository cannot be worked on, and why
    ├── PermissionRefused   403  the actor, the policy or the file system says no
    ├── NotFound            404
    ├── Conflict            409  true when it was asked, not any more
    ├── LimitExceeded       429  time, memory, budget, size
    ├── Missing             424  something this machine lacks; ``remedy`` says how to get it
    └── Unavailable         503  try again later

An error carries a code that programs can test, a sentence for people, and what to do next.
"""

from collections.abc import Mapping

AWAY = "database-away"  # the code of an Unavailable that says nothing about what was being done: do it again


class BullpenError(Exception):
    """Root of the tree. ``remedy`` is one sentence a person can act on."""

    status = 500
    exit_status = 1
    code = "internal"

    def __init__(
        self, sentence: str, *, remedy: str = "", code: str = "", data: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy
        self.data: Mapping[str, str] = data or {}
        if code:
            self.code = code


class InvalidInput(BullpenError):
    """What was asked cannot be understood, or may not be asked."""

    status = 400
    exit_status = 2
    code = "invalid-input"


class UnusableRepository(InvalidInput):
    """The repository cannot be worked on; the sentence says why."""

    code = "unusable-repository"


class PermissionRefused(BullpenError):
    """The actor, the policy or the file system says no."""

    status = 403
    exit_status = 3
    code = "permission-refused"


class NotFound(BullpenError):
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    exit_status = 2
    code = "not-found"


class Conflict(BullpenError):
    """True when it was asked, not any more."""

    status = 409
    exit_status = 4
    code = "conflict"


class LimitExceeded(BullpenError):
    """Time, memory, budget or size ran out."""

    status = 429
    exit_status = 5
    code = "limit-exceeded"


class Missing(BullpenError):
    """Something this machine lacks."""

    status = 424
    exit_status = 6
    code = "missing"


class Unavailable(BullpenError):
    """Not now; the same call may work later."""

    status = 503
    exit_status = 7
    code = "unavailable"
