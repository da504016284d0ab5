"""Characterisation and error-path tests, observed in a real sandbox and run with a real pytest."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bullpen.codegraph.mutants import mutants, without_raise
from bullpen.domain.change import FileChange, Site
from bullpen.domain.test_report import Coverage, FileCoverage
from bullpen.recipes._inputs import calls_to_try
from bullpen.recipes._observer import literal
from bullpen.recipes.base import RecipeJob
from bullpen.recipes.python_tests import RECIPES
from bullpen.sandbox.backends.bubblewrap import Bubblewrap

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]
BY_NAME = {recipe.name: recipe for recipe in RECIPES}
CHARACTERISE, ERROR_PATH = BY_NAME["characterise-function"], BY_NAME["test-error-path"]


def project(root: Path, source: str, path: str = "src/shop/price.py", **files: str) -> Path:
    for name, text in {path: source, "src/shop/__init__.py": "", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text))
    return root


def job(
    root: Path, path: str = "src/shop/price.py", coverage: Coverage | None = None, *lines: int
) -> RecipeJob:
    text = (root / path).read_text()
    sites = tuple(Site(line) for line in lines or range(1, text.count("\n") + 2))
    return RecipeJob(root, path, sites, Bubblewrap(), coverage=coverage)


async def proposed(recipe: object, root: Path, coverage: Coverage | None = None) -> FileChange | None:
    assert recipe in RECIPES
    changes = await recipe.apply(job(root, coverage=coverage))
    assert len(changes) <= 1
    return changes[0] if changes else None


def write(root: Path, change: FileChange) -> str:
    assert change.after is not None
    (root / change.path).parent.mkdir(exist_ok=True, parents=True)
    (root / change.path).write_bytes(change.after)
    return change.after.decode()


def run_pytest(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pytest as the project would run it, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "tests"],
        cwd=root,
        env={"PYTHONPATH": f"{root}/src:{root}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


CLAMP = '''\
"""Prices."""
from __future__ import annotations


class TooLow(ValueError):
    """No."""


def clamp(value: int, low: int = 0, high: int = 10) -> int:
    """Keep a value between two limits."""
    if low > high:
        raise ValueError(f"{low} is above {high} (limits)")
    if value < -100:
        raise TooLow("too low")
    return max(low, min(value, high))


def label(name: str, tags: list[str] | None = None) -> dict[str, object]:
    return {"name": name.strip().title(), "tags": sorted(set(tags or []))}
'''


async def test_results_and_errors_of_functions_are_held(tmp_path: Path) -> None:
    change = await proposed(CHARACTERISE, project(tmp_path, CLAMP))
    assert change is not None
    assert change.path == "tests/test_price_characterisation.py"
    text = write(tmp_path, change)
    assert "from shop.price import TooLow, clamp, label\n" in text
    assert "def test_clamp_keeps_its_results():\n    assert clamp(" in text
    assert "with pytest.raises(ValueError, match=re.escape(" in text
    assert "with pytest.raises(TooLow, match=re.escape(" in text
    assert run_pytest(tmp_path).returncode == 0
    again = await CHARACTERISE.apply(job(tmp_path))
    assert again == [], "a second run changes nothing"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("max(low, min(value, high))", "min(value, high)"),
        ("low > high", "low >= high"),
        ("value < -100", "False"),
        (".title()", ""),
        ("tags or []", "[]"),
        ("return max", "return 1 + max"),
    ],
)
async def test_the_tests_notice_a_fault(tmp_path: Path, right: str, wrong: str) -> None:
    change = await proposed(CHARACTERISE, project(tmp_path, CLAMP))
    assert change is not None
    write(tmp_path, change)
    source = tmp_path / "src/shop/price.py"
    assert right in source.read_text()
    source.write_text(source.read_text().replace(right, wrong))
    result = run_pytest(tmp_path)
    assert result.returncode == 1, result.stdout


@pytest.mark.parametrize(
    "source",
    [
        "import random\ndef f(a: int) -> int:\n    return a + random.randint(0, 0)\n",
        "import time\ndef f(a: int) -> float:\n    return a + 0 * time.time()\n",
        "import datetime\ndef f(a: int) -> str:\n    return str(a + datetime.date.today().year)\n",
        "import os\ndef f(a: str) -> str:\n    return a + os.environ.get('HOME', '')\n",
        "import os\ndef f(a: str) -> str:\n    return a + os.getcwd()\n",
        "def f(a: int) -> int:\n    return a + len(open('/etc/hostname').name)\n",
        "import socket\ndef f(a: int) -> int:\n    socket.socket()\n    return a + 1\n",
        "import subprocess\ndef f(a: int) -> int:\n    return a + subprocess.call(['true'])\n",
        "def f(a: int) -> int:\n    print(a)\n    return a + 1\n",
        "def helper(a):\n    print(a)\n    return a\ndef f(a: int) -> int:\n    return helper(a) + 1\n",
        "seen = []\ndef f(a: int) -> int:\n    seen.append(a)\n    return len(seen)\n",
        "def f(a: str) -> int:\n    return hash(a + 'x')\n",
        "def f(a: str) -> list[str]:\n    return list({a, 'b', 'c', 'd'})\n",
        "def f(a: int) -> object:\n    return object()\n",
        "def f(a: int):\n    yield a\n",
        "async def f(a: int) -> int:\n    return a + 1\n",
        "def _f(a: int) -> int:\n    return a + 1\n",
        "def f(a: 'Path') -> int:\n    return a + 1\n",
        "def f(a: int) -> None:\n    a + 1\n",
        "def f(a: int) -> int:\n    while True:\n        pass\n",
        "def f(a: int) -> int:\n    return a.name\n",
        "def f(a: str) -> int:\n    return a + 1\n",
        "@property\ndef f(a: int) -> int:\n    return a + 1\n",
        "import missing_package\ndef f(a: int) -> int:\n    return a + 1\n",
        "def f(a: int) -> int:\n    return a + 1\ndef f(a: int) -> int:\n    return a + 2\n",
        "def f(a: int) -> int:\n    return a +\n",
        "import os\ndef f(a: int) -> int:\n    os.kill(os.getpid(), 9)\n    return a + 1\n",
        "def f(a: float) -> float:\n    return float('nan')\n",
        "import warnings\ndef f(a: int) -> int:\n    warnings.warn('no')\n    return a + 1\n",
        "import uuid\ndef f(a: str) -> str:\n    return a + str(uuid.uuid4())\n",
        "import time\ndef f(a: int) -> str:\n    return str(a) + time.strftime('%Y')\n",
    ],
)
async def test_what_is_not_plain_computing_is_left_alone(tmp_path: Path, source: str) -> None:
    assert await proposed(CHARACTERISE, project(tmp_path, source)) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, b):\n    return a + b\n", "assert f("),
        ("def f(a: float) -> float:\n    return a / 7\n", "== pytest.approx("),
        ("def f(a: int) -> bool:\n    return a > 3\n", "is False"),
        ("def f(a: set[int]) -> set[int]:\n    return a | {4}\n", "== {"),
        ("def f(*, a: bool, b: str = 'x') -> str:\n    return b * 2 if a else b\n", "f(a=True, b="),
        ("import typing as t\ndef f(a: t.Optional[t.Sequence[int]]) -> int:\n    return sum(a or [7])\n", "f(None)"),
        ("def f(mode: str) -> int:\n    return {'fast': 1, 'slow': 2}[mode]\n", 'f("slow") == 2'),
        ("def f(a: bytes) -> str:\n    return a.hex()\n", 'f(b\'ab\') == "6162"'),
        ("from functools import reduce\ndef f(a: list[int]) -> int:\n    import math\n    return math.prod(a)\n", "assert f(["),
        ("import io\ndef f(a: str) -> str:\n    out = io.StringIO()\n    out.write(a)\n    return out.getvalue()\n", "assert f("),
        ("import os\ndef f(a: str) -> str:\n    return os.path.normpath(a + '/../b')\n", "assert f("),
        ("import re\ndef f(a: str) -> list[str]:\n    return re.findall(r'\\w+', a)\n", "assert f("),
        ("print('hello')\ndef f(a: int) -> int:\n    return a * 2\n", "assert f("),
    ],
)  # fmt: skip
async def test_plain_functions_are_held_and_the_tests_pass(
    tmp_path: Path, source: str, expected: str
) -> None:
    change = await proposed(CHARACTERISE, project(tmp_path, source))
    assert change is not None
    text = write(tmp_path, change)
    assert expected in text
    result = run_pytest(tmp_path)
    assert result.returncode == 0, result.stdout + text


async def test_only_the_function_at_the_site_is_held_and_the_file_grows_later(tmp_path: Path) -> None:
    project(tmp_path, CLAMP)
    (first,) = await CHARACTERISE.apply(job(tmp_path, "src/shop/price.py", None, 19))
    text = write(tmp_path, first)
    assert "import label\n" in text
    assert "clamp" not in text
    (second,) = await CHARACTERISE.apply(job(tmp_path))
    assert second.before == first.after
    grown = write(tmp_path, second)
    assert "import TooLow, clamp, label\n" in grown
    assert grown.count("def test_label_keeps_its_results") == 1
    assert run_pytest(tmp_path).returncode == 0


async def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    mine = {"tests/test_price_characterisation.py": "# mine\n"}
    change = await proposed(CHARACTERISE, project(tmp_path, CLAMP, **mine))
    assert change is not None
    assert change.path == "tests/test_shop_price_characterisation.py"
    assert change.before is None


async def test_the_project_says_where_its_tests_are(tmp_path: Path) -> None:
    settings = {
        "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["checks"]\n',
        "checks/test_a.py": "",
    }
    change = await proposed(CHARACTERISE, project(tmp_path, CLAMP, **settings))
    assert change is not None
    assert change.path == "checks/test_price_characterisation.py"


async def test_hostile_code_cannot_write_into_the_answer(tmp_path: Path) -> None:
    source = """\
        import os
        for number in range(3, 20):
            try:
                os.write(number, b'{"original": [], "mutants": []}')
            except OSError:
                pass
        def f(a: int) -> int:
            return a + 1
        """
    assert await proposed(CHARACTERISE, project(tmp_path, source)) is None


def missing(*lines: int) -> Coverage:
    return Coverage({"src/shop/price.py": FileCoverage(frozenset({1}), frozenset(lines))})


async def test_a_guard_that_no_test_reaches_gets_one(tmp_path: Path) -> None:
    change = await proposed(ERROR_PATH, project(tmp_path, CLAMP), missing(12))
    assert change is not None
    assert change.path == "tests/test_price_errors.py"
    text = write(tmp_path, change)
    assert "TooLow" not in text
    assert "def test_clamp_raises_value_error():\n    with pytest.raises(ValueError, match=re.escape(" in text
    assert run_pytest(tmp_path).returncode == 0
    source = tmp_path / "src/shop/price.py"
    source.write_text(source.read_text().replace("low > high", "False"))
    assert run_pytest(tmp_path).returncode == 1


@pytest.mark.parametrize("lines", [(), (13,), (15,)])
async def test_a_guard_that_is_reached_needs_no_test(tmp_path: Path, lines: tuple[int, ...]) -> None:
    assert await proposed(ERROR_PATH, project(tmp_path, CLAMP), missing(*lines)) is None


async def test_a_guard_that_no_input_reaches_gets_no_test(tmp_path: Path) -> None:
    source = "def f(a: int) -> int:\n    if a * a == -1:\n        raise ValueError('no')\n    return a\n"
    assert await proposed(ERROR_PATH, project(tmp_path, source), missing(3)) is None


def function(source: str):
    import ast

    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def test_mutants_change_one_thing_each() -> None:
    found = mutants(function("def f(a: int) -> int:\n    'text'\n    return a + 1\n"))
    assert found == (
        'def f(a):\n    """text"""\n    return None',
        'def f(a):\n    """text"""\n    return a - 1',
        'def f(a):\n    """text"""\n    return a + 2',
    )


def test_a_guard_is_taken_out_whole() -> None:
    source = "def f(a):\n    if a:\n        raise ValueError\n    return a"
    assert without_raise(function(source), 3) == "def f(a):\n    if a:\n        pass\n    return a"


def test_calls_try_the_edges_of_conditions() -> None:
    calls = {str(call) for call in calls_to_try(function("def f(a: int):\n    return a > 41\n"))}
    assert {"40", "41", "42", "0", "-2"} <= calls


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b", "a"}, '{"a", "b"}'),
        (set(), "set()"),
        ((1,), "(1,)"),
        ({"a": [None, 1.5]}, '{"a": [None, 1.5]}'),
        ("it's", '"it\'s"'),
        ('"', "'\"'"),
        (float("inf"), ""),
        (frozenset(), ""),
        (type("I", (int,), {})(3), ""),
        ("x" * 300, ""),
        ([[[[[1]]]]], ""),
    ],
)
def test_literals_are_stable_and_short(value: object, text: str) -> None:
    assert literal(value) == text
