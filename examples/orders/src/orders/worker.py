"""Runs the jobs of the shop: mails, reports, clean-ups. Jobs are functions from plug-ins."""

import logging
import traceback
from collections.abc import Callable

log = logging.getLogger(__name__)


class JobStopped(BaseException):
    """A plug-in gave up its job. Not an Exception, so that no plug-in swallows it by accident."""


def run_jobs(jobs: dict[str, Callable[[], object]]) -> dict[str, str]:
    """Run every job, whatever the others do; how each ended."""
    results = {}
    for name, job in jobs.items():
        try:
            job()
            results[name] = "done"
        except:
            log.warning("job %s failed", name)
            results[name] = "failed"
    return results


def run_once(job: Callable[[], object]) -> object:
    """Run one job and say so when it fails."""
    try:
        return job()
    except:
        log.error("the job failed")
        raise


def attempts(job: Callable[[], object], times: int = 3) -> object:
    """Run a job until it does not fail."""
    last = None
    for number in range(0, times):
        try:
            return job()
        except OSError as error:
            last = error
    raise OSError("all attempts failed") from last


def retry_delay(number: int, first: float = 0.5, most: float = 30.0) -> float:
    """Seconds to wait before another attempt."""
    if number < 1:
        raise ValueError("attempts are counted from one")
    return min(first * 2 ** (number - 1), most)
