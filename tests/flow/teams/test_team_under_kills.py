"""Agents and the team's own process are killed at random, and nothing is lost: the bench, small, with all its checks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bullpen

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.req("COL-07", "SCH-03")
def test_nothing_is_lost_and_nothing_is_done_twice_unmarked() -> None:
    paths = os.pathsep.join([str(Path(bullpen.__file__).parents[1]), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "bench.team_load", "30", "200", "2"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[0])
    assert (seen["done"], seen["the team killed"]) == (200, 2)
    assert seen["pieces of work begun"] > 200
    assert seen["attempts"]["lost"] > 0
