"""Run a repository's own tests at one commit, alone, and print the ids that pass.

python -m bench.run_tests REPOSITORY COMMIT HOME
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bullpen.domain.test_report import TestReport
from bullpen.sandbox.base import Limits
from bullpen.sandbox.choose import choose_sandbox
from bullpen.testing.base import TestRequest
from bullpen.testing.environment import prepare_environment
from bullpen.testing.runners.pytest import RUNNER


def check_out(repo: Path, commit: str, work: Path) -> None:
    """A new checkout of one commit."""
    subprocess.run(["git", "clone", "-q", "--shared", str(repo), str(work)], check=True)
    subprocess.run(["git", "-C", str(work), "checkout", "-q", "--detach", commit], check=True)


async def run(repo: Path, commit: str, home: Path) -> TestReport:
    """A new checkout, the project's environment, all tests; those that fail are tried once more."""
    sandbox, _probe = await choose_sandbox()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        await asyncio.to_thread(check_out, repo, commit, work)
        work.chmod(0o755)
        environment = await prepare_environment(work, home, sandbox)
        limits = Limits(wall_seconds=900)
        report = await RUNNER.run(TestRequest(work, environment, limits=limits), sandbox)
        failed = sorted(report.failed())
        if failed and len(failed) < 20:
            again = await RUNNER.run(TestRequest(work, environment, select=failed, limits=limits), sandbox)
            print(json.dumps(sorted(report.passed() | again.passed())))
        else:
            print(json.dumps(sorted(report.passed())))
        return report


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
