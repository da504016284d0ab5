"""A double that runs nothing: it answers commands with prepared outcomes. For tests of callers and for demonstrations.

``auto`` never chooses it.
"""

from collections.abc import Callable, Mapping

from bullpen.domain.errors import NotFound
from bullpen.sandbox.base import Command, Outcome, Probe

Script = Mapping[tuple[str, ...], Outcome] | Callable[[Command], Outcome]


class Scripted:
    """Answers from ``script``: outcomes by argument vector, or a function of the command.

    ``commands`` are those it was asked to run, oldest first.
    """

    name = "scripted"

    def __init__(self, script: Script) -> None:
        self._script = script
        self.commands: list[Command] = []

    async def probe(self) -> Probe:
        """Always works, and says what it is."""
        return Probe(self.name, works=True, weaknesses=("runs nothing: its answers are prepared",))

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """The prepared outcome; its output goes to ``on_output`` first.

        Raises:
            NotFound: nothing was prepared for this command.
        """
        self.commands.append(command)
        outcome = self._answer(command)
        for output in (outcome.stdout, outcome.stderr):
            if on_output and output:
                on_output(output)
        if command.talk and outcome.stdout:
            command.talk.hears(outcome.stdout)
        return outcome

    def _answer(self, command: Command) -> Outcome:
        if callable(self._script):
            return self._script(command)
        if command.argv not in self._script:
            raise NotFound(f"No outcome was prepared for {' '.join(command.argv)!r}.")
        return self._script[command.argv]


backend = Scripted({})
