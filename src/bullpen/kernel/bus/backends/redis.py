"""On a Redis server (7 or newer), for more than one machine; it must keep its append-only file.

A queue is two sorted sets: what can be had, by priority and age, and what is held, by the time it ends. Every change is
one script, so it happens wholly or not at all. Keys of an organization share a slot, so a cluster can hold them.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import redis.asyncio as redis
from redis.exceptions import RedisError

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import OrganizationId
from bullpen.kernel.bus.backends._wakes import Wakes
from bullpen.kernel.bus.backends.base import (
    LONGEST_PAUSE,
    DeadLetter,
    Delivery,
    Depth,
    Limits,
    Setup,
    full,
    not_answering,
)
from bullpen.kernel.bus.ending import end_task
from bullpen.kernel.bus.messages import Message, seal, unseal
from bullpen.kernel.clock import now

RETRY_SECONDS = 1.0
CONNECTIONS = 16
WAIT_SECONDS = 30.0  # for one of them
CHUNK = 200  # messages in one call of a script

# KEYS: the organization's prefix. Below it: number (a counter), ready:QUEUE and held:QUEUE (sorted sets of entries),
# ids:QUEUE (id -> entry), m:ENTRY (hash of a message), dead:QUEUE (id -> entry), deaths:QUEUE (sorted set of ids).
_COMMON = """
local at = redis.call('TIME')
local now = at[1] + at[2] / 1000000
local root = KEYS[1]
local RANK = 17592186044416  -- 2^44: a score holds a priority and a number exactly
local KEPT = 86400  -- seconds; an answer that nobody fetched is forgotten
local function key(what, queue) return root .. what .. ':' .. queue end
local function size(queue)
  return redis.call('ZCARD', key('ready', queue)) + redis.call('ZCARD', key('held', queue))
