"""``scripts/setup`` on unusual machines: what it says, and that it leaves alone what is not its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = Path(sys.base_prefix) / "bin" / "python3"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, as far as set-up looks at it."""
    for name in ("pyproject.toml", "uv.lock", "README.md", "scripts/setup", "src/bullpen/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def setup(project: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "scripts/setup"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project), "PYTHON": str(BASE), **env},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("python", ["/no/such/python", "an old one"])
def test_a_python_that_will_not_do_is_said(project: Path, python: str) -> None:
    if python == "an old one":
        old = project / "old"
        old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 || exit 1\n')
        old.chmod(0o755)
        python = str(old)
    done = setup(project, PYTHON=python)
    assert done.returncode == 1
    assert "bullpen needs Python 3.11 or newer" in done.stderr
    assert "PYTHON=/path/to/python3.11" in done.stderr
    assert not (project / ".venv").exists()


def test_a_linked_environment_is_left_alone(project: Path) -> None:
    (project / "elsewhere").mkdir()
    (project / ".venv").symlink_to("elsewhere")
    assert setup(project).returncode == 0
    assert list((project / "elsewhere").iterdir()) == []


@pytest.mark.slow
@pytest.mark.needs("network")
def test_set_up_again_does_nothing_and_mends_what_was_interrupted(project: Path) -> None:
    index = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))}
    assert setup(project, **index).returncode == 0
    environment = project / ".venv"
    stamp = environment / ".bullpen-stamp"
    before = stamp.stat().st_mtime_ns
    assert (
        setup(project, PIP_INDEX_URL="http://127.0.0.1:1", UV_INDEX_URL="http://127.0.0.1:1").returncode == 0
    )
    assert stamp.stat().st_mtime_ns == before
    (environment / "bin" / "python").unlink()  # as an interrupted or moved environment looks
    again = setup(project, **index)
    assert again.returncode == 0, again.stderr
    assert (environment / "bin" / "bullpen").exists()
    done = subprocess.run([environment / "bin" / "python", "-c", "import bullpen, click, pytest"])
    assert done.returncode == 0
