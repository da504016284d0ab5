"""What the database's backend says thousands of times a second, to SQLite: statements of its driver, in this process."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from bullpen.kernel.bus.backends._found import Found, Search
from bullpen.kernel.bus.messages import Message, seal
from bullpen.kernel.storage.sqlite import SqliteStore

_COUNT = "select count(*) from message where organization_id = ? and queue = ?"
_PUT = """
    insert into message
    (organization_id, queue, id, priority, deadline, body, deliveries, attempts, free_at, token)
    values (?, ?, ?, ?, ?, ?, 0, 0, 0.0, '') on conflict do nothing
"""
_FIND = """
    select position, queue, priority, body, deliveries + 1, attempts + 1 from message
    where organization_id = :organization and queue in (select value from json_each(:queues))
    and (free_at <= :at or free_at > :at + :horizon)
    order by priority, position limit :limit
"""
_LEASE = """
    update message set deliveries = deliveries + 1, attempts = attempts + 1, free_at = ?, token = ?
    where position = ?
"""
_SETTLE = "delete from message where position = ?"


@dataclass(frozen=True, slots=True)
class OnSqlite:
    """See ``HotPath``."""

    store: SqliteStore

    async def put(
        self, organization: str, messages: Sequence[Message], bound: int, settled: Sequence[int]
    ) -> bool:
        """See ``HotPath.put``."""
        rows = [(organization, one.to, one.id, one.priority, one.deadline, seal(one)) for one in messages]
        async with self.store.driving(announce=bool(messages)) as driver:
            driver.executemany(_SETTLE, [(position,) for position in settled])
            if not _fits(driver, organization, messages, bound):
                return False
            driver.executemany(_PUT, rows)
        return True

    async def claim(self, search: Search, token: str) -> Sequence[Found]:
        """See ``HotPath.claim``."""
        at = search.at or 0.0
        where = {"organization": search.organization, "queues": json.dumps(search.queues), "at": at}
        async with self.store.driving() as driver:
            found = driver.execute(
                _FIND, {**where, "horizon": search.horizon, "limit": search.limit}
            ).fetchall()
            driver.executemany(_LEASE, [(at + search.lease, token, row[0]) for row in found])
        return [Found._make(row) for row in found]


def _fits(driver: Connection, organization: str, messages: Sequence[Message], bound: int) -> bool:
    """Whether every queue has room for all that are for it."""
    more = Counter(one.to for one in messages)
    return all(
        driver.execute(_COUNT, (organization, queue)).fetchone()[0] + count <= bound
        for queue, count in more.items()
    )
