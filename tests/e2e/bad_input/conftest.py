"""An empty ground for each test."""

from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """An empty ground of this test's own."""
    return Ground(tmp_path)
