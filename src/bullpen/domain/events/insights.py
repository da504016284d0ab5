"""What was learned of finished runs, and what followed from it."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class SettingChanged(Event):
    """A setting that may follow the measurements has another value, from the next session on.

    ``how`` is adapted (on trial), kept (the trial is over), returned (results got worse), pinned, released or undone;
    ``reason`` holds the evidence in words.
    """

    name: str
    before: str
    after: str
    how: str
    by: str
    reason: str
