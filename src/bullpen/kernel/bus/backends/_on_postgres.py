"""What the database's backend says thousands of times a second, to PostgreSQL: each batch is one value, a list as JSON.

So a batch costs one round trip, and about the same for one message and for a hundred.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bullpen.kernel.bus.backends._found import Found, Search
from bullpen.kernel.bus.messages import Message, seal
from bullpen.kernel.storage.postgres import PostgresStore, Words

_COLUMNS = "organization_id, queue, id, priority, deadline, body, deliveries, attempts, free_at, token"
_COUNTED = "deliveries = deliveries + 1, attempts = attempts + 1"
_PUT = f"""
    insert into message ({_COLUMNS})
    select %(organization)s::text, g.q, g.i, g.p, g.d, g.b, 0, 0, 0, ''
    from rows from (
        json_to_recordset(%(rows)s::json) as (q text, i text, p int, d float8, b text)
    ) with ordinality g (q, i, p, d, b, number)
    where not exists (
        select from json_to_recordset(%(wanted)s::json) as w (q text, n int)
        where w.n + (
            select count(*) from message where organization_id = %(organization)s::text and queue = w.q
        ) > %(bound)s
    )
    order by g.number
    on conflict do nothing returning 1
"""  # noqa: S608 - our own text
_CLAIM = f"""
    with moment as materialized (
        select coalesce(%(at)s::float8, extract(epoch from clock_timestamp())::float8) as at
    ), found as materialized (
        select position from message, moment
        where organization_id = %(organization)s::text
        and queue = any(array(select json_array_elements_text(%(queues)s::json)))
        and (free_at <= at or free_at > at + %(horizon)s)
        order by priority, position limit %(limit)s for update of message skip locked
    )
    update message
    set {_COUNTED}, token = %(token)s, free_at = (select at from moment) + %(lease)s
    where position = any(array(select position from found))
    returning position, queue, priority, body, deliveries, attempts
"""  # noqa: S608
_SETTLE = """
    delete from message
    where position = any(array(select json_array_elements_text(%(positions)s::json)::bigint))
"""


@dataclass(frozen=True, slots=True)
class OnPostgres:
    """See ``HotPath``. Consumers pass over each other's rows, so only those who put take their turn."""

    store: PostgresStore

    async def put(
        self, organization: str, messages: Sequence[Message], bound: int, settled: Sequence[int]
    ) -> bool:
        """See ``HotPath.put``."""
        words = [Words(_SETTLE, {"positions": json.dumps(settled)})] if settled else []
        if not messages:
            await self.store.at_once("", words)
            return True
        words.append(_putting(organization, messages, bound))
        *_, rows = await self.store.at_once(organization, words, announce=True)
        return bool(rows)

    async def claim(self, search: Search, token: str) -> Sequence[Found]:
        """See ``HotPath.claim``."""
        values = {
            "organization": search.organization,
            "queues": json.dumps(search.queues),
            "at": search.at,
            "horizon": search.horizon,
            "limit": search.limit,
            "lease": search.lease,
            "token": token,
        }
        (rows,) = await self.store.at_once("", [Words(_CLAIM, values)])
        return sorted(map(Found._make, rows), key=Found.order)


def _putting(organization: str, messages: Sequence[Message], bound: int) -> Words:
    """A row for each that is inserted: none where a queue would be too full, or all are there already."""
    rows = [
        {"q": one.to, "i": one.id, "p": int(one.priority), "d": one.deadline, "b": seal(one)}
        for one in messages
    ]
    wanted = [{"q": queue, "n": count} for queue, count in Counter(one.to for one in messages).items()]
    return Words(
        _PUT,
        {
            "organization": organization,
            "bound": bound,
            "rows": json.dumps(rows),
            "wanted": json.dumps(wanted),
        },
    )
