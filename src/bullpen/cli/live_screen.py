"""The live view on a terminal: draws at most ten times a second, and once a second while nothing happens."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.live import Live

from bullpen.cli.live_tree import ASCII, UNICODE, Frame, draw
from bullpen.cli.progress import Progress, fold
from bullpen.kernel.bus.log import Recorded

IDLE_SECONDS = 1.0


@dataclass(slots=True)
class Tree:
    """A state, and the place on the terminal where it is drawn."""

    live: Live
    began: float
    state: Progress = field(default_factory=Progress)
    drawn_at: float = 0.0

    def show(self, events: Sequence[Recorded]) -> None:
        """See ``watching.Screen.show``."""
        now = time.time()
        if not events and now - self.drawn_at < IDLE_SECONDS:
            return
        self.state = fold(self.state, events)
        self.drawn_at = now
        self.live.update(draw(self.state, self._frame(now)), refresh=True)

    def _frame(self, now: float) -> Frame:
        glyphs = ASCII if self.live.console.options.ascii_only else UNICODE
        return Frame(self.live.console.size.height, now, self.began, glyphs)


@contextmanager
def live_screen(stream: TextIO) -> Generator[Tree]:
    """Draw on a terminal; the view is gone when it is left, and the summary takes its place."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        yield Tree(live, time.time())
