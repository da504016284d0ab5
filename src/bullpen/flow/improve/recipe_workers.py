"""Codemods in processes of their own: parsing a large file takes seconds, and the event loop must not wait for it."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from typing import cast

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.domain.errors import Unavailable
from bullpen.recipes.base import Catalogue, Codemod, Recipe, RecipeJob, catalogue

_PR_SET_PDEATHSIG = 1


def _start_worker(parent: int) -> None:
    """End with the parent, even if it is killed; leave Ctrl-C to it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@cache
def _codemods() -> dict[str, Codemod]:
    return {recipe.name: recipe for recipe in catalogue().recipes if isinstance(recipe, Codemod)}


def _rewrite(name: str, text: str, sites: Sequence[Site]) -> str:
    codemods = _codemods()
    return codemods[name].rewrite(text, sites) if name else text


@dataclass(slots=True)
class CodemodWorkers:
    """A pool of processes; ``rewrite`` is what recipes hand their work to."""

    count: int
    _pool: ProcessPoolExecutor | None = field(default=None, init=False)

    async def rewrite(self, name: str, text: str, sites: Sequence[Site]) -> str:
        """What the codemod ``name`` makes of a text.

        Raises:
            Unavailable: the text killed the process; the next call gets a new one.
        """
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, spawn, _start_worker, (os.getpid(),))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _rewrite, name, text, sites)
        except BrokenProcessPool as error:
            self._pool = None
            raise Unavailable(f"The recipe {name} did not survive this file.") from error

    async def warm(self) -> None:
        """Start the processes and let them load what they need, while something else is waited for."""
        await asyncio.gather(*(self.rewrite("", "", ()) for _ in range(self.count)))

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


@dataclass(frozen=True, slots=True)
class OffloadedCodemod:
    """A codemod whose work is done by the workers."""

    name: str
    fixes: tuple[str, ...]
    applicability: Applicability
    summary: str
    why: str
    source: str
    workers: CodemodWorkers

    async def apply(self, job: RecipeJob) -> list[FileChange]:
        """See ``Recipe.apply``."""
        before = job.source()
        after = await self.workers.rewrite(self.name, before.decode("utf-8", "surrogateescape"), job.sites)
        changed = after.encode("utf-8", "surrogateescape")
        return [] if changed == before else [FileChange(job.path, before, changed)]


def offloaded(recipes: Catalogue, workers: CodemodWorkers) -> Catalogue:
    """The same catalogue, with every codemod handed to the workers."""
    return Catalogue(tuple(_offloaded(recipe, workers) for recipe in recipes.recipes))


def _offloaded(recipe: Recipe, workers: CodemodWorkers) -> Recipe:
    if not isinstance(recipe, Codemod):
        return recipe
    facts = (recipe.name, recipe.fixes, recipe.applicability, recipe.summary, recipe.why, recipe.source)
    return cast(
        "Recipe", OffloadedCodemod(*facts, workers)
    )  # frozen attributes where the protocol allows setting them
