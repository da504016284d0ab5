"""Codemods in processes of their own: parsing a large file takes seconds, and the event loop must not wait for it."""

import asyncio
import ctypes
import difflib
import hashlib
import multiprocessing
import os
import signal
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar, cast

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.domain.errors import Unavailable
from bullpen.recipes.base import Catalogue, Codemod, Recipe, RecipeJob, catalogue

T = TypeVar("T")
MOST_KEPT = 256
_PR_SET_PDEATHSIG = 1
_Asked = tuple[str, str, tuple[Site, ...]]  # recipe, hash of the text, sites


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


def _mended(name: str, text: str, sites: Sequence[Site]) -> tuple[Site, ...]:
    """Parsing a large file takes seconds, so a site is asked for alone only where no change is seen at its lines."""
    after = _rewrite(name, text, sites)
    if after == text:
        return ()
    if len(sites) == 1:
        return tuple(sites)
    changed = _changed_lines(text, after)
    return tuple(
        site
        for site in sites
        if any(changed.intersection(range(site.line, max(site.end_line, site.line) + 1)))
        or _rewrite(name, text, [site]) != text
    )


def _changed_lines(before: str, after: str) -> set[int]:
    """Lines of ``before``, from 1, that are not in ``after`` as they were."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    return {
        line + 1
        for kind, first, end, _first, _end in matcher.get_opcodes()
        if kind != "equal"
        for line in range(first, end)
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(slots=True)
class _Worker:
    """One process, and how many characters of new text it has yet to parse; what it has parsed costs it little."""

    pool: ProcessPoolExecutor | None = None
    unread: int = 0


@dataclass(slots=True)
class CodemodWorkers:
    """Processes; ``rewrite`` is what recipes hand their work to.

    A text is parsed once for a recipe and sites: the plan, the developer and the judge all ask for the same. What else
    is asked of the text goes to the process that has parsed it.
    """

    count: int
    _workers: list[_Worker] = field(default_factory=list[_Worker], init=False)
    _parsed: OrderedDict[str, _Worker] = field(default_factory=OrderedDict[str, _Worker], init=False)
    _made: OrderedDict[_Asked, str | None] = field(
        default_factory=OrderedDict[_Asked, str | None], init=False
    )  # None where nothing fitted

    _mended: OrderedDict[_Asked, tuple[Site, ...]] = field(
        default_factory=OrderedDict[_Asked, tuple[Site, ...]], init=False
    )

    async def rewrite(self, name: str, text: str, sites: Sequence[Site]) -> str:
        """What the codemod ``name`` makes of a text.

        Raises:
            Unavailable: the text killed the process; the next call gets a new one.
        """
        key = (name, _hash(text), tuple(sites))
        if key in self._made:
            made = self._made[key]
        else:
            after = await self._ask(_rewrite, name, text, sites)
            made = self._made[key] = None if after == text else after
            if len(self._made) > MOST_KEPT:
                self._made.popitem(last=False)
        return text if made is None else made

    async def mended(self, name: str, text: str, sites: Sequence[Site]) -> tuple[Site, ...]:
        """The sites at which the codemod ``name``, asked for that one alone, changes a text.

        Raises:
            Unavailable: the text killed the process; the next call gets a new one.
        """
        key = (name, _hash(text), tuple(sites))
        if key not in self._mended:
            self._mended[key] = await self._ask(_mended, name, text, sites)
            if len(self._mended) > MOST_KEPT:
                self._mended.popitem(last=False)
        return self._mended[key]

    async def _ask(
        self, work: Callable[[str, str, Sequence[Site]], T], name: str, text: str, sites: Sequence[Site]
    ) -> T:
        """Who knows a text answers, otherwise the one with the least to read."""
        key = _hash(text)
        fresh = 0 if key in self._parsed else len(text)
        worker = self._parsed.pop(key, None) or min(self._all(), key=lambda one: one.unread)
        self._parsed[key] = worker
        if len(self._parsed) > MOST_KEPT:
            self._parsed.popitem(last=False)
        worker.unread += fresh
        try:
            return await self._run(worker, work, name, text, sites)
        finally:
            worker.unread -= fresh

    def _all(self) -> list[_Worker]:
        if not self._workers:
            self._workers = [_Worker() for _ in range(self.count)]
        return self._workers

    async def _run(
        self,
        worker: _Worker,
        work: Callable[[str, str, Sequence[Site]], T],
        name: str,
        text: str,
        sites: Sequence[Site],
    ) -> T:
        if worker.pool is None:
            spawn = multiprocessing.get_context("spawn")
            worker.pool = ProcessPoolExecutor(1, spawn, _start_worker, (os.getpid(),))
        pool = worker.pool
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(pool, work, name, text, sites)
        except BrokenProcessPool as error:
            worker.pool = None if worker.pool is pool else worker.pool
            raise Unavailable(f"The recipe {name} did not survive this file.") from error

    async def warm(self) -> None:
        """Start the processes and let them load what they need, while something else is waited for."""
        await asyncio.gather(*(self._run(worker, _rewrite, "", "", ()) for worker in self._all()))

    def close(self) -> None:
        """End the processes."""
        for worker in self._all():
            if worker.pool is not None:
                worker.pool.shutdown(wait=False, cancel_futures=True)
                worker.pool = None


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

    async def mended(self, job: RecipeJob) -> tuple[Site, ...]:
        """The sites of a job at which it changes something."""
        text = job.source().decode("utf-8", "surrogateescape")
        return await self.workers.mended(self.name, text, job.sites)


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
