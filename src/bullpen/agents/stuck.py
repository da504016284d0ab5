"""See that a run goes nowhere: the same call with the same answer, no progress, no calls, the same failing patch.

Only the last ``window`` steps are kept, and each as hashes, so watching costs the same at any step.
"""

import hashlib
from collections import Counter, deque
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
    """One call and its answer, as a hash of their texts. ``writes`` is for tools that change files."""

    tool: str
    digest: bytes
    ok: bool
    writes: bool


def call_seen(call: ToolCall, result: ToolResult, *, writes: bool) -> CallSeen:
    """What is kept of a call."""
    text = f"{call.tool}\0{call.arguments}\0{result.content}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
    return CallSeen(call.tool, digest, result.ok, writes)


@dataclass(slots=True)
class Watch:
    """Looks at each step as it is done; two watches that saw the same steps say the same."""

    patience: Patience = field(default_factory=Patience)
    _recent: deque[CallSeen] = field(default_factory=deque[CallSeen])
    _times: Counter[bytes] = field(default_factory=Counter[bytes])  # in _recent
    _same_steps: int = 0
    _silent: int = 0

    def step(self, calls: Sequence[CallSeen]) -> Sighting | None:
        """One step of the loop; a sighting means that the run should end."""
        if not calls:
            return self._say_nothing()
        self._silent = 0
        self._same_steps += 1
        for one in calls:
            times = self._remember(one)
            if times == 1:
                self._same_steps = 0
            found = self._repetition(one, times)
            if found:
                return found
        return self._no_progress()

    def _say_nothing(self) -> Sighting | None:
        self._silent += 1
        if self._silent < self.patience.silent:
            return None
        return Sighting(Ending.IDLE, f"{self._silent} replies in a row called no tool.")

    def _remember(self, one: CallSeen) -> int:
        """How often this call had this answer lately, this time included."""
        if one.writes and one.ok and not self._times[one.digest]:
            self._forget_questions()
        self._recent.append(one)
        self._times[one.digest] += 1
        if len(self._recent) > 2 * self.patience.without_progress:
            self._drop(self._recent.popleft())
        return self._times[one.digest]

    def _forget_questions(self) -> None:
        """After a change the same question may well be asked again."""
        for past in [past for past in self._recent if not past.writes]:
            self._drop(past)
        self._recent = deque(past for past in self._recent if past.writes)

    def _drop(self, past: CallSeen) -> None:
        self._times[past.digest] -= 1
        if not self._times[past.digest]:
            del self._times[past.digest]

    def _repetition(self, one: CallSeen, times: int) -> Sighting | None:
        if one.writes and not one.ok and times >= self.patience.same_failure:
            return Sighting(Ending.LOOPING, f"The same {one.tool} failed {times} times in the same way.")
        if times >= self.patience.repeats:
            return Sighting(
                Ending.LOOPING, f"The same {one.tool} was called {times} times with the same answer."
            )
        return None

    def _no_progress(self) -> Sighting | None:
        if self._same_steps < self.patience.without_progress:
            return None
        tools = ", ".join(sorted({one.tool for one in self._recent}))
        return Sighting(Ending.STUCK, f"{self._same_steps} steps brought nothing new (tools: {tools}).")
