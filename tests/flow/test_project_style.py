"""The project's own ruff configuration is held against a change, and never used to change it."""

from pathlib import Path

import pytest

from bullpen.domain.change import FileChange
from bullpen.flow.style import style_problems, widest_lines
from bullpen.flow.styling.machine_tools import machine_program
from bullpen.sandbox.base import Sandbox

UNUSED = "import os\nimport sys\n\nprint(sys.argv)\n"


def project(root: Path, configuration: str, code: str) -> Path:
    root.mkdir()
    (root / "pyproject.toml").write_text(configuration)
    (root / "shop.py").write_text(code)
    return root


@pytest.mark.req("IMP-06")
async def test_a_project_that_lets_ruff_fix_is_only_looked_at(tmp_path: Path, sandbox: Sandbox) -> None:
    root = project(tmp_path / "project", "[tool.ruff]\nfix = true\nshow-fixes = true\n", UNUSED)
    assert await style_problems(root, ["shop.py"], sandbox) == {"shop.py: F401 #1"}
    assert (root / "shop.py").read_text() == UNUSED


@pytest.mark.req("IMP-06")
async def test_what_a_change_brings_is_told_from_what_was_there(tmp_path: Path, sandbox: Sandbox) -> None:
    configuration = "[tool.ruff]\nfix = true\nline-length = 40\n[tool.ruff.lint]\nselect = ['E', 'F']\n"
    before = project(tmp_path / "before", configuration, UNUSED)
    after = project(
        tmp_path / "after", configuration, f"{UNUSED}print('a line that is longer than is allowed')\n"
    )
    new = await style_problems(after, ["shop.py"], sandbox) - await style_problems(
        before, ["shop.py"], sandbox
    )
    assert new == {"shop.py: E501 #1"}


@pytest.mark.req("IMP-06")
async def test_formatting_counts_where_it_is_configured(tmp_path: Path, sandbox: Sandbox) -> None:
    code = "x = {'a':1}\n"
    without = project(tmp_path / "without", "[tool.ruff]\n", code)
    formatted = project(tmp_path / "formatted", "[tool.ruff.format]\n", code)
    assert await style_problems(without, ["shop.py"], sandbox) == frozenset()
    assert await style_problems(formatted, ["shop.py"], sandbox) == {"shop.py: not formatted"}


async def brought(tmp_path: Path, sandbox: Sandbox, files: dict[str, str], path: str, after: str) -> set[str]:
    """What is wrong with the new content of a file that was not with the old one."""
    found: list[frozenset[str]] = []
    for name, text in (("before", files[path]), ("after", after)):
        root = tmp_path / name
        for inside, content in {**files, path: text}.items():
            (root / inside).parent.mkdir(parents=True, exist_ok=True)
            (root / inside).write_text(content)
        found.append(await style_problems(root, [path], sandbox))
    return set(found[1] - found[0])


@pytest.mark.req("IMP-06")
@pytest.mark.parametrize(
    ("configuration", "code", "problem"),
    [
        ({"pyproject.toml": "[tool.black]\nline-length = 40\n"}, 'x = ["a", "b"]\n', ""),
        ({"pyproject.toml": "[tool.black]\n"}, "x = ['a','b']\n", "a.py: not formatted"),
        ({"pyproject.toml": "[tool.black]\nskip-string-normalization = true\n"}, "x = ['a', 'b']\n", ""),
        (
            {"pyproject.toml": "[tool.black]\nline-length = 40\n"},
            'x = ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"]\n',
            "a.py: not formatted",
        ),
        ({"setup.cfg": "[flake8]\nmax-line-length = 30\n"}, f"x = '{'a' * 40}'\n", "a.py: E501 #1"),
        ({".flake8": "[flake8]\nextend-ignore = E501, W503\n"}, f"x = '{'a' * 90}'\n", ""),
        ({"pyproject.toml": '[tool.isort]\nprofile = "black"\n'}, "import os\nimport abc\n", "a.py: I001 #1"),
        ({}, "x = ['a','b']\n", ""),
    ],
)
async def test_other_tools_of_python(
    tmp_path: Path, sandbox: Sandbox, configuration: dict[str, str], code: str, problem: str
) -> None:
    files = {**configuration, "a.py": "x = 1\n"}
    assert await brought(tmp_path, sandbox, files, "a.py", code) == ({problem} if problem else set())


@pytest.mark.req("IMP-06")
@pytest.mark.skipif(not machine_program("gofmt"), reason="needs gofmt")
async def test_go_is_formatted_as_go_is(tmp_path: Path, sandbox: Sandbox) -> None:
    files = {"a.go": "package a\n\nconst b = 1\n"}
    assert await brought(tmp_path, sandbox, files, "a.go", "package a\n\nconst   b = 2\n") == {
        "a.go: not formatted"
    }
    assert await brought(tmp_path / "fine", sandbox, files, "a.go", "package a\n\nconst b = 2\n") == set()


@pytest.mark.req("IMP-06")
async def test_the_editors_file_holds_for_every_language(tmp_path: Path, sandbox: Sandbox) -> None:
    files = {".editorconfig": "[*.js]\nindent_style = space\n", "a.js": "if (a) {\n  b();\n}\n"}
    found = await brought(tmp_path, sandbox, files, "a.js", "if (a) {\n\tb();\n}\n")
    assert found == {"a.js: indented by a tab #1"}


@pytest.mark.parametrize(
    ("configuration", "width", "told"),
    [({}, 130, True), ({}, 110, False), ({".editorconfig": "[*]\nmax_line_length = 200\n"}, 130, False),
     ({"pyproject.toml": "[tool.ruff]\nline-length = 140\n"}, 130, False)],
)  # fmt: skip
def test_a_line_much_wider_than_any_before_is_told(
    tmp_path: Path, configuration: dict[str, str], width: int, told: bool
) -> None:
    for name, text in configuration.items():
        (tmp_path / name).write_text(text)
    before, after = b"x = 1\n", b"x = 1\ny = '" + b"a" * (width - 6) + b"'\n"
    found = widest_lines(tmp_path, [FileChange("a.py", before, after), FileChange("a.md", before, after)])
    assert found == ([f"a.py:2: {width} wide, where no line was wider than 5"] if told else [])
    assert widest_lines(tmp_path, [FileChange("a.py", after, after + b"x = 2\n")]) == []
