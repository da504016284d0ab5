"""New tests that only ask of what kind something is."""

from textwrap import indent

import pytest

from bullpen.domain.change import FileChange
from bullpen.flow.guards import find_breaches

HEAD = "from shop.prices import total\n\n\ndef test_total():\n"


def said(body: str, before: bytes | None = None) -> list[str]:
    change = FileChange("tests/test_total.py", before, (HEAD + indent(body, "    ") + "\n").encode())
    return [breach.what for breach in find_breaches([change])]


@pytest.mark.req("WFL-05")
@pytest.mark.parametrize(
    "body",
    [
        "assert isinstance(total([1]), int)",
        "for one in (1, 2):\n    assert isinstance(total([one]), int)",
        "assert type(total([1])) is int",
        "assert int == type(total([1]))",
        "assert callable(total)",
        "assert hasattr(total, '__name__')",
        "found = total([1])\nassert found is not None\nassert isinstance(found, int)",
        "total([1])\nassert True",
    ],
)
def test_a_test_of_a_kind_alone_is_refused(body: str) -> None:
    assert said(body) == ["test_total checks only of what kind something is"]


def test_so_is_one_in_the_words_of_unittest() -> None:
    text = HEAD.replace("def test_total():", "class T(TestCase):\n    def test_total(self):")
    change = FileChange(
        "tests/test_t.py", None, f"{text}        self.assertIsInstance(total([]), int)\n".encode()
    )
    assert [one.what for one in find_breaches([change])] == [
        "T::test_total checks only of what kind something is"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "assert total([1]) == 1",
        "found = total([1])\nassert isinstance(found, int)\nassert found == 1",
        "assert isinstance(total([1]), int) and total([1]) == 1",
        "assert total([1]) is not None",
        "assert not total([])",
        "with pytest.raises(TypeError):\n    total(3)",
        "assert total([type(3)(1)]) == 1",
    ],
)
def test_a_test_of_a_value_is_fine(body: str) -> None:
    assert said(body) == []


def test_a_test_that_was_there_may_stay_as_it_is() -> None:
    body = "assert isinstance(total([1]), int)"
    before = (HEAD + f"    {body}\n").encode()
    assert said(body, before) == []
