"""Ways to cheat those who judge a change, each refused with its line; and honest changes, which are not."""

from textwrap import dedent

import pytest

from bullpen.domain.change import FileChange
from bullpen.flow.guards import Breach, find_breaches, is_test_path

TEST = """\
import os
import unittest

import pytest
from shop import app
from shop.prices import total, tax

LIMIT = 3


def check_order(order):
    assert order.paid


@pytest.fixture
def basket():
    return app.make_basket(5)


@pytest.mark.parametrize(("a", "b"), [(1, 2), (3, 4), (5, 6)])
def test_pairs(a, b):
    assert total([a, b]) == a + b


def test_total(basket):
    result = total(basket)
    check_order(app.order)
    assert result == 15, "sum"
    assert result != None
    assert not result == 4


def test_near():
    assert total([0.1, 0.2]) == pytest.approx(0.3, abs=1e-9)


def test_refuses():
    with pytest.raises(ValueError, match="negative"):
        tax(-1)


class TestOld(unittest.TestCase):
    def setUp(self):
        self.rate = tax(1)

    def test_rate(self):
        self.assertEquals(self.rate, 0.2)
        self.assertTrue(self.rate is not None)
"""


def breaches(path: str, before: str | None, after: str | None) -> tuple[Breach, ...]:
    change = FileChange(
        path, before.encode() if before is not None else None, after.encode() if after is not None else None
    )
    return find_breaches([change])


def replaced(old: str, new: str, source: str = TEST) -> str:
    assert source.count(old) == 1, source.count(old)
    return source.replace(old, new)


CHEATS = {
    "deleted test": ("def test_near():", "def near():", "deletes the test test_near"),
    "renamed class": ("class TestOld(unittest.TestCase)", "class Old(unittest.TestCase)", "deletes the test"),
    "no TestCase any more": ("TestOld(unittest.TestCase)", "TestOld", "takes unittest.TestCase"),
    "hidden class": (
        "    def setUp(self):",
        "    def __init__(self):\n        pass\n\n    def setUp(self):",
        "hides",
    ),
    "check gone": ("    assert not result == 4\n", "", "drops or loosens"),
    "wider comparison": ("assert result == 15", "assert result >= 15", "drops or loosens"),
    "other expectation": ("assert result == 15", "assert result == 16", "drops or loosens"),
    "bare truth": ("assert result == 15", "assert result", "drops or loosens"),
    "either way": ("assert result == 15", "assert result == 15 or True", "drops or loosens"),
    "tolerance": ("abs=1e-9", "abs=1e9", "drops or loosens"),
    "wider error": ("pytest.raises(ValueError, match", "pytest.raises(Exception, match", "drops or loosens"),
    "any message": (', match="negative"', "", "drops or loosens"),
    "error made by the test": ("        tax(-1)", '        raise ValueError("negative")', "tax"),
    "weaker unittest": ("assertTrue(self.rate is not None)", "assertTrue(True)", "drops or loosens"),
    "weaker setUp": ("self.rate = tax(1)", "self.rate = 0.2", "setUp no longer uses tax"),
    "case dropped": (", (5, 6)]", "]", "drops a case of test_pairs: (5, 6)"),
    "case marked": ("(5, 6)]", "pytest.param(5, 6, marks=pytest.mark.skip)]", "drops a case"),
    "expectation through a local": ("result = total(basket)", "result = 15", "no longer uses total"),
    "result thrown away": ("result = total(basket)", "total(basket)\n    result = 15", "drops or loosens"),
    "fixture neutered": ("return app.make_basket(5)", "return []", "leaves basket with nothing to do"),
    "fixture for all": ("@pytest.fixture\n", "@pytest.fixture(autouse=True)\n", "a fixture for every test"),
    "helper neutered": ("    assert order.paid", "    return None", "check_order"),
    "early return": ("    assert result == 15", "    return\n    assert result == 15", "depend on more"),
    "never true": (
        '    assert result == 15, "sum"\n',
        "    if os.name == 'x':\n        assert result == 15\n",
        "depend on more",
    ),
    "empty loop": (
        '    assert result == 15, "sum"\n',
        "    for _ in []:\n        assert result == 15\n",
        "depend on more",
    ),
    "swallowed": (
        '    assert result == 15, "sum"\n',
        "    try:\n        assert result == 15\n    except AssertionError:\n        pass\n",
        "depend on more",
    ),
    "suppressed": (
        '    assert result == 15, "sum"\n',
        "    with contextlib.suppress(Exception):\n        assert result == 15\n",
        "depend on more",
    ),
    "skipped": ("def test_near():", "@pytest.mark.skip\ndef test_near():", "marks the test test_near"),
    "expected to fail": ("def test_near():", "@pytest.mark.xfail\ndef test_near():", "marks the test"),
    "skipped inside": (
        "    assert total([0.1",
        "    pytest.skip('slow')\n    assert total([0.1",
        "skips or mutes",
    ),
    "whole file skipped": ("LIMIT = 3\n", "LIMIT = 3\npytestmark = pytest.mark.slow\n", "switches tests"),
    "not a test": ("LIMIT = 3\n", "LIMIT = 3\n__test__ = False\n", "switches tests"),
    "under a condition": (
        "def test_near():\n    assert",
        "if os.environ.get('CI'):\n  def test_near():\n    assert",
        "under a condition",
    ),
    "redefined": ("class TestOld", "def test_near():\n    pass\n\n\nclass TestOld", "drops or loosens"),
    "deleted name": ("class TestOld", "del test_near\n\n\nclass TestOld", "does away with tests"),
    "exit": ("    check_order(app.order)", "    check_order(app.order)\n    os._exit(0)", "ends the process"),
    "exit of the interpreter": ("LIMIT = 3\n", "LIMIT = 3\nraise SystemExit(0)\n", "ends the process"),
    "double": (
        "def test_total(basket):\n",
        "def test_total(basket, monkeypatch):\n    monkeypatch.setattr(app, 'total', lambda x: 15)\n",
        "puts a double in place",
    ),
    "double by assignment": ("LIMIT = 3\n", "LIMIT = 3\napp.total = lambda x: 15\n", "puts a double"),
    "other fixture": ("def test_near():", "def test_near(fake_prices):", "gives test_near another fixture"),
    "always equal": (
        "LIMIT = 3\n",
        "class Any:\n    def __eq__(self, o):\n        return True\n",
        "makes everything equal",
    ),
    "muted warnings": (
        "def test_near():",
        "@pytest.mark.filterwarnings('ignore')\ndef test_near():",
        "mutes",
    ),
    "broken file": ("LIMIT = 3", "LIMIT = (", "cannot be parsed"),
    "silenced": ("LIMIT = 3", "LIMIT = 3  # noqa", "silences a checker"),
}


