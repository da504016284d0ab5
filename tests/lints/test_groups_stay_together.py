"""Tests of one group share what they started: they must run in one process, whichever versions are installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

GROUPED = """
import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_grouped(number):
    pass
"""


@pytest.mark.slow
def test_a_group_is_run_by_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    argv = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup", "-v")
    done = subprocess.run((*argv, str(tmp_path)), capture_output=True, text=True, timeout=120, cwd=tmp_path)
    passed = re.findall(r"\[(gw\d)\].*PASSED", done.stdout)
    assert len(passed) == 8, done.stdout + done.stderr
    assert len(set(passed)) == 1
