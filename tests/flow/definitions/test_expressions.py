"""Expressions, by the examples of GitHub's documentation, and by any text there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.flow.definitions.expressions import Scope, as_text, evaluate, fill, fill_all, parse, truth

SCOPE = Scope(
    {
        "matrix": {"os": "ubuntu-latest", "py": "3.13t"},
        "env": {"A": "1"},
        "list": ["push", "pull"],
        "n": None,
    },
    {"success": lambda: True, "failure": lambda: False, "always": lambda: True},
)


@pytest.mark.req("WFL-07")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("matrix.os == 'Ubuntu-Latest' && success()", True),
        ("! contains(matrix.py, 'pypy')", True),
        ("matrix['py'] != '3.13t' || failure()", False),
        ("matrix.name || matrix.py", "3.13t"),
        ("format('py{0} {{x}}', matrix.py)", "py3.13t {x}"),
        ("(1 < 2) == true", True),
        ("null == 0", True),
        ("'1' == 1", True),
        ("contains(list, 'PUSH')", True),
        ("join(list, '+')", "push+pull"),
        ("startsWith(matrix.os, 'ubuntu') && endsWith(matrix.os, 'latest')", True),
        ("fromJSON('[1, 2]')[1]", 2.0),
        ("matrix.nothing.at.all", None),
        ("'it''s'", "it's"),
        ("n && 'x' || 'y'", "y"),
        ("0x10", 16.0),
    ],
)
def test_values(text: str, value: object) -> None:
    assert evaluate(parse(text), SCOPE) == value
    assert evaluate(parse(f"${{{{ {text} }}}}"), SCOPE) == value


@pytest.mark.parametrize(
    "text", ["", "a ==", "(a", "a b", "x..y", "'a", "wrong()", "nowhere.x", "a[", "format('{3}')", "&&"]
)
def test_what_cannot_be_evaluated_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        evaluate(parse(text), SCOPE)


def test_texts_are_filled_in() -> None:
    assert fill("a ${{ matrix.os }}-${{ 1 }}!", SCOPE) == "a ubuntu-latest-1!"
    assert fill_all({"a": ["${{ true }}", "x${{ n }}"]}, SCOPE) == {"a": [True, "x"]}


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["a", "(", ")", "'x'", "&&", "==", "!", ".", "[", "]", " ", "1", "success()", ","]),
        max_size=20,
    ).map("".join)
)
def test_any_text_has_a_value_or_is_refused(text: str) -> None:
    try:
        value = evaluate(parse(text), SCOPE)
    except InvalidInput:
        return
    assert isinstance(truth(value), bool)
    assert isinstance(as_text(value), str)
