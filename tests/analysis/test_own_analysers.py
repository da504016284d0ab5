"""Analysers of our own: import cycles, test gaps, links and docstrings."""

import ast
from dataclasses import replace

import pytest

from bullpen.analysis.docstrings import unknown_parameters
from bullpen.analysis.links import markdown_anchors, markdown_links, rst_links
from bullpen.analysis.roast import ANALYSERS
from bullpen.domain.finding import Severity
from bullpen.domain.test_report import Coverage, FileCoverage


async def look(name, tree, sandbox):
    analyser = ANALYSERS.load(name)
    return await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)


@pytest.mark.req("ROA-02")
async def test_cycles_on_loading_and_hidden_ones_are_told_apart(make_tree, sandbox):
    files = {
        "p/__init__.py": "",
        "p/a.py": "import os\nfrom p import b\n",
        "p/b.py": "from p import c\n",
        "p/c.py": "from p import a\n",
        "p/x.py": "from p import y\n",
        "p/y.py": "def f():\n    from p import x\n",
        "p/t.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import u\n",
        "p/u.py": "from p import t\n",
    }
    seen = await look("import_cycles", make_tree(files), sandbox)
    assert [(each.rule, str(each.place), each.message) for each in seen] == [
        (
            "import-cycles:load-time",
            "p/a.py:2",
            "These modules import each other when they are loaded: p/a.py → p/b.py → p/c.py → p/a.py.",
        ),
        (
            "import-cycles:hidden",
            "p/x.py:1",
            "These modules import each other through imports inside functions: p/x.py → p/y.py → p/x.py.",
        ),
    ]


CODE = """\
class K:
    def run(self):
        a = 1
        return a

    def _own(self):
        return 1


def ran():
    return 1


def not_ran():
    return 1
"""


@pytest.mark.req("ROA-02")
async def test_gaps_are_public_functions_no_test_enters(make_tree, sandbox):
    tree = make_tree({"m.py": CODE})
    assert await look("test_gaps", tree, sandbox) == []
    cover = FileCoverage(frozenset({1, 2, 6, 10, 11, 14}), frozenset({3, 4, 7, 15}))
    seen = await look("test_gaps", replace(tree, coverage=Coverage({"m.py": cover})), sandbox)
    assert [(each.place.line, each.place.symbol, each.message) for each in seen] == [
        (2, "K.run", "No test runs K.run (2 lines)."),
        (14, "not_ran", "No test runs not_ran (1 line)."),
    ]
    assert {each.severity for each in seen} == {Severity.LOW}


RAISING = """\
def f(a):
    if a < 0:
        raise ValueError(a)
    if a > 9:
        raise NotImplementedError("later")
    def inner():
        raise KeyError(a)
    try:
        return inner
    except OSError:
        raise

def g(a):
    raise ValueError(a)
"""


@pytest.mark.req("ROA-02")
async def test_errors_that_no_test_reaches_are_gaps_of_functions_that_run(make_tree, sandbox):
    cover = FileCoverage(frozenset({1, 2, 4, 6, 8, 9, 13}), frozenset({3, 5, 7, 10, 11, 14}))
    tree = replace(make_tree({"m.py": RAISING}), coverage=Coverage({"m.py": cover}))
    assert [
        (each.rule, each.place.line, each.message) for each in await look("test_gaps", tree, sandbox)
    ] == [
        ("test-gaps:uncovered-error-path", 3, "No test reaches this error of f."),
        ("test-gaps:never-run", 13, "No test runs g (1 line)."),
    ]


PAGE = """\
# The title

See [one](other.md), [two](missing.md "hover"), ![img](img/a%20b.png), <https://example.org/x.md>.
[three](other.md#a-part), [four](other.md#no-part), [five](#the-title), [six](#nowhere), [dir](img).
[out](../../issues), [mail](mailto:a@b.c), [var]({{ base }}/x.md), [root](/other.md), [r][ref], [page](built.html).

`[code](missing.md)`

```
[fence](missing.md)
```

| [cell](gone.md) |
|-----------------|

[ref]: absent.md
"""


@pytest.mark.req("ROA-02")
async def test_broken_links_and_anchors_are_found_and_no_others(make_tree, sandbox):
    files = {
        "README.md": PAGE,
        "other.md": "# Other\n## A *part*\n",
        "img/a b.png": b"x",
        "tests/x.md": "[a](b.md)",
    }
    seen = await look("doc_links", make_tree(files), sandbox)
    assert [(each.rule.partition(":")[2], each.place.line, each.place.column) for each in seen] == [
        ("broken-link", 3, 28),
        ("broken-anchor", 4, 34),
        ("broken-anchor", 4, 79),
        ("broken-link", 16, 8),
        ("broken-link", 13, 10),
    ]


async def test_a_symbolic_link_counts_as_there(make_tree, sandbox):
    tree = make_tree({"README.md": "[a](link.md)\n"})
    (tree.root / "link.md").symlink_to("/etc/hostname")
    assert await look("doc_links", tree, sandbox) == []


async def test_targets_of_restructured_text_are_checked(make_tree, sandbox):
    text = ".. image:: gone.png\n.. include:: ok.rst\n\n`Text <missing.rst>`_ and `Name <https://e.org>`_\n"
    seen = await look("doc_links", make_tree({"a.rst": text, "ok.rst": ""}), sandbox)
    assert [(each.place.line, each.place.column) for each in seen] == [(1, 12), (4, 8)]
    assert [link.target for link in rst_links(text)] == ["gone.png", "ok.rst", "missing.rst", "https://e.org"]


def test_anchors_are_those_github_makes():
    text = "# Hello, World!\n# Hello World\n## `code` & more\n<a id='here'></a>\n# Über_uns\n"
    assert markdown_anchors(text) == {"hello-world", "hello-world-1", "code--more", "here", "über_uns"}


def test_a_link_written_twice_is_found_at_both_places():
    assert [(link.line, link.column) for link in markdown_links("[a](x.md) [b](x.md)\n[c](x.md)\n")] == [
        (1, 5),
        (1, 15),
        (2, 5),
    ]


@pytest.mark.parametrize(
    ("signature", "doc", "expected"),
    [
        ("a, b", "Args:\n        a: x.\n        c (int): y,\n            z: continued.\n    Returns:\n        q: r.", ["c"]),
        ("a", "Parameters\n    ----------\n    a : int\n        x\n    b, c : int\n    d\n\n    Returns\n    -------\n    e : x", ["d"]),
        ("a", ":param a: x\n    :param int b: y\n    :returns: z", ["b"]),
        ("a, *args", "Args:\n        *args: x.\n        a: y.", []),
        ("a, **kw", "Args:\n        b: x.", []),
        ("a", "Just text: with colon.", []),
    ],
)  # fmt: skip
def test_parameters_that_are_not_there(signature, doc, expected):
    source = f'def f({signature}):\n    """Do.\n\n    {doc}\n    """\n'
    found = list(unknown_parameters(ast.parse(source)))
    assert [described.name for _, described in found] == expected
    for _, described in found:
        assert described.name in source.split("\n")[described.line - 1]


def test_a_decorated_function_may_take_other_parameters():
    source = '@inject\ndef f(a):\n    """Do.\n\n    Args:\n        b: x.\n    """\n'
    assert list(unknown_parameters(ast.parse(source))) == []
    assert list(unknown_parameters(ast.parse(source.replace("inject", "lru_cache(maxsize=1)"))))
