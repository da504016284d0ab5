"""An empty ground for each test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """An empty ground of this test's own."""
    return Ground(tmp_path)


@pytest.fixture
def public_ground() -> Iterator[Ground]:
    """One that every user can reach; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Ground(Path(folder))
