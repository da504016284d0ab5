"""A process that works on an inbox until it is killed: ``python -m tests.kernel.bus.consumer ADDRESS FILE``.

It writes a line for each message it handles: its payload, and how often it was handed out.
"""

import asyncio
import os
import sys

from tests.contract.test_bus_contract import opening
from tests.kernel.bus.desk import ANN, INBOX, Desk

from bullpen.kernel.bus.backends.base import Delivery, Limits
from bullpen.kernel.bus.bus import Policy


async def main(address: str, file: str) -> None:
    """Handle whatever comes."""
    lines = os.open(file, os.O_WRONLY | os.O_APPEND)

    async def handle(delivery: Delivery) -> None:
        os.write(lines, f"{delivery.message.payload} {delivery.deliveries}\n".encode())
        await asyncio.sleep(0)

    async with opening(address, Limits(lease_seconds=1)) as backend:
        await Desk(backend, policy=Policy(attempts=1000)).bus.consume(ANN, INBOX, handle, batch=3)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
