"""Where imports go, which node a site names, and what is never parsed."""

import libcst as cst
import pytest

from bullpen.domain.change import Site
from bullpen.recipes._python_edit import Patch, argument, rewriting, with_argument
from bullpen.recipes._python_file import Import, PythonFile, read_python
from bullpen.recipes._python_imports import import_place


def imported(source: str, *wanted: Import) -> str:
    file = read_python(source)
    assert file is not None
    place = import_place(file, wanted)
    if place is None:
        return source
    offset, text = place
    return (file.data[:offset] + text.encode() + file.data[offset:]).decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\n", "import os\n\nx = 1\n"),
        ("def f(): pass\n", "import os\n\n\ndef f(): pass\n"),
        ("@d\ndef f(): pass\n", "import os\n\n\n@d\ndef f(): pass\n"),
        ("#!/bin/python\n# Licence\n\nx = 1\n", "#!/bin/python\n# Licence\n\nimport os\n\nx = 1\n"),
        ('"""Doc."""\n\nx = 1\n', '"""Doc."""\n\nimport os\n\nx = 1\n'),
        ('"""Doc."""\nx = 1\n', '"""Doc."""\n\nimport os\n\nx = 1\n'),
        ('"""Doc."""', '"""Doc."""\n\nimport os\n'),
        (
            "from __future__ import annotations\n\nx = 1\n",
            "from __future__ import annotations\n\nimport os\n\nx = 1\n",
        ),
        ("import abc\nimport sys\n", "import abc\nimport os\nimport sys\n"),
        ("import abc\nfrom re import sub\n", "import abc\nimport os\nfrom re import sub\n"),
        ("import yaml\n", "import os\n\nimport yaml\n"),
        ("from . import a\n", "import os\n\nfrom . import a\n"),
        ("import abc", "import abc\nimport os\n"),
        ("import abc\r\nx = 1\r\n", "import abc\r\nimport os\r\nx = 1\r\n"),
        ("import os\nx = 1\n", "import os\nx = 1\n"),
        ("import os as o\n", "import os as o\n"),
        ("import abc; x = 1\n", "import os\n\nimport abc; x = 1\n"),
        ("if a:\n    import os\n", "import os\n\nif a:\n    import os\n"),
        (
            "try:\n    import os\nexcept E:\n    pass\n",
            "import os\n\ntry:\n    import os\nexcept E:\n    pass\n",
        ),
        ("\ufeffx = 1\n", "\ufeffimport os\n\nx = 1\n"),
    ],
)
def test_import_goes_where_isort_would_look(before: str, after: str) -> None:
    assert imported(before, Import("os")) == after
    compile(after.removeprefix("\ufeff"), "a.py", "exec")


def test_installed_packages_come_after_the_standard_library() -> None:
    assert imported("import os\n\nx = 1\n", Import("yaml")) == "import os\n\nimport yaml\n\nx = 1\n"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import os\n", "os"),
        ("import os as system\n", "system"),
        ("x = 1\n", "os"),
        ("def f(os): pass\n", None),
        ("for os in a: pass\n", None),
        ("import os\nos = 1\n", None),
        ("def os(): pass\n", None),
        ("class A:\n    os = 1\n", None),
        ("def f():\n    import os\n", "os"),
        ("from mine import os\n", None),
    ],
)
def test_name_of_a_module_is_used_only_where_it_means_the_module(source: str, name: str | None) -> None:
    file = read_python(source)
    assert file is not None
    assert file.local_name(Import("os")) == name


@pytest.mark.parametrize(
    "source",
    [
        "(" * 100_000,
        "x = " + "[" * 190 + "]" * 190,
        "x = " + "-" * 5000 + "1",
        "x = a" + ".b" * 5000,
        "if a:\n  b\n" + "elif c:\n  d\n" * 3000,
        "x = '\0'",
        "def broken(:",
        "caf\udce9 = 1",
    ],
    ids=["parentheses", "lists", "minus", "attributes", "elif", "nul", "syntax", "undecodable name"],
)
def test_hostile_and_broken_files_are_not_read(source: str) -> None:
    assert read_python(source) is None


def limited(file: PythonFile, call: cst.Call) -> Patch | None:
    """The double of a recipe: any call of f gets an argument."""
    known = isinstance(call.func, cst.Name) and call.func.value == "f" and argument(call, "t") is None
    return Patch((with_argument(file, call, "t=1"),)) if known else None


@pytest.mark.parametrize(
    ("before", "sites", "after"),
    [
        ("f(f(a), f(b))\n", [Site(1, 3)], "f(f(a, t=1), f(b))\n"),
        ("f(f(a), f(b))\n", [Site(1, 1)], "f(f(a, t=1), f(b, t=1), t=1)\n"),
        ("f(\n    f(a),\n    b)\n", [Site(2)], "f(\n    f(a, t=1),\n    b)\n"),
        ("f(\n    a,\n    b)\n", [Site(3)], "f(\n    a,\n    b,\n    t=1)\n"),
        ("f(a); f(b)\n", [Site(1, 7), Site(1, 7)], "f(a); f(b, t=1)\n"),
        ("f(a)\n\nf(b)\n", [Site(2)], "f(a)\n\nf(b)\n"),
        ("f(a)  # f(b)\n", [Site(1, 9)], "f(a)  # f(b)\n"),
        ("f( )\n", [Site(1)], "f( t=1)\n"),
        ("f(*a, )\n", [Site(1)], "f(*a, t=1, )\n"),
        ("f(x for x in y)\n", [Site(1)], "f(x for x in y)\n"),
    ],
)
def test_a_site_names_the_innermost_call_at_its_place(before: str, sites: list[Site], after: str) -> None:
    assert rewriting(cst.Call, limited)(before, sites) == after
