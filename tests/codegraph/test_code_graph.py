"""Symbols, callers and imports of a tree, and that nothing is read twice."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.codegraph.base import LANGUAGES, FileFacts, Import, Moment
from bullpen.codegraph.graph import CodeGraph, KeptFacts, code_graph
from bullpen.codegraph.imports import ImportGraph

TREE = {
    "shop/__init__.py": "",
    "shop/price.py": "RATE: float = 1.2\nclass Price:\n    unit = 1\n    def gross(self):\n        def inner(): ...\n        return inner()\n",
    "shop/order.py": "from shop.price import Price\n@cached\nclass Order:\n    def total(self, p=Price()):\n        return p.gross() + self.lines[0].gross() + super().total()\n",
    "shop/report.py": "def lines(order):\n    from shop import order as module\n    return [module.Order().total() for _ in order]\n",
    "other.py": "def gross(): ...\ngross()\nbroken.gross\n",
    "bad.py": "def (",
    "README.md": "gross()",
}


def built(tree: dict[str, str], kept: KeptFacts | None = None) -> CodeGraph:
    return code_graph({path: text.encode() for path, text in tree.items()}, kept or KeptFacts())


@pytest.fixture
def graph() -> CodeGraph:
    return built(TREE)


@pytest.mark.req("TOL-03")
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gross", [("other.py", "gross", "function", 1), ("shop/price.py", "Price.gross", "method", 4)]),
        ("Price.gross", [("shop/price.py", "Price.gross", "method", 4)]),
        ("RATE", [("shop/price.py", "RATE", "variable", 1)]),
        ("unit", [("shop/price.py", "Price.unit", "variable", 3)]),
        ("inner", [("shop/price.py", "Price.gross.inner", "function", 5)]),
        ("ross", []),
    ],
)
def test_a_symbol_is_found_where_it_is_defined(
    graph: CodeGraph, name: str, found: list[tuple[str, str, str, int]]
) -> None:
    seen = [(one.path, one.definition) for one in graph.definitions_of(name)]
    assert [(path, one.name, one.kind, one.line) for path, one in seen] == found


@pytest.mark.req("TOL-03")
def test_callers_are_found_by_name_those_linked_by_imports_first(graph: CodeGraph) -> None:
    found = [
        (one.path, one.call.line, one.call.inside, one.call.written, one.linked)
        for one in graph.calls_of("Price.gross")
    ]
    assert found == [
        ("shop/order.py", 5, "Order.total", "p.gross", True),
        ("shop/order.py", 5, "Order.total", "….gross", True),
        ("other.py", 2, "", "gross", False),
    ]


def test_decorators_and_defaults_are_called_where_they_stand(graph: CodeGraph) -> None:
    calls = {
        one.call.written: one.call.inside for name in ("cached", "Price") for one in graph.calls_of(name)
    }
    assert calls == {"cached": "", "Price": "Order"}


@pytest.mark.req("TOL-03")
def test_what_cannot_be_read_is_said(graph: CodeGraph) -> None:
    assert graph.imports.unreadable == {"bad.py"}
    assert "README.md" not in graph.files


@pytest.mark.req("TOL-03")
def test_ways_and_what_breaks(graph: CodeGraph) -> None:
    imports = graph.imports
    assert imports.shortest_path("shop/report.py", "shop/price.py") == (
        "shop/report.py",
        "shop/order.py",
        "shop/price.py",
    )
    assert imports.shortest_path("shop/price.py", "shop/report.py") == ()
    assert imports.shortest_path("shop/report.py", "shop/price.py", (Moment.LOAD,)) == ()
    assert imports.dependents("shop/price.py") == {"shop/order.py": 1, "shop/report.py": 2}


def test_only_what_changed_is_read_again() -> None:
    kept = KeptFacts()
    first = built(TREE, kept)
    count = kept.count
    again = built({**TREE, "moved/price.py": TREE["shop/price.py"]}, kept)
    assert kept.count == count
    assert again.files["moved/price.py"] is first.files["shop/price.py"]
    built({**TREE, "other.py": "x = 1"}, kept)
    assert kept.count == count + 1


def test_the_oldest_goes_when_too_much_is_kept() -> None:
    kept = KeptFacts(most=2)
    built({f"{name}.py": f"{name} = 1" for name in "abcd"}, kept)
    assert kept.count == 2


def test_javascript_and_typescript_import_each_other() -> None:
    graph = built(
        {
            "web/app.tsx": "import { load } from './api.js';\nimport type { T } from './types';\nexport const App = () => <p>{load()}</p>;\n",
            "web/api.ts": "export * from './deep';\nexport const load = async () => (await import('./lazy')).go();\nimport x from 'react';\n",
            "web/deep/index.ts": "const t = require('../types');\nfunction f() { require('../app') }\nlet n = 1;\n",
            "web/types.d.ts": "export interface T { a: string }\nexport enum E { A }\nexport type U = T;\n",
            "web/lazy.js": "export function go() { return new (class {})(); }\nnew Thing(); a?.b.run();\n",
        }
    )
    edges = {(one.importer[4:], one.imported[4:], one.moment.value) for one in graph.imports.imports}
    assert edges == {
        ("app.tsx", "api.ts", "load"),
        ("app.tsx", "types.d.ts", "typing"),
        ("api.ts", "deep/index.ts", "load"),
        ("api.ts", "lazy.js", "call"),
        ("deep/index.ts", "types.d.ts", "load"),
        ("deep/index.ts", "app.tsx", "call"),
    }
    assert [(one.path, one.call.inside, one.linked) for one in graph.calls_of("load")] == [
        ("web/app.tsx", "App", True)
    ]
    assert [one.definition.kind for name in ("T", "E", "U", "n", "load") for one in graph.definitions_of(name)] == [
        "interface", "enum", "type", "variable", "function",
    ]  # fmt: skip
    assert [one.call.written for name in ("Thing", "run") for one in graph.calls_of(name)] == [
        "Thing",
        "a?.b.run",
    ]


NODES = st.integers(0, 7).map(lambda number: f"f{number}.py")


@pytest.mark.req("TOL-03")
@given(edges=st.sets(st.tuples(NODES, NODES).filter(lambda edge: edge[0] != edge[1]), max_size=20))
def test_a_way_exists_exactly_where_something_depends_and_is_as_short(edges: set[tuple[str, str]]) -> None:
    names = {f"f{number}.py": f"f{number}.py" for number in range(8)}
    graph = ImportGraph(names, tuple(Import(a, b, 1, Moment.LOAD) for a, b in sorted(edges)))
    for end in names:
        steps = graph.dependents(end)
        for start in names:
            way = graph.shortest_path(start, end)
            if start != end:
                assert bool(way) == (start in steps)
            if way and start != end:
                assert len(way) == steps[start] + 1
                assert all(edge in edges for edge in itertools.pairwise(way))


def test_a_file_without_anything_says_nothing() -> None:
    for name in LANGUAGES.names():
        language = LANGUAGES.load(name)
        assert language.read(b"", language.suffixes[0]) == FileFacts()
