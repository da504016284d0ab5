"""Types that do not fit, by the project's own settings for mypy, and none of its code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.analysis.analysers._mypy_settings import FILES, as_file, read_settings
from bullpen.analysis.roast import ANALYSERS
from bullpen.domain.finding import Severity

pytestmark = pytest.mark.req("ROA-02")

WRONG = """\
import not_installed
from not_installed import Base

class Shop(Base):
    def total(self) -> int:
        return not_installed.add(1)

def double(x: int) -> int:
    return x * 2

double("2")
late: int = "x"  # type: ignore[assignment]
"""
UNTYPED = "def f(x):\n    return x\n"


async def look(make_tree, sandbox, files):
    analyser = ANALYSERS.load("type_checker")
    tree = make_tree(files)
    seen = await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)
    return sorted((each.rule.removeprefix("type-checker:"), str(each.place)) for each in seen)


PACKAGE = {"src/shop/__init__.py": "", "src/shop/cart.py": WRONG, "setup.py": "import setuptools\n"}


@pytest.mark.parametrize(
    "settings",
    [
        {"mypy.ini": "[mypy]\n"},
        {".mypy.ini": "[mypy]\npython_version = 3.11\nunknown_word = 3\n"},
        {"setup.cfg": "[mypy]\nfiles = src\n"},
        {"pyproject.toml": '[tool.mypy]\npackages = ["shop"]\nmypy_path = "$MYPY_CONFIG_FILE_DIR/src"\n'},
        {
            "pyproject.toml": '[tool.mypy]\nfiles = ["src/**/*.py"]\nplugins = ["pydantic.mypy"]\nstrict = true\n'
        },
        {
            "mypy.ini": "[mypy]\npython_executable = /work/evil\nfiles = /etc\ncache_dir = here\nhtml_report = out\n"
        },
    ],
)
async def test_types_that_do_not_fit_are_told_and_what_is_not_installed_is_not(make_tree, sandbox, settings):
    assert await look(make_tree, sandbox, {**PACKAGE, **settings}) == [("arg-type", "src/shop/cart.py:11")]


async def test_where_the_project_has_not_configured_it_nothing_is_said(make_tree, sandbox):
    assert await look(make_tree, sandbox, PACKAGE) == []
    files = {
        **PACKAGE,
        "pyproject.toml": "[tool.black]\n",
        "setup.cfg": "[metadata]\n",
        "mypy.ini": "not ini",
    }
    assert await look(make_tree, sandbox, files) == []


async def test_settings_for_some_modules_and_exclusions_hold(make_tree, sandbox):
    settings = (
        '[tool.mypy]\nexclude = ["old/", "gone"]\ndisallow_untyped_defs = true\n'
        '[[tool.mypy.overrides]]\nmodule = ["shop.free.*", "shop.loose"]\ndisallow_untyped_defs = false\n'
    )
    files = {
        "shop/__init__.py": "",
        "shop/strict.py": UNTYPED,
        "shop/loose.py": UNTYPED,
        "shop/old/__init__.py": "",
        "shop/old/a.py": UNTYPED,
        "pyproject.toml": settings,
    }
    assert await look(make_tree, sandbox, files) == [("no-untyped-def", "shop/strict.py:1")]


@pytest.mark.parametrize("plugin", ["shop/plugin.py", "shop.plugin", "./shop/plugin.py:plugin"])
async def test_a_plugin_of_the_tree_is_not_run_and_then_types_are_not_judged(make_tree, sandbox, plugin):
    files = {
        **PACKAGE,
        "src/shop/plugin.py": "raise SystemExit(3)\n",
        "mypy.ini": f"[mypy]\nplugins = {plugin}\n",
    }
    assert await look(make_tree, sandbox, files) == []


async def test_a_file_that_is_not_python_silences_it_and_is_no_failure(make_tree, sandbox):
    files = {**PACKAGE, "src/shop/broken.py": "def f(:\n", "mypy.ini": "[mypy]\n"}
    assert await look(make_tree, sandbox, files) == []


async def test_what_is_wrong_in_tests_weighs_less(make_tree, sandbox):
    analyser = ANALYSERS.load("type_checker")
    tree = make_tree({"tests/test_a.py": "x: int = ''\n", "mypy.ini": "[mypy]\nfiles = tests\n"})
    (seen,) = await analyser.analyse(tree, list(tree.files), sandbox)
    assert (seen.rule, seen.severity) == ("type-checker:assignment", Severity.LOW)
    assert seen.url == "https://mypy.readthedocs.io/en/stable/_refs.html#code-assignment"


@given(st.sampled_from(FILES), st.text(max_size=100))
def test_whatever_is_written_neither_plugins_nor_places_outside_remain(file, text):
    quoted = '"""' + text.replace("\\", "").replace('"', "").replace("\0", "") + '"""'
    body = (
        f"[tool.mypy]\nplugins = {quoted}\nmypy_path = {quoted}\n"
        if file.endswith(".toml")
        else f"[mypy]\nplugins = x\n {text}\nmypy_path = /etc\n"
    )
    settings = read_settings(file, body)
    if settings is not None:
        kept = read_settings("mypy.ini", as_file(settings, ["src"]))
        assert kept is not None
        assert "plugins" not in kept["mypy"]
        assert kept["mypy"]["files"] == "src"
        assert not kept["mypy"].get("mypy_path", "").strip().startswith("/")
