"""Codemods in processes of their own: a text goes where it was parsed, and a process that dies is replaced."""

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest

from bullpen.domain.change import Site
from bullpen.domain.errors import Unavailable
from bullpen.flow.improve.recipe_workers import CodemodWorkers

BARE = "try:\n    f()\nexcept OSError:\n    raise E\n"


def process(_name: str, text: str, _sites: Sequence[Site]) -> int:
    if text == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


async def test_a_text_is_asked_of_the_process_that_has_parsed_it() -> None:
    workers = CodemodWorkers(2)
    try:
        one, other = await asyncio.gather(*(workers._ask(process, "", text, ()) for text in ("a", "b")))
        assert one != other, "new texts are shared out"
        again = [await workers._ask(process, "", text, ()) for text in ("b", "a", "b")]
        assert again == [other, one, other]
    finally:
        workers.close()


async def test_a_process_that_dies_is_replaced() -> None:
    workers = CodemodWorkers(1)
    try:
        first = await workers._ask(process, "", "a", ())
        with pytest.raises(Unavailable, match="raise-from did not survive"):
            await workers._ask(process, "raise-from", "die", ())
        assert await workers._ask(process, "", "a", ()) != first
    finally:
        workers.close()


async def test_recipes_are_applied_there() -> None:
    workers = CodemodWorkers(1)
    try:
        await workers.warm()
        assert await workers.mended("raise-from", BARE, [Site(4, 5)]) == (Site(4, 5),)
        workers.close()
        assert await workers.mended("raise-from", BARE, [Site(4, 5)]) == (Site(4, 5),)
        assert workers._workers[0].pool is None, "what was asked once is known"
        assert "raise E from" in await workers.rewrite("raise-from", BARE, [Site(4, 5)])
        assert await workers.rewrite("raise-from", "x = 1\n", [Site(1, 1)]) == "x = 1\n"
    finally:
        workers.close()
