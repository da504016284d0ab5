"""See that a run goes nowhere: the same call with the same answer, no progress, no calls, the same failing patch.

Only the last ``window`` steps are kept, and each as hashes, so watching costs the same at any step.
"""

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bullpen.agents.base import Ending
from bullpen.models.base import ToolCall, ToolResult


@dataclass(frozen=True, slots=True)
class Patience:
    """How much of the same is too much."""

    repeats: int = 3  # the same call with the same answer, in a row or in turn with others
    without_progress: int = 12  # steps in which nothing new was seen and nothing was changed
    silent: int = 2  # replies without a call, in a row
    same_failure: int = 2  # the same writing call failing


@dataclass(frozen=True, slots=True)
class Sighting:
    """Why a run should be stopped."""

    ending: Ending
    seen: str


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One call and its answer, as hashes of their texts. ``writes`` is for tools that change files."""

    tool: str
    call: bytes
    answer: bytes
    ok: bool
    writes: bool


def call_seen(call: ToolCall, result: ToolResult, *, writes: bool) -> CallSeen:
    """What is kept of a call."""
    return CallSeen(call.tool, _hash(call.tool, call.arguments), _hash(result.content), result.ok, writes)


def _hash(*texts: str) -> bytes:
    return hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=12).digest()


@dataclass(slots=True)
class Watch:
    """Looks at each step as it is done; two watches that saw the same steps say the same."""

    patience: Patience = field(default_factory=Patience)
    _recent: deque[CallSeen] = field(default_factory=deque[CallSeen])
    _idle_steps: int = 0
    _silent: int = 0

    def step(self, calls: Sequence[CallSeen]) -> Sighting | None:
        """One step of the loop; a sighting means that the run should end."""
        if not calls:
            return self._say_nothing()
        self._silent = 0
        progress = [self._is_progress(one) for one in calls]
        self._idle_steps = 0 if any(progress) else self._idle_steps + 1
        for one, is_new in zip(calls, progress, strict=True):
            if one.writes and one.ok and is_new:  # after a change the same question may well be asked again
                self._recent = deque(past for past in self._recent if past.writes)
            self._recent.append(one)
            found = self._repetition(one)
            if found:
                return found
        while len(self._recent) > 2 * self.patience.without_progress:
            self._recent.popleft()
        return self._no_progress()

    def _say_nothing(self) -> Sighting | None:
        self._silent += 1
        if self._silent < self.patience.silent:
            return None
        return Sighting(Ending.IDLE, f"{self._silent} replies in a row called no tool.")

    def _is_progress(self, one: CallSeen) -> bool:
        """A change that worked, or an answer not seen lately."""
        return all((one.call, one.answer) != (past.call, past.answer) for past in self._recent)

    def _repetition(self, one: CallSeen) -> Sighting | None:
        same = [past for past in self._recent if (past.call, past.answer) == (one.call, one.answer)]
        if one.writes and not one.ok and len(same) >= self.patience.same_failure:
            return Sighting(Ending.LOOPING, f"The same {one.tool} failed {len(same)} times in the same way.")
        if len(same) >= self.patience.repeats:
            return Sighting(
                Ending.LOOPING, f"The same {one.tool} was called {len(same)} times with the same answer."
            )
        return None

    def _no_progress(self) -> Sighting | None:
        if self._idle_steps < self.patience.without_progress:
            return None
        tools = ", ".join(sorted({one.tool for one in self._recent}))
        return Sighting(Ending.STUCK, f"{self._idle_steps} steps brought nothing new (tools: {tools}).")
