"""``bullpen worker`` and ``bullpen executors``: what they say, and how they end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_BULLPEN = [sys.executable, "-c", "from bullpen.cli.main import main; main()"]
pytestmark = pytest.mark.req("SCH-03")


def start(home: Path, url: str, *words: str) -> subprocess.Popen[str]:
    env = os.environ | {"BULLPEN_HOME": str(home), "BULLPEN_DATABASE_URL": url}
    return subprocess.Popen(
        [*_BULLPEN, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_without_postgresql_it_says_what_to_set(tmp_path: Path) -> None:
    said, complained = (process := start(tmp_path, "", "worker")).communicate(timeout=60)
    assert (process.returncode, said) == (2, "")
    assert "PostgreSQL" in complained
    assert "BULLPEN_DATABASE_URL=postgresql://" in complained


def test_without_anybody_at_work(tmp_path: Path) -> None:
    said, complained = (process := start(tmp_path, "", "executors")).communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert "bullpen worker" in complained
    said, _ = start(tmp_path, "", "executors", "--json").communicate(timeout=60)
    assert json.loads(said) == []


@pytest.mark.slow
@pytest.mark.needs("postgresql")
def test_a_worker_is_seen_and_ends_when_told(postgres_url: str, tmp_path: Path) -> None:
    worker = start(tmp_path, postgres_url, "worker", "--lanes", "3", "--json")
    assert worker.stdout is not None
    assert json.loads(worker.stdout.readline()) == {"state": "ready", "lanes": 3, "running": 0}
    said, _ = start(tmp_path, postgres_url, "executors", "--json").communicate(timeout=60)
    (seen,) = json.loads(said)
    assert (seen["pid"], seen["lanes"], seen["state"], seen["running"]) == (worker.pid, 3, "idle", 0)
    worker.send_signal(signal.SIGTERM)
    left, complained = worker.communicate(timeout=60)
    assert (worker.returncode, complained) == (0, "")
    assert [json.loads(line)["state"] for line in left.splitlines()] == ["stopping", "ended"]
    said, _ = start(tmp_path, postgres_url, "executors", "--json").communicate(timeout=60)
    assert json.loads(said) == []


@pytest.mark.slow
@pytest.mark.needs("postgresql")
def test_once_ends_when_there_is_nothing_to_do(postgres_url: str, tmp_path: Path) -> None:
    worker = start(tmp_path, postgres_url, "worker", "--once")
    assert worker.wait(90) == 0
