"""The real sandbox of this machine, and projects written into temporary folders."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bullpen.domain.errors import Missing
from bullpen.sandbox.base import Sandbox
from bullpen.sandbox.choose import choose_sandbox


@pytest.fixture
async def sandbox() -> Sandbox:
    try:
        return (await choose_sandbox("bubblewrap"))[0]
    except Missing as error:
        pytest.skip(error.sentence)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """``project({"test_a.py": "..."})`` is a folder with these files."""

    def write(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "project"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write
