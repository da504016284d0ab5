"""How often the judge decides as people did, on labelled sets of good and bad changes.

Usage: python -m bench.judge_calibration [FOLDER ...]

Without folders: the set thresholds were chosen with, then the two that were held out.
"""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from bullpen.flow.calibration.calibrate import Calibration, calibrate
from bullpen.flow.calibration.court import open_court
from bullpen.flow.calibration.labelled import read_set
from bullpen.kernel.settings import read_settings
from bullpen.sandbox.base import Command, Outcome, Sandbox

LABELLED = Path(__file__).parent.parent / "tests" / "flow" / "calibration"
SETS = (LABELLED, LABELLED / "held_out", LABELLED / "held_out_2")


class CountingSandbox:
    """The sandbox it is given, adding up the processor time of what runs in it. Seconds."""

    def __init__(self, inner: Sandbox) -> None:
        self.inner, self.cpu_seconds, self.commands = inner, 0.0, 0

    async def run(self, command: Command, on_output: object = None) -> Outcome:
        """See ``Sandbox.run``."""
        outcome = await self.inner.run(command)
        self.cpu_seconds += outcome.cpu_seconds
        self.commands += 1
        return outcome


async def measure(folder: Path) -> tuple[Calibration, CountingSandbox]:
    """Decide about a whole set."""
    with tempfile.TemporaryDirectory() as home:
        labelled = read_set(folder)
        async with open_court(read_settings(home=Path(home), test_seconds=60), labelled) as court:
            counting = CountingSandbox(court.means.sandbox.inner)
            court.means.sandbox.inner = counting
            return await calibrate(court, labelled.changes), counting


def main() -> None:
    """Print accuracy of each set, and every change that was decided wrongly."""
    for folder in [Path(one) for one in sys.argv[1:]] or SETS:
        show(folder)


def show(folder: Path) -> None:
    """Measure one set and print it."""
    started, own = time.monotonic(), _own_cpu()
    found, counted = asyncio.run(measure(folder))
    good = sum(one.change.good for one in found.judged)
    print(folder)
    print(f"changes         {len(found.judged)} ({good} good, {len(found.judged) - good} bad)")
    print(f"accuracy        {found.accuracy:.1%}")
    print(f"false accepts   {len(found.false_accepts)}")
    print(f"false refusals  {len(found.false_refusals)}")
    print(f"seconds         {time.monotonic() - started:.0f}")
    print(f"CPU seconds     {counted.cpu_seconds:.0f} in the sandbox ({counted.commands} commands), ", end="")
    print(f"{_own_cpu() - own:.0f} outside")
    for one in (*found.false_accepts, *found.false_refusals):
        print(f"- {one.change.name}: {'; '.join(one.verdict.must_change) or 'accepted'}")


def _own_cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
