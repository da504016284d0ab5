"""Code that takes longer in each round, or waits in a row, where it did not before."""

from textwrap import dedent

import pytest

from bullpen.domain.change import FileChange
from bullpen.flow.guards import find_breaches

TOGETHER = """\
import asyncio

async def fetch_all(urls):
    return await asyncio.gather(*(fetch(url) for url in urls))
"""
GATHERED = """\
def gathered(items):
    found = []
    for item in items:
        found.append(item)
    return found
"""


def said(before: str, after: str, path: str = "shop/a.py") -> list[str]:
    change = FileChange(path, dedent(before).encode(), dedent(after).encode())
    return [breach.what for breach in find_breaches([change])]


@pytest.mark.req("WFL-05")
@pytest.mark.parametrize(
    "line",
    [
        "found = [*found, item]",
        "found = found + [item]",
        "found = (*found, item)",
        "found = {**found, item: 1}",
        "found = found | {item}",
    ],
)
def test_a_copy_in_each_round_is_refused(line: str) -> None:
    after = GATHERED.replace("found.append(item)", line)
    assert said(GATHERED, after) == ["takes longer in each round: what was gathered is copied for one more"]


@pytest.mark.parametrize(
    "line",
    [
        "if not found.count(item): found.append(item)",
        "found.append(item); found.index(item)",
        "found.append(item); last = sorted(found)[-1]",
        "found.append(item); spent = sum(found)",
    ],
)
def test_going_through_what_grows_is_refused(line: str) -> None:
    (only, *_more) = said(GATHERED, GATHERED.replace("found.append(item)", line))
    assert only.startswith("takes longer in each round: what was gathered is ")


@pytest.mark.parametrize(
    "after",
    [
        GATHERED.replace("found", "result"),
        "def gathered(items):\n    return list(items)\n",
        GATHERED.replace("return found", "return sorted(found)"),
        GATHERED.replace("found.append(item)", "found.append(sorted(item))"),
        GATHERED.replace("found.append(item)", "found += [item]"),
        GATHERED.replace("found.append(item)", "other = [*item, 1]\n        found.append(other)"),
        GATHERED.replace("found.append(item)", "found.append(items.count(item))"),
    ],
)
def test_work_that_does_not_grow_is_nobodys_business(after: str) -> None:
    assert said(GATHERED, after) == []


def test_what_was_slow_before_may_stay_and_be_renamed() -> None:
    slow = GATHERED.replace("found.append(item)", "found = [*found, item]")
    assert said(slow, slow.replace("found", "result")) == []


@pytest.mark.req("WFL-05")
@pytest.mark.parametrize(
    "body",
    [
        "return [await fetch(url) for url in urls]",
        "found = []\n    for url in urls:\n        found.append(await fetch(url))\n    return found",
        "return {url: await fetch(url) for url in urls}",
    ],
)
def test_waiting_in_a_row_for_what_ran_side_by_side_is_refused(body: str) -> None:
    after = TOGETHER.replace("return await asyncio.gather(*(fetch(url) for url in urls))", body)
    assert said(TOGETHER, after) == ["fetch_all waits in a row for what ran side by side"]


@pytest.mark.parametrize(
    "body",
    [
        "async with asyncio.TaskGroup() as group:\n        tasks = [group.create_task(fetch(url)) for url in urls]",
        "tasks = [asyncio.ensure_future(fetch(url)) for url in urls]\n    return [await one for one in tasks]",
        "return await fetch_many(urls)",
    ],
)
def test_another_way_to_run_side_by_side_is_fine(body: str) -> None:
    after = TOGETHER.replace("return await asyncio.gather(*(fetch(url) for url in urls))", body)
    assert said(TOGETHER, after) == []


def test_other_languages_and_what_does_not_parse_are_left_alone() -> None:
    assert said(GATHERED, "for (", "a.js") == []
    assert said("def (", GATHERED.replace("found.append(item)", "found = [*found, item]")) == []


def test_a_deep_expression_is_read_to_its_end() -> None:
    deep = " + ".join(["item"] * 900)
    after = GATHERED.replace("found.append(item)", f"found = [*found, {deep}]")
    assert said(GATHERED, after) == ["takes longer in each round: what was gathered is copied for one more"]
