"""Faults put into lines of a file."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.codegraph.mutants import line_mutants

SOURCE = '''\
"""A module."""
import os


def price(net: int, rate: float = 0.2) -> float:
    """What it costs."""
    if net < 0:
        raise ValueError(f"negative: {net}")
    total = net * (1 + rate)  # with tax
    log(total)
    return round(total, 2)
'''


def changed_lines(mutant: str) -> list[int]:
    pairs = zip(SOURCE.splitlines(), mutant.splitlines(), strict=True)
    return [number for number, (old, new) in enumerate(pairs, start=1) if old != new]


@pytest.mark.req("IMP-10")
def test_each_mutant_differs_on_its_line_only() -> None:
    found = line_mutants(SOURCE, range(1, 12), 100)
    assert len(found) >= 8
    assert all(changed_lines(mutant.source) == [mutant.line] for mutant in found)
    assert {mutant.line for mutant in found} == {5, 7, 8, 9, 10, 11}  # a default counts


def test_what_does_not_run_gives_none() -> None:
    assert line_mutants(SOURCE, [1, 2, 3, 4, 6], 100) == ()
    assert line_mutants("def broken(:\n", [1], 100) == ()


def test_few_are_spread_over_the_lines() -> None:
    assert [mutant.line for mutant in line_mutants(SOURCE, range(1, 12), 3)] == [5, 7, 8]


def test_a_fault_says_what_it_is() -> None:
    told = [mutant.what for mutant in line_mutants(SOURCE, [9], 100)]
    assert any("net * (1 + rate) became" in words for words in told)


def test_bytes_that_are_not_utf8_and_foreign_line_ends_stay() -> None:
    source = b"# caf\xe9\r\ndef f(x):\r\n    return x + 1  # \xe9\r\n".decode("utf-8", "surrogateescape")
    for mutant in line_mutants(source, [3], 9):
        assert mutant.source.encode("utf-8", "surrogateescape").count(b"\xe9") == 2
        assert mutant.source.startswith(source[:20])


@given(st.lists(st.sampled_from(SOURCE.splitlines()[4:]), max_size=12), st.sets(st.integers(0, 20)))
def test_every_mutant_parses_and_is_another_program(lines: list[str], at: set[int]) -> None:
    source = "\n".join(lines)
    for mutant in line_mutants(source, at, 50):
        assert ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(source))
        assert mutant.line in at