@pytest.mark.req("IMP-10")
@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_refused_with_its_line(name: str) -> None:
    old, new, words = CHEATS[name]
    found = breaches("tests/test_shop.py", TEST, replaced(old, new))
    told = [str(breach) for breach in found]
    assert any(words in one for one in told), told
    assert all(breach.line >= 1 for breach in found)


HONEST = {
    "unused import": ("import os\n", ""),
    "identity": ("assert result != None", "assert result is not None"),
    "negation": ("assert not result == 4", "assert result != 4"),
    "turned round": ("assert result == 15", "assert 15 == result"),
    "message": (', "sum"', ""),
    "alias of unittest": ("self.assertEquals(self.rate, 0.2)", "self.assertEqual(self.rate, 0.2)"),
    "plain assert": ("self.assertEquals(self.rate, 0.2)", "assert self.rate == 0.2"),
    "clearer unittest": ("assertTrue(self.rate is not None)", "assertIsNotNone(self.rate)"),
    "quotes": ('match="negative"', "match='negative'"),
    "names of parameters": ('("a", "b"), [', '"a, b", ['),
    "rows": ("(1, 2), (3, 4)", "[1, 2], (3, 4)"),
    "one case more": ("(5, 6)]", "(5, 6), (7, 8)]"),
    "one check more": (
        "    assert not result == 4\n",
        "    assert not result == 4\n    assert result == 15\n",
    ),
    "one test more": ("class TestOld", "def test_more():\n    assert total([]) == 0\n\n\nclass TestOld"),
    "renamed local": ("    result = total(basket)\n", "    result = total(basket)  # the sum\n"),
    "fixture without brackets": ("@pytest.fixture\n", "@pytest.fixture()\n"),
    "list of calls": ("total([0.1, 0.2])", "total([0.1, 0.2])  "),
    "unused constant": ("LIMIT = 3\n", ""),
}


