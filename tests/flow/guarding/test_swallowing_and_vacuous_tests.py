"""Errors that are swallowed, tests that cannot fail, documents that go, checks that become stricter."""

import pytest

from bullpen.domain.change import FileChange
from bullpen.flow.guards import find_breaches

READ = "def read(path):\n    return open(path).read()\n"
OLD = "def test_f():\n    with pytest.raises(ValueError):\n        f(0)\n"
STRICT = OLD.replace("ValueError)", 'ValueError, match="zero")')


def told(path: str, before: str | None, after: str) -> list[str]:
    old = None if before is None else before.encode()
    return [str(one) for one in find_breaches([FileChange(path, old, after.encode())])]


@pytest.mark.req("IMP-10")
@pytest.mark.parametrize("kind", ["", " Exception", " BaseException as error"])
def test_a_new_handler_that_takes_everything_is_refused(kind: str) -> None:
    after = (
        f"def read(path):\n    try:\n        return open(path).read()\n    except{kind}:\n        return ''\n"
    )
    assert told("a.py", READ, after) == ["a.py:4: swallows every error, and tells nobody"]


@pytest.mark.parametrize(
    "handler",
    [
        "except OSError:\n        return ''",
        "except Exception:\n        log()\n        return ''",
        "except:\n        raise",
    ],
)
def test_a_handler_that_is_narrow_or_tells_is_kept(handler: str) -> None:
    after = f"def read(path):\n    try:\n        return open(path).read()\n    {handler}\n"
    assert told("a.py", READ, after) == []


def test_a_handler_that_was_there_may_stay() -> None:
    before = "try:\n    import x\nexcept:\n    x = None\n"
    assert told("a.py", before, "import y\n" + before) == []


@pytest.mark.req("IMP-10")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "    try:\n        assert f(1) == 2\n    except AssertionError:\n        pass\n",
            "catches its own failure",
        ),
        (
            "    try:\n        assert f(1) == 2\n    except Exception:\n        return\n",
            "catches its own failure",
        ),
        ("    assert f(1) == f(1)\n", "compares something with itself"),
        ("    assert f(1) is f(1)\n    assert isinstance(f(1), int)\n", "compares something with itself"),
    ],
)
def test_a_new_test_that_cannot_fail_is_refused(body: str, words: str) -> None:
    assert [one for one in told("test_a.py", "", f"def test_f():\n{body}") if words in one]


@pytest.mark.parametrize(
    "body",
    [
        "    try:\n        f(1)\n    except ValueError:\n        pass\n    assert f(2) == 3\n",
        "    assert f(1) == f(2)\n",
        "    assert f(1) == f(1)\n    assert f(1) == 2\n",
    ],
)
def test_a_new_test_that_can_is_kept(body: str) -> None:
    assert told("test_a.py", "", f"def test_f():\n{body}") == []


def test_to_ask_more_of_an_error_is_stricter_and_to_ask_less_is_not() -> None:
    assert told("test_a.py", OLD, STRICT) == []
    assert any("drops or loosens" in one for one in told("test_a.py", STRICT, OLD))
    assert any("drops or loosens" in one for one in told("test_a.py", STRICT, STRICT.replace("zero", "z")))


def test_answers_may_not_be_known_in_several_statements() -> None:
    after = (
        READ
        + "\n\ndef f(a, b):\n    if (a, b) == (5, 7):\n        c = 3\n        return c * 1\n    return a\n"
    )
    rote = after.replace("return c * 1", "return 8")
    assert any("by rote" in one for one in told("a.py", READ, rote))
    assert not any("by rote" in one for one in told("a.py", READ, after))


def test_a_document_keeps_what_it_says() -> None:
    long = "# Guide\n\n" + "Stock moves with take and put. " * 5
    assert told("docs/guide.md", long, "# Guide\n") == [
        "docs/guide.md:2: drops 30 of the document's 32 words"
    ]
    assert told("docs/guide.md", long, long.replace("take", "give")) == []
    assert told("docs/guide.md", "# Guide\n", "") == []