end
local function put(queue, messages)  -- each: id, priority, body, deliveries
  if #messages == 0 then return end
  local entry = redis.call('INCRBY', root .. 'number', #messages) - #messages
  local ids, ready, lives = {}, {}, string.sub(queue, 1, 6) == 'reply:'
  for _, one in ipairs(messages) do
    entry = entry + 1
    local name = key('m', entry)
    redis.call('HSET', name, 'id', one[1], 'priority', one[2], 'body', one[3], 'deliveries', one[4], 'attempts', 0)
    if lives then redis.call('EXPIRE', name, KEPT) end
    ids[#ids + 1], ids[#ids + 2] = one[1], entry
    ready[#ready + 1], ready[#ready + 2] = one[2] * RANK + entry, entry
  end
  redis.call('HSET', key('ids', queue), unpack(ids))
  redis.call('ZADD', key('ready', queue), unpack(ready))
  if lives then
    for _, what in ipairs({'ids', 'ready'}) do redis.call('EXPIRE', key(what, queue), KEPT) end
  end
  redis.call('PUBLISH', root .. 'wake', queue)
end
local function leased(entry, token) return redis.call('HGET', key('m', entry), 'token') == token end
local function release(queue, horizon)
  local held = key('held', queue)
  local over = redis.call('ZRANGEBYSCORE', held, '-inf', now)
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', held, now + horizon, '+inf')) do over[#over + 1] = entry end
  for _, entry in ipairs(over) do
    redis.call('ZREM', held, entry)
    local priority = redis.call('HGET', key('m', entry), 'priority')
    if priority then  -- an answer that nobody fetched has gone
      redis.call('HSET', key('m', entry), 'token', '')
      redis.call('ZADD', key('ready', queue), priority * RANK + entry, entry)
    end
  end
end
local function remove(queue, entries)
  local ids = {}
  for _, entry in ipairs(entries) do
    ids[#ids + 1] = redis.call('HGET', key('m', entry), 'id') or nil
    redis.call('DEL', key('m', entry))
  end
  if #ids > 0 then redis.call('HDEL', key('ids', queue), unpack(ids)) end
  redis.call('ZREM', key('ready', queue), unpack(entries))
  redis.call('ZREM', key('held', queue), unpack(entries))
end
"""

# bound, then for each message: queue, id, priority, body
_PUBLISH = """
local fresh, seen = {}, {}
for i = 2, #ARGV, 4 do
  local queue, id = ARGV[i], ARGV[i + 1]
  if not seen[queue .. ' ' .. id] and redis.call('HEXISTS', key('ids', queue), id) == 0 then
    seen[queue .. ' ' .. id] = true
    fresh[queue] = fresh[queue] or {}
    table.insert(fresh[queue], {id, ARGV[i + 2], ARGV[i + 3], 0})
  end
end
for queue, messages in pairs(fresh) do
  if size(queue) + #messages > tonumber(ARGV[1]) then return queue end
end
for queue, messages in pairs(fresh) do put(queue, messages) end
return ''
"""

# lease, horizon, limit, token, then queues
_CLAIM = """
local lease, horizon, limit, token = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local found = {}
for i = 5, #ARGV do
  release(ARGV[i], horizon)
  local some = redis.call('ZRANGE', key('ready', ARGV[i]), 0, limit - 1, 'WITHSCORES')
  for j = 1, #some, 2 do found[#found + 1] = {tonumber(some[j + 1]), some[j], ARGV[i]} end
end
if #ARGV > 5 then table.sort(found, function(one, other) return one[1] < other[1] end) end
local claimed, taken, held = {}, {}, {}
for i = 1, math.min(limit, #found) do
  local entry, queue = found[i][2], found[i][3]
  local message = redis.call('HMGET', key('m', entry), 'body', 'deliveries', 'attempts')
  taken[queue], held[queue] = taken[queue] or {}, held[queue] or {}
  table.insert(taken[queue], entry)
  if message[1] then
    local deliveries, attempts = message[2] + 1, message[3] + 1
    redis.call('HSET', key('m', entry), 'token', token, 'deliveries', deliveries, 'attempts', attempts)
    table.insert(held[queue], now + lease)
    table.insert(held[queue], entry)
    claimed[#claimed + 1] = {queue, entry, message[1], deliveries, attempts}
  end
end
for queue, entries in pairs(taken) do
  redis.call('ZREM', key('ready', queue), unpack(entries))
  if #held[queue] > 0 then redis.call('ZADD', key('held', queue), unpack(held[queue])) end
end
return claimed
"""

# for each: queue, entry
_ACK = """
local gone = {}
for i = 1, #ARGV, 2 do
  gone[ARGV[i]] = gone[ARGV[i]] or {}
  table.insert(gone[ARGV[i]], ARGV[i + 1])
end
for queue, entries in pairs(gone) do remove(queue, entries) end
"""

# seconds, whether the lease stays, then for each: queue, entry, token
_HOLD = """
for i = 3, #ARGV, 3 do
  if leased(ARGV[i + 1], ARGV[i + 2]) then
    redis.call('ZADD', key('held', ARGV[i]), now + tonumber(ARGV[1]), ARGV[i + 1])
    if ARGV[2] == '0' then
      redis.call('HSET', key('m', ARGV[i + 1]), 'token', '')
      redis.call('PUBLISH', root .. 'wake', ARGV[i])
    end
  end
end
"""

# queue, entry, token, reason, at
_BURY = """
local queue, entry = ARGV[1], ARGV[2]
if not leased(entry, ARGV[3]) then return end
local message = redis.call('HMGET', key('m', entry), 'id', 'body', 'priority', 'deliveries')
remove(queue, {entry})
redis.call('ZADD', key('deaths', queue), redis.call('INCR', root .. 'number'), message[1])
redis.call('HSET', key('dead', queue), message[1], cjson.encode({message[2], message[3], message[4], ARGV[4], ARGV[5]}))
"""

# queue, limit, then ids; with a limit below 0 all of them, or these
_LETTERS = """
local ids = {}
if ARGV[2] ~= 'these' then ids = redis.call('ZRANGE', key('deaths', ARGV[1]), 0, tonumber(ARGV[2]) - 1)
else for i = 3, #ARGV do ids[#ids + 1] = ARGV[i] end end
local letters = {}
for _, id in ipairs(ids) do
  local letter = redis.call('HGET', key('dead', ARGV[1]), id)
  if letter then letters[#letters + 1] = {id, unpack(cjson.decode(letter))} end
end
"""
_DEAD_LETTERS = _LETTERS + "return letters"

# as _LETTERS, after the bound and whether they go back
_RESETTLE = (
    """
local bound, back = tonumber(table.remove(ARGV, 1)), table.remove(ARGV, 1) == '1'
"""
    + _LETTERS
    + """
local queue, fresh, count = ARGV[1], 0, 0
for _, letter in ipairs(letters) do fresh = fresh + 1 - redis.call('HEXISTS', key('ids', queue), letter[1]) end
if back and size(queue) + fresh > bound then return -1 end
for _, letter in ipairs(letters) do
  count = count + redis.call('HDEL', key('dead', queue), letter[1])
  redis.call('ZREM', key('deaths', queue), letter[1])
  if back and redis.call('HEXISTS', key('ids', queue), letter[1]) == 0 then
    put(queue, {{letter[1], letter[3], letter[2], letter[4]}})
  end
end
return count
"""
)

# queue, horizon
_DEPTH = """
release(ARGV[1], tonumber(ARGV[2]))
return {redis.call('ZCARD', key('ready', ARGV[1])), redis.call('ZCARD', key('held', ARGV[1])),
  redis.call('HLEN', key('dead', ARGV[1]))}
"""

# queue
_DROP = """
for _, what in ipairs({'ready', 'held'}) do
  for _, entry in ipairs(redis.call('ZRANGE', key(what, ARGV[1]), 0, -1)) do redis.call('DEL', key('m', entry)) end
end
for _, what in ipairs({'ready', 'held', 'ids', 'dead', 'deaths'}) do redis.call('DEL', key(what, ARGV[1])) end
"""


@dataclass(slots=True)
class RedisBackend:
    """See ``Backend``. Leases are measured by the server's clock: one for all machines."""

    client: redis.Redis
    limits: Limits = field(default_factory=Limits)
    _wakes: Wakes = field(default_factory=Wakes)
    _listeners: int = 0
    _watch: asyncio.Task[None] | None = None
    _scripts: dict[str, Any] = field(default_factory=dict[str, Any])

    async def _run(self, script: str, organization: str, *values: str | bytes | float) -> Any:
        """A script on an organization's keys."""
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self.client.register_script(_COMMON + script)
        with _redis_errors():
            return await known(keys=[f"bullpen:{{{organization}}}:"], args=list(values))

    async def publish(self, organization: OrganizationId, messages: Sequence[Message]) -> None:
        """See ``Backend.publish``; of up to ``CHUNK``, all of them or none."""
        for start in range(0, len(messages), CHUNK):
            fields = [
                part
                for one in messages[start : start + CHUNK]
                for part in (one.to, one.id, int(one.priority), seal(one))
            ]
            refused = await self._run(_PUBLISH, organization, self.limits.bound, *fields)
            if refused:
                raise full(refused.decode(), self.limits.bound)

    async def claim(
        self, organization: OrganizationId, queues: Sequence[str], limit: int
    ) -> Sequence[Delivery]:
        """See ``Backend.claim``."""
        token = secrets.token_hex(8)
        limits = (self.limits.lease_seconds, self.limits.horizon, min(limit, CHUNK), token)
        claimed = await self._run(_CLAIM, organization, *limits, *queues)
        return [_delivery(organization, token, *one) for one in claimed]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.ack``."""
        for organization, some in _by_organization(deliveries).items():
            for start in range(0, len(some), CHUNK):
                fields = [part for one in some[start : start + CHUNK] for part in (one.queue, one.handle)]
                await self._run(_ACK, organization, *fields)

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.extend``."""
        for one in deliveries:
            seconds = self.limits.lease_seconds
            await self._run(_HOLD, one.organization, seconds, 1, one.queue, one.handle, one.token)

    async def retry(self, delivery: Delivery, seconds: float) -> None:
        """See ``Backend.retry``."""
        lease = (delivery.queue, delivery.handle, delivery.token)
        await self._run(_HOLD, delivery.organization, min(seconds, LONGEST_PAUSE), 0, *lease)

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """See ``Backend.bury``."""
        lease = (delivery.queue, delivery.handle, delivery.token)
        await self._run(_BURY, delivery.organization, *lease, reason, now())

    async def depth(self, organization: OrganizationId, queue: str) -> Depth:
        """See ``Backend.depth``."""
        return Depth(*await self._run(_DEPTH, organization, queue, self.limits.horizon))

    async def dead_letters(
        self, organization: OrganizationId, queue: str, limit: int = 100
    ) -> Sequence[DeadLetter]:
        """See ``Backend.dead_letters``."""
        if limit < 1:
            return ()
        letters = await self._run(_DEAD_LETTERS, organization, queue, limit)
        return [_letter(queue, *one) for one in letters]

    async def dead_queues(self, organization: OrganizationId) -> Sequence[str]:
        """See ``Backend.dead_queues``; looks at every key, so it is for people."""
        root = f"bullpen:{{{organization}}}:dead:"
        with _redis_errors():
            found = cast(
                "AsyncIterator[bytes]",
                self.client.scan_iter(match=f"{root}*", count=1000),  # pyright: ignore[reportUnknownMemberType]
            )
            keys = [key async for key in found]
        return sorted(key.decode().removeprefix(root) for key in set(keys))

    async def requeue(
        self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None
    ) -> int:
        """See ``Backend.requeue``; all of them or none."""
        count = await self._resettle(organization, queue, ids, back=True)
        if count < 0:
            raise full(queue, self.limits.bound)
        return count

    async def purge(self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None) -> int:
        """See ``Backend.purge``."""
        return await self._resettle(organization, queue, ids, back=False)

    async def _resettle(self, organization: str, queue: str, ids: Sequence[str] | None, *, back: bool) -> int:
        chosen = ("0",) if ids is None else ("these", *dict.fromkeys(ids))
        return await self._run(_RESETTLE, organization, self.limits.bound, int(back), queue, *chosen)

    async def drop(self, organization: OrganizationId, queue: str) -> None:
        """See ``Backend.drop``."""
        await self._run(_DROP, organization, queue)

    @asynccontextmanager
    async def listening(
        self, organization: OrganizationId, queues: Sequence[str], wake: Callable[[], None]
    ) -> AsyncGenerator[None]:
        """See ``Backend.listening``: one connection for all who listen in this process."""
        self._listeners += 1
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._listen())
        try:
            with self._wakes.adding(organization, queues, wake):
                yield
        finally:
            self._listeners -= 1
            if not self._listeners:
                await self._stop_listening()

    async def _listen(self) -> None:
        while True:
            try:
                async with self.client.pubsub(ignore_subscribe_messages=True) as channel:  # pyright: ignore[reportUnknownMemberType]
                    await channel.psubscribe("bullpen:*:wake")
                    self._wakes.ring_all()  # for what came before we listened
                    async for heard in channel.listen():  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
                        self._heard(cast("dict[str, bytes]", heard))
            except RedisError:
                await asyncio.sleep(RETRY_SECONDS)  # it restarts; whoever waits looks by itself, too

    def _heard(self, said: dict[str, bytes]) -> None:
        root = said["channel"].decode()
        self._wakes.ring(root[len("bullpen:{") : -len("}:wake")], said["data"].decode())

    async def _stop_listening(self) -> None:
        task, self._watch = self._watch, None
        if task is not None:
            await end_task(task)

    async def close(self) -> None:
        """See ``Backend.close``."""
        await self._stop_listening()
        await self.client.aclose()


def _delivery(
    organization: OrganizationId,
    token: str,
    queue: bytes,
    entry: bytes,
    body: bytes,
    deliveries: int,
    attempts: int,
) -> Delivery:
    message, fault = unseal(body, queue.decode())
    return Delivery(message, organization, queue.decode(), entry.decode(), token, deliveries, attempts, fault)


def _letter(
    queue: str, name: bytes, body: bytes, _priority: bytes, deliveries: bytes, reason: bytes, at: bytes
) -> DeadLetter:
    return DeadLetter(
        name.decode(), unseal(body, queue)[0], reason.decode("utf-8", "replace"), int(deliveries), float(at)
    )


def _by_organization(deliveries: Sequence[Delivery]) -> dict[OrganizationId, list[Delivery]]:
    found: dict[OrganizationId, list[Delivery]] = {}
    for delivery in deliveries:
        found.setdefault(delivery.organization, []).append(delivery)
    return found


@contextmanager
def _redis_errors() -> Generator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise not_answering("Redis", error) from error


async def open_backend(setup: Setup) -> RedisBackend:
    """Connect.

    Raises:
        InvalidInput: the URL cannot be understood, or the server would forget messages: it keeps no append-only file,
            or evicts keys when its memory is full.
        Unavailable: it does not answer.
    """
    try:
        pool = redis.BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            setup.url, max_connections=CONNECTIONS, timeout=WAIT_SECONDS
        )
    except ValueError as error:
        raise InvalidInput(
            f"The address of the bus cannot be understood: {error}.", remedy="Use redis://HOST:PORT/NUMBER."
        ) from error
    client = redis.Redis.from_pool(pool)
    backend = RedisBackend(client, setup.limits)
    try:
        with _redis_errors():
            _check(await client.info("everything"))  # pyright: ignore[reportUnknownMemberType]
    except BaseException:
        await backend.close()
        raise
    return backend


def _check(info: dict[str, Any]) -> None:
    if not info.get("aof_enabled"):
        raise InvalidInput(
            "This Redis keeps no append-only file, so it forgets messages when it is killed.",
            remedy="Set appendonly yes, and appendfsync always where the last second counts.",
        )
    if str(info.get("maxmemory_policy", "")).startswith("allkeys"):
        raise InvalidInput(
            "This Redis throws keys away when its memory is full.", remedy="Set maxmemory-policy noeviction."
        )