@pytest.mark.req("IMP-10")
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_change_of_a_test_is_not_refused(name: str) -> None:
    old, new = HONEST[name]
    assert breaches("tests/test_shop.py", TEST, replaced(old, new)) == ()


def test_a_local_may_be_renamed() -> None:
    body = TEST[TEST.index("def test_total") : TEST.index("def test_near")]
    assert (
        breaches("tests/test_shop.py", TEST, TEST.replace(body, body.replace("result", "sum_of_all"))) == ()
    )


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("'{} {b}'.format(x, b=y)", "f'{x} {y}'", False),
        ("'{0!r}: {1:>3}'.format(x, y)", "f'{x!r}: {y:>3}'", False),
        ("'%s: %r 5%%' % (x, y)", "f'{x}: {y!r} 5%'", False),
        ("'{} {}'.format(x, y)", "f'{y} {x}'", True),
        ("'{} {}'.format(x, y)", "f'{x} {x}'", True),
        ("'%s %s' % (x, y)", "f'{x} '", True),
        ("'{}'.format(x, y)", "f'{x}'", True),
        ("getattr(x, 'y')", "x.y", False),
        ("getattr(x, 'y')", "x.z", True),
        ("getattr(x, 'y', None)", "x.y", True),
        ("list(range(0, x))", "list(range(x))", False),
        ("list(range(1, x))", "list(range(x))", True),
        ("x(lambda: [])", "x(list)", False),
        ("x(lambda: [1])", "x(list)", True),
        ("x(lambda a: [])", "x(list)", True),
    ],
)
def test_what_is_compared_may_be_spelled_otherwise(old: str, new: str, refused: bool) -> None:
    source = "from shop import x, y\n\n\ndef test_it():\n    assert x() == ({})\n"
    before, after = (source.replace("({})", f"({one})").encode() for one in (old, new))
    assert bool(find_breaches([FileChange("tests/test_it.py", before, after)])) is refused


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("'{} {b}'.format(x, b=y)", "f'{x} {y}'", False),
        ("'{} {}'.format(x, y)", "f'{x}{y}'", True),
        ("f'{x:>3} {y}'", "f'{x} {y}'", True),
        ("getattr(x, 'y')", "x.z", True),
        ("range(0, x)", "range(x)", False),
        ("x(range(0, x))", "x(x)", True),
        ("range(x)", "x", True),
    ],
)
def test_what_a_local_is_made_of_may_be_spelled_otherwise(old: str, new: str, refused: bool) -> None:
    source = "from shop import x, y\n\n\ndef test_it():\n    got = {}\n    assert got == x()\n"
    before, after = (source.replace("{}", one).encode() for one in (old, new))
    assert bool(find_breaches([FileChange("tests/test_it.py", before, after)])) is refused


NAMED = """\
from shop.prices import total


def test_total():
    count = lambda basket: total(basket, rate=2)
    assert count([1]) == 2
"""


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ("return total(basket, rate=2)", False),
        ("return 2", True),
        ("return total(basket, rate=0) or 2", True),
        ("basket = [1]\n        return total(basket, rate=2)", True),
    ],
)
def test_a_lambda_may_become_the_same_function_and_no_other(body: str, refused: bool) -> None:
    line = "    count = lambda basket: total(basket, rate=2)\n"
    after = NAMED.replace(line, f"    def count(basket):\n        {body}\n\n")
    assert after != NAMED
    change = FileChange("tests/test_prices.py", NAMED.encode(), after.encode())
    assert bool(find_breaches([change])) is refused


def test_two_checks_may_be_made_of_one() -> None:
    before = "from a import f\n\ndef test_a():\n    x = f()\n    assert x.a and not (x.b or x.c)\n"
    after = "from a import f\n\ndef test_a():\n    x = f()\n    assert x.a\n    assert not x.b\n    assert not x.c\n"
    assert breaches("test_a.py", before, after) == ()


def test_what_a_local_object_is_filled_with_counts() -> None:
    before = "from a import f\n\ndef test_a():\n    x = []\n    x.append(f(1))\n    assert x == [1]\n"
    assert breaches("test_a.py", before, before.replace("f(1)", "1"))
    opened = "from a import f\n\ndef test_a():\n    t = open('x').read()\n    assert f(t) == 1\n"
    closed = "from a import f\n\ndef test_a():\n    with open('x', encoding='utf-8') as s:\n        t = s.read()\n    assert f(t) == 1\n"
    assert breaches("test_a.py", opened, closed) == ()


