"""A process that takes a lock, says its token, and sits on it until it is killed: ``holder.py URL NAME SECONDS``."""

import asyncio
import sys

from bullpen.domain.actor import local_person
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.storage.database import Database, open_store
from bullpen.kernel.sync.base import lock
from bullpen.kernel.sync.waiting import held


async def main(url: str, name: str, seconds: float) -> None:
    database = Database(await open_store(url), EventLog())
    async with held(database, local_person(), lock(name), "the one that is killed", seconds=seconds) as lease:
        sys.stdout.write(f"{lease.token} {lease.until}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
