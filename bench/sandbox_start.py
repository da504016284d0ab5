"""How long a sandbox takes to start, beside the same program started bare.

    python -m bench.sandbox_start [runs] [backend ...]

Prints p50 and minimum in milliseconds, the ratio to the bare start, and the processor time the parent itself spends per
start: hundreds of starts of one improvement run pay that.
"""

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bullpen.domain.errors import BullpenError
from bullpen.sandbox.base import Command
from bullpen.sandbox.choose import choose_sandbox

PROGRAMS = (("true",), ("/usr/bin/python3", "-c", "pass"))


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds."""

    p50: float
    least: float
    parent_cpu: float


async def measure(start: Callable[[], Awaitable[object]], runs: int) -> Timing:
    """Time ``runs`` starts, one after the other, after one that does not count."""
    await start()
    before = _own_cpu()
    times: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        await start()
        times.append((time.perf_counter() - began) * 1e3)
    return Timing(statistics.median(times), min(times), (_own_cpu() - before) * 1e3 / runs)


async def compare(backend: str, runs: int) -> None:
    """Print one backend's lines; a backend that does not work here says why."""
    try:
        sandbox, probe = await choose_sandbox(backend)
    except BullpenError as error:
        print(f"{backend:12} not measured: {error.sentence}")
        return
    for argv in PROGRAMS:

        async def bare(argv: tuple[str, ...] = argv) -> None:
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)

        async def boxed(argv: tuple[str, ...] = argv) -> None:
            outcome = await sandbox.run(Command(argv))
            assert outcome.ok, outcome

        floor, found = await measure(bare, runs), await measure(boxed, runs)
        label = " ".join(argv).removeprefix("/usr/bin/")
        print(
            f"{probe.backend:12} {label:16} p50 {found.p50:7.1f} ms  min {found.least:7.1f} ms"
            f"  parent's CPU {found.parent_cpu:5.2f} ms"
            f"  | bare p50 {floor.p50:6.1f} min {floor.least:6.1f}"
            f"  | ratio p50 {found.p50 / floor.p50:5.1f}x min {found.least / floor.least:5.1f}x"
        )


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(arguments: list[str] | None = None) -> None:
    """Entry point; see the module."""
    words = sys.argv[1:] if arguments is None else arguments
    runs = int(words[0]) if words else 40
    for backend in words[1:] or ("bubblewrap", "docker"):
        asyncio.run(compare(backend, runs))


if __name__ == "__main__":
    main()
