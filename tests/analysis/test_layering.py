"""A project's own architecture contracts, held against the imports it has."""

import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.analysis.analysers._contracts import FILES, pattern, read_contracts
from bullpen.analysis.roast import ANALYSERS

pytestmark = pytest.mark.req("ROA-02")

LAYERS = """\
[tool.importlinter]
root_package = "shop"

[[tool.importlinter.contracts]]
name = "Down"
type = "layers"
containers = ["shop"]
layers = ["web : cli", "(orders) | stock", "(nothing)", "core"]
ignore_imports = ["shop.core.old -> shop.web.*"]
"""
INI = """\
[importlinter]
root_packages =
    shop

[importlinter:contract:one]
name = Core is pure
type = forbidden
source_modules =
    shop.core
forbidden_modules =
    shop.stock
    shop.web
    sqlalchemy

[importlinter:contract:two]
name = Apart
type = independence
modules =
    shop.orders
    shop.stock

[importlinter:contract:three]
name = Unknown
type = of_our_own
"""
CODE = {
    "src/shop/__init__.py": "",
    "src/shop/web/__init__.py": "from shop import cli\n",
    "src/shop/web/views.py": "import shop.orders\n",
    "src/shop/cli.py": "from shop.web import views\n",
    "src/shop/orders.py": "import os\n\ndef late():\n    from shop import stock\n",
    "src/shop/stock.py": "from . import tools\n",
    "src/shop/tools.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop.web import views\n",
    "src/shop/core/__init__.py": "\nfrom shop import stock\n",
    "src/shop/core/old.py": "from shop.web import views\n",
    "tests/test_shop.py": "from shop.core import old\n",
}


async def look(make_tree, sandbox, files):
    analyser = ANALYSERS.load("layering")
    tree = make_tree(files)
    seen = await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)
    return [(each.rule, str(each.place), each.message.partition(", against")[0]) for each in seen]


async def test_layers_import_downwards_and_siblings_stay_apart(make_tree, sandbox):
    assert await look(make_tree, sandbox, {**CODE, "pyproject.toml": LAYERS}) == [
        ("layering:layers", "src/shop/stock.py:1", "shop.stock imports shop.web.views by way of shop.tools"),
        ("layering:layers", "src/shop/core/__init__.py:2", "shop.core imports shop.stock"),
        ("layering:layers", "src/shop/orders.py:4", "shop.orders imports shop.stock"),
    ]


async def test_imports_for_type_checkers_count_unless_the_project_says_they_do_not(make_tree, sandbox):
    without = LAYERS.replace('"shop"\n\n', '"shop"\nexclude_type_checking_imports = true\n\n')
    seen = await look(make_tree, sandbox, {**CODE, "pyproject.toml": without})
    assert [place for _, place, _ in seen] == ["src/shop/core/__init__.py:2", "src/shop/orders.py:4"]


@pytest.mark.parametrize("file", [".importlinter", "setup.cfg"])
async def test_forbidden_and_independent_modules(make_tree, sandbox, file):
    assert await look(make_tree, sandbox, {**CODE, file: INI}) == [
        ("layering:forbidden", "src/shop/core/__init__.py:2", "shop.core imports shop.stock"),
        ("layering:forbidden", "src/shop/core/old.py:1", "shop.core.old imports shop.web.views"),
        ("layering:independence", "src/shop/orders.py:4", "shop.orders imports shop.stock"),
        (
            "layering:independence",
            "src/shop/stock.py:1",
            "shop.stock imports shop.orders by way of shop.tools, shop.web.views",
        ),
    ]


async def test_ways_round_are_allowed_where_the_contract_allows_them(make_tree, sandbox):
    code = {
        "a/__init__.py": "",
        "a/x.py": "from a import y\n",
        "a/y.py": "from a import z\n",
        "a/z.py": "",
    }
    text = (
        '[tool.importlinter]\nroot_package = "a"\n[[tool.importlinter.contracts]]\nname = "n"\n'
        'type = "forbidden"\nsource_modules = ["a.x"]\nforbidden_modules = ["a.z"]\n'
    )
    assert await look(make_tree, sandbox, {**code, "pyproject.toml": text}) == [
        ("layering:forbidden", "a/x.py:1", "a.x imports a.z by way of a.y")
    ]
    allowed = f"{text}allow_indirect_imports = true\n"
    assert await look(make_tree, sandbox, {**code, "pyproject.toml": allowed}) == []


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": "[tool.importlinter"},
        {"pyproject.toml": "[tool]\nimportlinter = 3\n"},
        {
            "pyproject.toml": "[tool.importlinter]\nroot_package = 'shop'\ncontracts = [1, {type = ['layers']}]\n"
        },
        {".importlinter": "no section\n"},
        {".importlinter": INI.replace("    shop\n", "    elsewhere\n", 1)},
    ],
)
async def test_without_a_contract_that_can_be_read_nothing_is_said(make_tree, sandbox, files):
    assert await look(make_tree, sandbox, {**CODE, **files}) == []


@pytest.mark.slow
def test_import_linter_itself_comes_to_the_same(make_tree):
    tree = make_tree({**CODE, "pyproject.toml": LAYERS})
    command = Path(sysconfig.get_path("scripts")) / "lint-imports"
    environment = {"PYTHONPATH": str(tree.root / "src"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [command, "--no-cache"], cwd=tree.root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert "shop.core -> shop.stock (l.2)" in ran.stdout
    assert "shop.orders -> shop.stock (l.4)" in ran.stdout
    assert "shop.stock -> shop.tools (l.1)" in ran.stdout
    assert ran.stdout.count("is not allowed to import") == 3


@pytest.mark.parametrize(
    ("expression", "name", "fits"),
    [
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.**", "a.b.c", True),
        ("a.*.c", "a.b.c", True),
        ("a", "aa", False),
    ],
)
def test_expressions_for_modules(expression, name, fits):
    assert (pattern(expression).fullmatch(name) is not None) is fits


@given(
    st.sampled_from(FILES), st.text(max_size=200) | st.text("[]=importlinter:contract\n \"'", max_size=200)
)
def test_any_text_is_read_or_passed_over(file, text):
    assert read_contracts(file, text).contracts == ()
