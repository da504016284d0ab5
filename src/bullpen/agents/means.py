"""What kinds of agents that reach outside are given: secrets by name, and where answers of remote agents arrive."""

from collections.abc import Callable
from dataclasses import dataclass

from bullpen.agents.callbacks import Callbacks
from bullpen.domain.errors import Missing


@dataclass(frozen=True, slots=True)
class Means:
    """``secret`` gives the value of a secret by its name, None if there is none. It is asked only when it is used."""

    secret: Callable[[str], str | None] = lambda _name: None
    callbacks: Callbacks | None = None

    def value_of(self, name: str) -> str:
        """The value of a secret.

        Raises:
            Missing: there is none of that name.
        """
        value = self.secret(name)
        if not value:
            raise Missing(f"There is no secret called {name}.", remedy=f"Set it: bullpen secrets set {name}")
        return value

    def for_answers(self) -> Callbacks:
        """Where remote agents answer; Missing where nothing listens."""
        if self.callbacks is None:
            raise Missing(
                "Nothing here can receive the answers of remote agents.", remedy="Start the server."
            )
        return self.callbacks
