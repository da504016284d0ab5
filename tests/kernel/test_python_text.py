"""Many threads read Python source at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bullpen.kernel.python_text import parse_expression, parse_module

NESTED = "x = " + "[" * 60 + "f(a, b, *c, d=lambda: {1: (2, 3)})" + "]" * 60
SOURCE = "\n".join([NESTED, "class A:\n    def f(self):\n        return '\\d'"] * 60)


def test_threads_may_parse_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(parse_module, [SOURCE] * 64))
    assert {len(tree.body) for tree in trees} == {120}


def test_what_is_not_python_is_refused_and_the_next_text_is_read() -> None:
    for text in ("def", "x = \0", "(" * 5000):
        with pytest.raises((SyntaxError, ValueError, MemoryError, RecursionError)):
            parse_module(text)
    assert parse_expression("1 + 1")
