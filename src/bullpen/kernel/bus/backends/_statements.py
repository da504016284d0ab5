"""What the database's backend says thousands of times a second, in the words of each database.

A batch is one value, a list as JSON: so a statement costs about the same for one message and for a hundred.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bullpen.kernel.bus.messages import Message, seal
from bullpen.kernel.storage.unit_of_work import Words


@dataclass(frozen=True, slots=True)
class Statements:
    """Texts for one kind of database; ``put`` inserts where every queue has room for all of its own, else nothing."""

    put: str
    claim: str
    settle: str

    def putting(self, organization: str, messages: Sequence[Message], bound: int) -> Words:
        """A row for each that was inserted: none where a queue would be too full, or all were there already."""
        more = Counter(one.to for one in messages)
        rows = [
            {"q": one.to, "i": one.id, "p": int(one.priority), "d": one.deadline, "b": seal(one)}
            for one in messages
        ]
        wanted = [{"q": queue, "n": count} for queue, count in more.items()]
        values = {"rows": json.dumps(rows), "wanted": json.dumps(wanted)}
        return Words(self.put, {"organization": organization, "bound": bound, **values})

    def settling(self, positions: Sequence[int]) -> Words:
        """They go."""
        return Words(self.settle, {"positions": json.dumps(positions)})

    def claiming(self, organization: str, queues: Sequence[str], **values: float | str | None) -> Words:
        """Lease up to ``limit`` from ``at`` on, and return them in any order; ``at`` None is the server's clock."""
        return Words(self.claim, {"organization": organization, "queues": json.dumps(queues), **values})


_COLUMNS = "organization_id, queue, id, priority, deadline, body, deliveries, attempts, free_at, token"
_COUNTED = "deliveries = deliveries + 1, attempts = attempts + 1"
_FOUND = "priority, position, queue, body, deliveries, attempts"

SQLITE = Statements(
    put=f"""
        insert into message ({_COLUMNS})
        select :organization, json_extract(value, '$.q'), json_extract(value, '$.i'), json_extract(value, '$.p'),
            json_extract(value, '$.d'), json_extract(value, '$.b'), 0, 0, 0.0, ''
        from json_each(:rows)
        where not exists (
            select 1 from json_each(:wanted) w
            where json_extract(w.value, '$.n') + (
                select count(*) from message
                where organization_id = :organization and queue = json_extract(w.value, '$.q')
            ) > :bound
        )
        on conflict do nothing returning 1
    """,  # noqa: S608 - our own text
    claim=f"""
        update message set {_COUNTED}, token = :token, free_at = :at + :lease
        where position in (
            select position from message
            where organization_id = :organization and queue in (select value from json_each(:queues))
            and (free_at <= :at or free_at > :at + :horizon)
            order by priority, position limit :limit
        )
        returning {_FOUND}
    """,  # noqa: S608
    settle="delete from message where position in (select value from json_each(:positions))",
)

POSTGRESQL = Statements(
    put=f"""
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
    """,  # noqa: S608
    claim=f"""
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
        returning {_FOUND}
    """,  # noqa: S608
    settle="""
        delete from message
        where position = any(array(select json_array_elements_text(%(positions)s::json)::bigint))
    """,
)
