"""The made-up run, for every test here."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """What ``made_up.py`` defines."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up.py"))))