@pytest.mark.parametrize(
    ("path", "before", "after", "line"),
    [
        ("pyproject.toml", "[project]\nname='a'\n[tool.ruff]\nselect=['E']\n", "[project]\nname='a'\n[tool.ruff]\nselect=[]\n", 4),
        ("pyproject.toml", "[project]\nname='a'\n", "[project]\nname='a'\n[tool.pytest.ini_options]\naddopts='-k x'\n", 3),
        ("pyproject.toml", "[tool.mypy]\nstrict=true\n", "", 1),
        ("setup.cfg", "[metadata]\nname=a\n[tool:pytest]\naddopts=-W error\n", "[metadata]\nname=a\n[tool:pytest]\naddopts=\n", 4),
        ("sub/pytest.ini", None, "[pytest]\naddopts = --co\n", 1),
        ("package.json", '{\n"scripts": {"test": "jest"}\n}', '{\n"scripts": {"test": "true"}\n}', 2),
        (".github/workflows/ci.yml", "jobs:\n  a:\n    run: make\n", "jobs:\n  a:\n    run: make || true\n", 3),
        (".github/workflows/ci.yml", "jobs: {}\n", None, 1),
        ("Makefile", "test:\n\tpytest\n", "test:\n\ttrue\n", 2),
        (".bullpen/gates.yaml", "a: true\n", "a: false\n", 1),
        ("shop/sitecustomize.py", None, "x = 1\n", 1),
    ],
)  # fmt: skip
def test_configuration_that_judges_is_left_alone(
    path: str, before: str | None, after: str | None, line: int
) -> None:
    (breach,) = breaches(path, before, after)
    assert (breach.path, breach.line) == (path, line)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("pyproject.toml", "[project]\nversion='1'\n[tool.ruff]\nx=1\n", "[project]\nversion='2'\n[tool.ruff]\nx=1\n"),
        ("setup.cfg", "[metadata]\nname=a\n", "[metadata]\nname=b\n"),
        ("package.json", '{"version": "1", "scripts": {}}', '{"version": "2", "scripts": {}}'),
        (".github/workflows/ci.yml", "jobs: {a: {steps: [{uses: x@v1}]}}", "permissions: {}\njobs: {a: {steps: [{uses: x@abc}]}}"),
        ("tests/README.md", "a", "b"),
    ],
)  # fmt: skip
def test_other_parts_of_shared_files_may_change(path: str, before: str, after: str) -> None:
    assert breaches(path, before, after) == ()


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("x = 1\n", "x = 1  # noqa: E501\n", True),
        ("x = 1  # noqa: E501\n", "x = 1  # noqa\n", True),
        ("x = 1  # noqa: E501, F401\n", "x = 1  # noqa: F401\n", False),
        ("x = 1  # type: ignore\n", "x = 1  # type: ignore[assignment]\n", False),
        ("x = 1  # nosec\n", "y = 0\nx = 1  # nosec\n", False),
        ("x = 1\n", "x = '# noqa'\n", False),
        ("x = 1\n", "# fmt: off\nx = 1\n", True),
        ("x = 1\n", "# pylint: disable=all\nx = 1\n", True),
    ],
)
def test_silencing_comments_may_only_become_narrower(before: str, after: str, refused: bool) -> None:
    assert bool(breaches("shop/a.py", before, after)) is refused


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("shop/a.py", "import sys\nFAST = 'pytest' in sys.modules\n"),
        ("shop/a.py", "import os\nif os.environ.get('PYTEST_CURRENT_TEST'):\n    pass\n"),
        ("shop/a.py", "import os\nos._exit(0)\n"),
        ("shop/a.py", "class A:\n    def __eq__(self, other):\n        return True\n"),
        ("web/a.ts", "if (process.env.NODE_ENV === 'test') { done() }\n"),
        ("web/a.ts", "// eslint-disable-next-line\nfoo()\n"),
        ("a/a.go", "//nolint:errcheck\n"),
        ("tests/conftest.py", "def pytest_collection_modifyitems(items):\n    items.clear()\n"),
        ("tests/conftest.py", "collect_ignore = ['test_a.py']\n"),
        (
            "tests/conftest.py",
            "import pytest\n\n@pytest.fixture(autouse=True)\ndef quiet(monkeypatch):\n    pass\n",
        ),
    ],
)
def test_new_code_that_tricks_tests(path: str, code: str) -> None:
    assert breaches(path, "", code)


