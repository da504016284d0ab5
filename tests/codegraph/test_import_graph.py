"""The graph of imports between the files of a tree."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.codegraph.imports import Import, ImportGraph, Moment, module_graph, module_name


def graph_of(root: Path, files: dict[str, str]) -> ImportGraph:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return module_graph(root, files)


def edges(graph: ImportGraph) -> set[tuple[str, str, str]]:
    return {(each.importer, each.imported, each.moment.value) for each in graph.imports}


@pytest.mark.req("ROA-02")
def test_absolute_and_relative_imports_are_resolved(tmp_path: Path):
    graph = graph_of(
        tmp_path,
        {
            "src/pkg/__init__.py": "from .a import x\n",
            "src/pkg/a.py": "import os\nimport pkg.sub.b as b\nfrom pkg import sub\n",
            "src/pkg/sub/__init__.py": "",
            "src/pkg/sub/b.py": "from .. import a\nfrom ..a import y\nfrom . import c, nothing\n",
            "src/pkg/sub/c.py": "from ....too.far import z\n",
        },
    )
    assert edges(graph) == {
        ("src/pkg/__init__.py", "src/pkg/a.py", "load"),
        ("src/pkg/a.py", "src/pkg/sub/b.py", "load"),
        ("src/pkg/a.py", "src/pkg/sub/__init__.py", "load"),
        ("src/pkg/sub/b.py", "src/pkg/a.py", "load"),
        ("src/pkg/sub/b.py", "src/pkg/sub/c.py", "load"),
        ("src/pkg/sub/b.py", "src/pkg/sub/__init__.py", "load"),
    }
    assert graph.line_of("src/pkg/a.py", "src/pkg/sub/b.py") == 2


def test_the_moment_of_an_import_is_told(tmp_path: Path):
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\n"
        "def f():\n    import d\ntry:\n    import e\nexcept ImportError:\n    pass\nclass K:\n    import g\n"
    )
    graph = graph_of(tmp_path, {"a.py": text, **{f"{name}.py": "" for name in "bcdeg"}})
    assert edges(graph) == {
        ("a.py", "b.py", "typing"),
        ("a.py", "c.py", "load"),
        ("a.py", "d.py", "call"),
        ("a.py", "e.py", "load"),
        ("a.py", "g.py", "load"),
    }


def test_scripts_find_what_lies_beside_them(tmp_path: Path):
    files = {
        f"{folder}/{name}.py": "import common\n" for folder in ("one", "two") for name in ("run", "common")
    }
    assert edges(graph_of(tmp_path, files)) == {
        ("one/run.py", "one/common.py", "load"),
        ("two/run.py", "two/common.py", "load"),
    }


def test_files_that_are_not_python_are_named_and_passed_over(tmp_path: Path):
    graph = graph_of(tmp_path, {"a.py": "def f(:\n", "b.py": "import a\n"})
    assert graph.unreadable == {"a.py"}
    assert graph.importers_of("a.py") == {"b.py"}


def test_reach_counts_all_that_would_break(tmp_path: Path):
    graph = graph_of(
        tmp_path, {"a.py": "", "b.py": "import a\n", "c.py": "def f():\n    import b\n", "d.py": ""}
    )
    assert graph.reach() == {"a.py": 2, "b.py": 1, "c.py": 0, "d.py": 0}


@pytest.mark.parametrize(
    ("path", "present", "name"),
    [
        ("src/a/b.py", {"src/a/__init__.py"}, "a.b"),
        ("src/a/__init__.py", {"src/a/__init__.py"}, "a"),
        ("a.py", set(), "a"),
        ("x/y.py", set(), "y"),
    ],
)
def test_names_are_counted_from_the_outermost_package(path, present, name):
    assert module_name(path, present) == name


nodes = st.sampled_from("abcdef")


@given(st.sets(st.tuples(nodes, nodes)))
def test_two_files_share_a_cycle_exactly_if_each_reaches_the_other(pairs):
    pairs = {(one, two) for one, two in pairs if one != two}
    graph = ImportGraph(
        {name: name for name in "abcdef"}, tuple(Import(one, two, 1, Moment.LOAD) for one, two in pairs)
    )
    reached = {(one, two) for one in "abcdef" for two in walk(pairs, one)}
    expected = {frozenset((one, two)) for one, two in reached if one != two and (two, one) in reached}
    groups = graph.cycles()
    found = {frozenset((one, two)) for group in groups for one in group for two in group if one != two}
    assert found == expected
    for group in groups:
        way = graph.shortest_cycle(group)
        assert len(way) >= 2
        assert all(step in pairs for step in zip(way, (*way[1:], way[0]), strict=True))


def walk(pairs: set[tuple[str, str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        for one, two in pairs:
            if one == node and two not in found:
                found.add(two)
                waiting.append(two)
    return found
