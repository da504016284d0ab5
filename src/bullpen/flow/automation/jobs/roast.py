"""Say what is wrong with the repository; nothing is changed. The findings are left as SARIF in Bullpen's home."""

from typing import Annotated

from pydantic import Field

from bullpen import __version__
from bullpen.flow.automation.jobs.base import Errand, Job, Result
from bullpen.flow.blind import require_sight
from bullpen.flow.definitions.model import Strict
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.roasting import roast_repository


class RoastInputs(Strict):
    """See `bullpen roast --help`. ``fail_over`` is how many findings there may be for the run to be done."""

    only: Annotated[tuple[str, ...], Field(max_length=200)] = ()
    fail_over: Annotated[int, Field(ge=0)] | None = None


async def _run(errand: Errand, given: RoastInputs) -> Result:
    means = errand.bench.means
    found = await roast_repository(means, ImproveOptions(errand.repo, only=given.only), __version__)
    require_sight(found.seen, found.failures)
    folder = means.folder(errand.session_id).reports
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roast.sarif").write_bytes(found.sarif)
    words = f"{len(found.said)} findings at {found.commit[:12]}: {folder / 'roast.sarif'}"
    over = given.fail_over is not None and len(found.said) > given.fail_over
    return Result("failed" if over else "done", words)


JOB = Job(RoastInputs, _run)
