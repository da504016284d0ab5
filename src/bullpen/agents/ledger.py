"""How the agents of a fleet fare, kept in the records: it survives restarts, and every process sees the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bullpen.agents.actions import begin_run, change_health, end_run
from bullpen.agents.discovery import Key, Registration
from bullpen.agents.health import LONGEST_REST, Health
from bullpen.agents.queries import count_runs, list_states
from bullpen.domain.actor import Actor
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database

SLACK_SECONDS = 30.0  # beyond an agent's own limit, before a run that nobody ended counts as over


@dataclass(frozen=True, slots=True)
class RecordedLedger:
    """See ``fleet.Ledger``. A process that is killed leaves its runs counted until they are
    begun again, or their time would have been up."""

    database: Database
    actor: Actor

    async def begin(self, key: Key, one: Registration, run: str, admit: Callable[[Health], None]) -> Health:
        """See ``fleet.Ledger.begin``."""
        seconds = one.manifest.limits.seconds + SLACK_SECONDS
        async with self.database.transaction(self.actor) as uow:
            return await begin_run(
                uow, key, one.revision, run, seconds, lambda health: admit(in_time(health))
            )

    async def end(self, key: Key, one: Registration, run: str, change: Callable[[Health], Health]) -> Health:
        """See ``fleet.Ledger.end``."""
        async with self.database.transaction(self.actor) as uow:
            return await end_run(uow, key, one.revision, run, lambda health: change(in_time(health)))

    async def learn(self, key: Key, one: Registration, change: Callable[[Health], Health]) -> Health:
        """See ``fleet.Ledger.learn``."""
        async with self.database.transaction(self.actor) as uow:
            return await change_health(uow, key, one.revision, lambda health: change(in_time(health)))

    async def read(self, agents: Mapping[Key, Registration]) -> Mapping[Key, Health]:
        """See ``fleet.Ledger.read``."""
        async with self.database.view(self.actor) as uow:
            states = await list_states(uow, now())
            running = await count_runs(uow, now())
        found: dict[Key, Health] = {}
        for key, one in agents.items():
            state = states.get((*key, one.revision))
            if state is not None:
                found[key] = in_time(replace(state.health, running=running.get(key, 0)))
        return found


def in_time(health: Health) -> Health:
    """The same with a rest that ends within the longest there is: a clock that was set back prolongs none."""
    if health.rest_until is None or health.rest_until <= now() + LONGEST_REST:
        return health
    return replace(health, rest_until=now() + LONGEST_REST)
