"""A codemod is asked, before an item is planned, at which of its places it would change something."""

import asyncio
from pathlib import Path

from bullpen.domain.change import Site
from bullpen.flow.improve.recipe_workers import CodemodWorkers, OffloadedCodemod, offloaded
from bullpen.recipes.base import RecipeJob, catalogue
from bullpen.sandbox.base import Sandbox

CODE = """\
import os

try:
    os.remove("a")
except FileNotFoundError:
    pass

try:
    os.remove("b")
except Exception:
    pass

try:
    os.remove("c")
except OSError:
    pass
"""


async def mended(root: Path, sandbox: Sandbox, recipe: str, *lines: int) -> list[int]:
    (root / "clean.py").write_text(CODE)
    workers = CodemodWorkers(1)
    try:
        found = offloaded(catalogue(), workers).named(recipe)
        assert isinstance(found, OffloadedCodemod)
        sites = await found.mended(RecipeJob(root, "clean.py", tuple(map(Site, lines)), sandbox))
    finally:
        await asyncio.to_thread(workers.close)
    return [site.line for site in sites]


async def test_only_places_that_fit_are_named(tmp_path: Path, sandbox: Sandbox) -> None:
    assert await mended(tmp_path, sandbox, "suppress-error", 3, 8, 13) == [3, 13]


async def test_where_nothing_fits_nothing_is_named(tmp_path: Path, sandbox: Sandbox) -> None:
    assert await mended(tmp_path, sandbox, "suppress-error", 8) == []
