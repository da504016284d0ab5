"""Code that knows what it is asked, where it worked it out before."""

from textwrap import dedent

import pytest

from bullpen.domain.change import FileChange
from bullpen.flow.guards import find_breaches

BEFORE = """\
def size(text):
    if text[-1] == "k":
        return int(text[:-1]) * 1024
    return int(text)
"""


def said(before: str, after: str, path: str = "shop/a.py") -> list[str]:
    change = FileChange(path, dedent(before).encode(), dedent(after).encode())
    return [breach.what for breach in find_breaches([change])]


@pytest.mark.req("WFL-05")
@pytest.mark.parametrize(
    "after",
    [
        'def size(text):\n    return {"10": 10, "2k": 2048}[text]\n',
        'def size(text):\n    return {"10": 10, "2k": 2048}.get(text, -1)\n',
        'KNOWN = {"10": 10, "2k": 2048}\n\n\ndef size(text):\n    return KNOWN[text]\n',
        'KNOWN: dict[str, int] = {"10": -10, "2k": 2048}\n\n\ndef size(text):\n    return KNOWN.get(text)\n',
        'def size(text):\n    if text == "10":\n        return 10\n    if "2k" == text:\n        return 2048\n    return 0\n',
        'def size(text):\n    return 10 if text == "10" else 2048 if text == "2k" else 0\n',
        'def size(text):\n    if text in ("10", "010"):\n        return 10\n    return 2048\n',
        'def size(text):\n    match text:\n        case "10" | "010":\n            return 10\n',
        'def size(text):\n    match text:\n        case "10":\n            return 10\n        case "2k":\n            return 2\n',
    ],
)
def test_answers_nobody_worked_out_are_refused(after: str) -> None:
    (only,) = said(BEFORE, after)
    assert only.startswith("answers by rote what it was not asked before: '10': ")


@pytest.mark.parametrize(
    "after",
    [
        BEFORE.replace("int(text)\n", "int(text or 0)\n"),
        'def size(text):\n    if text == "":\n        return 0\n    return int(text)\n',
        'def size(text):\n    return post({"Accept": "a", "Host": "b"}, text)\n',
        'SIZES = {"one": 1, "two": 2}\n\n\ndef size(text):\n    return int(text)\n',
        'def size(text):\n    return {"one": first, "two": second}[text]()\n',
        'def size(text):\n    return {"one": 1, "two": 2}["one"]\n',
    ],
)
def test_other_literals_are_nobodys_business(after: str) -> None:
    assert said(BEFORE, after) == []


def test_a_chain_of_conditions_may_become_a_table() -> None:
    before = 'def word(n):\n    if n == 1:\n        return "one"\n    if n == 2:\n        return "two"\n'
    assert said(before, 'def word(n):\n    return {1: "one", 2: "two"}.get(n)\n') == []


def test_tests_may_know_their_answers() -> None:
    after = 'def size(text):\n    return {"10": 10, "2k": 2048}[text]\n'
    assert said(BEFORE, after, "tests/sizes.py") == []


def test_what_does_not_parse_is_left_to_others() -> None:
    assert said(BEFORE, "def (") == []