def test_an_unused_import_of_a_conftest_may_go() -> None:
    before = "import os\nimport pytest\n\n@pytest.fixture\ndef a():\n    return 1\n"
    assert breaches("tests/conftest.py", before, before.replace("import os\n", "")) == ()


def test_a_deleted_file_of_tests_and_a_renamed_one() -> None:
    assert breaches("tests/test_shop.py", TEST, None)[0].what == "deletes a file of tests"
    gone = FileChange("tests/test_shop.py", TEST.encode(), None)
    assert find_breaches([gone, FileChange("tests/test_prices.py", None, TEST.encode())]) == ()
    assert find_breaches([gone, FileChange("tests/prices.py", None, TEST.encode())])
    weaker = TEST.replace("assert result == 15", "assert result").encode()
    assert find_breaches([gone, FileChange("tests/test_prices.py", None, weaker)])


def test_what_tests_compare_with_is_left_alone() -> None:
    assert breaches("tests/data/expected.json", "1", "2")[0].what == "changes what tests expect"
    assert breaches("tests/data/new.json", None, "2") == ()


JS = dedent("""\
    import { total } from './shop'
    describe("shop", () => {
      it("adds", () => {
        var result = total([1, 2])
        expect(result).toBe(3);
        if (result == 3) { ok() }
      })
    })
    """)
GO = dedent("""\
    package shop

    import "testing"

    func TestTotal(t *testing.T) {
    \tfor _, c := range []struct{ in, want int }{
    \t\t{1, 1},
    \t\t{2, 4},
    \t} {
    \t\tif got := Total(c.in); got != c.want {
    \t\t\tt.Errorf("got %d", got)
    \t\t}
    \t}
    }
    """)


@pytest.mark.parametrize(
    ("path", "source", "old", "new"),
    [
        ("web/shop.test.ts", JS, "toBe(3)", "toBeTruthy()"),
        ("web/shop.test.ts", JS, 'it("adds"', 'it.skip("adds"'),
        ("web/shop.test.ts", JS, 'it("adds"', 'xit("adds"'),
        ("web/shop.test.ts", JS, 'it("adds"', 'it.only("adds"'),
        ("web/shop.test.ts", JS, "    var result", "    return\n    var result"),
        ("web/shop.test.ts", JS, "    expect(result).toBe(3);\n", "    // expect(result).toBe(3);\n"),
        ("web/shop.test.ts", JS, "total([1, 2])", "3"),
        ("web/shop.test.ts", JS, "describe(", "process.exit(0)\ndescribe("),
        ("web/shop.test.ts", JS, "describe(", "jest.mock('./shop')\ndescribe("),
        ("shop_test.go", GO, "\t\t{2, 4},\n", ""),
        ("shop_test.go", GO, "func TestTotal", "func testTotal"),
        ("shop_test.go", GO, "\t\t\tt.Errorf(", "\t\t\tt.Logf("),
        ("shop_test.go", GO, "\tfor _, c", '\tt.Skip("later")\n\tfor _, c'),
        ("shop_test.go", GO, "package shop\n", "//go:build never\n\npackage shop\n"),
        ("shop_test.go", GO, "\tfor _, c", "\tos.Exit(0)\n\tfor _, c"),
    ],
)
def test_cheats_in_other_languages(path: str, source: str, old: str, new: str) -> None:
    assert breaches(path, source, replaced(old, new, source))


@pytest.mark.parametrize(
    ("old", "new"),
    [("var result", "const result"), ('"adds"', "'adds'"), ("toBe(3);", "toBe(3)"), ("== 3", "=== 3")],
)
def test_other_spelling_in_other_languages(old: str, new: str) -> None:
    assert breaches("web/shop.test.ts", JS, replaced(old, new, JS)) == ()


def test_examples_in_docstrings_are_tests() -> None:
    before = 'def f():\n    """Give one.\n\n    >>> f()\n    1\n    """\n    return 1\n'
    assert breaches("shop/a.py", before, before.replace("    >>> f()\n    1\n", ""))[0].line == 4


@pytest.mark.parametrize(
    "path", ["tests/a.py", "a/test_b.py", "conftest.py", "web/a.spec.ts", "a_test.go", "x/__tests__/a.js"]
)
def test_paths_of_tests(path: str) -> None:
    assert is_test_path(path)
    assert not is_test_path("shop/contest.py")
