"""Find or make an interpreter with what a project's tests need."""

import sys
from pathlib import Path

from bullpen.sandbox.base import Mount
from bullpen.testing.base import Environment

OWN_FOLDER = "/opt/bullpen/python"


def own_environment(
    import_paths: tuple[str, ...] = ("/work/src", "/work"), notes: tuple[str, ...] = ()
) -> Environment:
    """Bullpen's own interpreter with the packages installed beside it."""
    prefix, base = Path(sys.prefix), Path(sys.base_prefix)
    executable = Path(sys.executable).name
    mounts = [Mount(base, str(base))]
    python = f"{base}/bin/{executable}"
    if prefix != base:
        mounts.append(Mount(prefix, OWN_FOLDER))
        python = f"{OWN_FOLDER}/bin/{executable}"
    return Environment("Bullpen's own interpreter", python, tuple(mounts), import_paths, notes=notes)
