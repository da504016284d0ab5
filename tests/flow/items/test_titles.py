"""Titles are short enough for a list, and cut where a reader does not stumble."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.flow.items.generate import shortened


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Short enough", "Short enough"),
        ("Do not return it if it is the only possible value", "Do not return it if it is the only…"),
        ("Use `suppress(E)` instead of `try`-`except`-`pass`", "Use `suppress(E)` instead of…"),
        ("Raise these exceptions with `raise ... from error` or so", "Raise these exceptions with…"),
        ("a" * 60, "a" * 39 + "…"),
    ],
)
def test_it_is_cut_between_words_and_outside_of_code(text: str, cut: str) -> None:
    assert shortened(text, 40) == cut


@given(st.text("ab` -,", max_size=200), st.integers(1, 100))
def test_it_is_never_too_long_and_its_code_is_whole(text: str, most: int) -> None:
    short = shortened(text, most)
    assert len(short) <= most
    assert short == text or short.count("`") % 2 == 0
