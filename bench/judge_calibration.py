"""How often the judge decides as people did, on a labelled set of good and bad changes.

Usage: python bench/judge_calibration.py [FOLDER]
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bullpen.flow.calibration.calibrate import Calibration, Court, bare_means, calibrate, open_court
from bullpen.flow.calibration.labelled import read_labelled, read_project
from bullpen.kernel.settings import read_settings
from bullpen.kernel.storage.database import open_store
from bullpen.sandbox.choose import choose_sandbox

LABELLED = Path(__file__).parent.parent / "tests" / "flow" / "calibration"


@asynccontextmanager
async def court_in(home: Path, project: Path) -> AsyncGenerator[Court]:
    """A court that keeps everything in ``home``."""
    settings = read_settings(home=home, test_seconds=60)
    sandbox, _probe = await choose_sandbox()
    store = await open_store(settings.database)
    try:
        yield await open_court(bare_means(settings, store, sandbox), read_project(project))
    finally:
        await store.close()


async def measure(folder: Path) -> Calibration:
    """Decide about the whole set."""
    with tempfile.TemporaryDirectory() as home:
        async with court_in(Path(home), folder / "project" / "shop.toml") as court:
            return await calibrate(court, read_labelled(folder))


def main() -> None:
    """Print accuracy, and every change that was decided wrongly."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else LABELLED
    started = time.monotonic()
    found = asyncio.run(measure(folder))
    good = sum(one.change.good for one in found.judged)
    print(f"changes         {len(found.judged)} ({good} good, {len(found.judged) - good} bad)")
    print(f"accuracy        {found.accuracy:.1%}")
    print(f"false accepts   {len(found.false_accepts)}")
    print(f"false refusals  {len(found.false_refusals)}")
    print(f"seconds         {time.monotonic() - started:.0f}")
    for one in (*found.false_accepts, *found.false_refusals):
        print(f"- {one.change.name}: {'; '.join(one.verdict.must_change) or 'accepted'}")


if __name__ == "__main__":
    main()
