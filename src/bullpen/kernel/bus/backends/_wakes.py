"""Who in this process waits for which queue."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

Wake = Callable[[], None]


@dataclass(slots=True)
class Wakes:
    """Callbacks by organization and queue."""

    _by_queue: dict[tuple[str, str], list[Wake]] = field(default_factory=dict[tuple[str, str], list[Wake]])

    @contextmanager
    def adding(self, organization: str, queues: Sequence[str], wake: Wake) -> Generator[None]:
        """``wake`` is called for these queues while it is open."""
        keys = [(organization, queue) for queue in queues]
        for key in keys:
            self._by_queue.setdefault(key, []).append(wake)
        try:
            yield
        finally:
            for key in keys:
                self._by_queue[key].remove(wake)
                if not self._by_queue[key]:
                    del self._by_queue[key]

    def ring(self, organization: str, queue: str) -> None:
        """Something came into a queue."""
        for wake in self._by_queue.get((organization, queue), ()):
            wake()

    def ring_all(self) -> None:
        """Something may have come into any."""
        for wakes in tuple(self._by_queue.values()):
            for wake in wakes:
                wake()
