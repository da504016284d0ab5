"""What ``.editorconfig`` asks of a file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.flow.styling.editor import editor_problems, editor_properties, line_limit

RULES = """\
root = true
[*]
end_of_line = lf
insert_final_newline = true
trim_trailing_whitespace = true
[*.{js,ts}]
indent_style = space  ; two of them
max_line_length = 20
[*.go]
indent_style = tab
[docs/**/*.md]
trim_trailing_whitespace = false
[Make[fg]ile]
indent_style=tab
"""


def problems(root: Path, path: str, content: bytes) -> list[str]:
    return [one.removeprefix(f"{path}: ") for one in editor_problems(root, path, content)]


@pytest.mark.req("IMP-06")
@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("a.js", b"let a;\n  let b;\n", []),
        ("a.js", b"\tlet a;\n  \tlet b;\n", ["indented by a tab #1", "indented by a tab #2"]),
        ("src/a.ts", b"let a = 'much too wide';\n", ["wider than 20 #1"]),
        ("a.go", b"func a() {\n\tb()\n    c()\n}\n", ["indented by spaces #1"]),
        ("a.txt", b"a \nb", ["its last line does not end as it should", "blanks at the end of a line #1"]),
        ("a.txt", b"a\r\nb\n", ["its lines do not end as they should #1"]),
        ("docs/x/y.md", b"a  \n", []),
        ("docs/y.md", b"a  \n", []),
        ("y.md", b"a  \n", ["blanks at the end of a line #1"]),
        ("Makeefile", b"a:\n    b\n", []),
        ("Makefile", b"a:\n    b\n", ["indented by spaces #1"]),
        ("a.bin", b"a \0\n \n", []),
        ("a.txt", b"", []),
    ],
)
def test_each_line_that_breaks_a_rule_is_told(
    tmp_path: Path, path: str, content: bytes, found: list[str]
) -> None:
    (tmp_path / ".editorconfig").write_text(RULES)
    assert problems(tmp_path, path, content) == found


def test_the_nearer_file_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".editorconfig").write_text("[*]\nmax_line_length = 80\nindent_style = tab\n")
    (tmp_path / "a" / ".editorconfig").write_text("[*.py]\nmax_line_length = 90\n")
    (tmp_path / "a" / "b" / ".editorconfig").write_text("[*.py]\nmax_line_length = unset\n")
    assert editor_properties(tmp_path, "a/x.py") == {"max_line_length": "90", "indent_style": "tab"}
    assert (line_limit(tmp_path, "x.py"), line_limit(tmp_path, "a/x.py")) == (80, 90)
    (tmp_path / "a" / ".editorconfig").write_text("ROOT = True\n[*.py]\nmax_line_length = 90\n")
    assert editor_properties(tmp_path, "a/x.py") == {"max_line_length": "90"}


def test_a_link_out_of_the_project_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("[*]\nmax_line_length = 3\n")
    root = tmp_path / "project"
    root.mkdir()
    (root / ".editorconfig").symlink_to(tmp_path / "elsewhere")
    assert problems(root, "a.py", b"long enough\n") == []


@given(st.text("*?[]{}!,a/.\\-", max_size=40), st.text("a./-", min_size=1, max_size=20))
def test_any_section_is_read_or_left(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, path: str
) -> None:
    root = tmp_path_factory.getbasetemp()
    (root / ".editorconfig").write_text(f"[{pattern}]\nmax_line_length = 3\n")
    place = path.strip("/") or "a"
    if ".." not in place.split("/"):
        assert len(problems(root, place.replace("//", "/"), b"abcd\n")) <= 1
