"""Positions and parents are what LibCST's own providers say, and files are kept parsed up to a bound."""

import libcst as cst
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider

from bullpen.recipes import _python_file
from bullpen.recipes._python_file import KEPT_CHARACTERS, read_python

LINE_ENDS = (cst.EmptyLine, cst.Newline, cst.TrailingWhitespace)
LINES = (
    "x = 1",
    "def f(a, *b, c=(1, 2)): return [a for a in b if a]",
    "if x:\n\ty = 'é — ü'  # ß",
    'text = """one\ntwo ä\n"""; z = (  x + \\\n  1)',
    "\f",
    "@d\nclass A(B, metaclass=C):\n    x: int = 1",
    "try:\n  pass\nexcept (E, F) as error:\n  raise G from error\nfinally:\n  del x",
    "",
    "# só",
)


@given(st.lists(st.sampled_from(LINES)), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
def test_places_are_those_of_libcst(lines: list[str], newline: str, bom: bool, last: bool) -> None:
    text = "\n".join(lines).replace("\n", newline) + newline * last
    file = read_python("\ufeff" * bom + text)
    if file is None:
        return
    wrapper = MetadataWrapper(file.module, unsafe_skip_copy=True)
    places = wrapper.resolve(PositionProvider)
    assert file.parents == dict(wrapper.resolve(ParentNodeProvider))
    for node in file.parents:
        if isinstance(node, LINE_ENDS):
            continue  # LibCST adds one where the file's last line has none
        start, end = places[node].start, places[node].end
        assert file.range(node) == ((start.line, start.column + 1), (end.line, end.column + 1))


def test_undecodable_bytes_take_one_column() -> None:
    file = read_python("x = '\udce9\udce9'; y = 1\n")
    assert file is not None
    assert [file.range(node)[0] for node in file.nodes(type(file.module.body[0]))] == [(1, 1)]
    targets = {file.code(node): file.range(node)[0] for node in file.parents if file.code(node) == "y"}
    assert targets == {"y": (1, 11)}


def test_files_are_kept_parsed_until_they_are_too_many() -> None:
    first, second = read_python("a = 1\n"), read_python("b = 1\n")
    assert read_python("a = 1\n") is first
    assert read_python("b = 1\n") is second
    read_python("c = '" + "c" * KEPT_CHARACTERS + "'\n")
    assert list(map(len, _python_file._kept)) == [KEPT_CHARACTERS + 7]
    assert read_python("a = 1\n") is not first


@pytest.mark.parametrize("text", ["def broken(:", "x = '\0'"])
def test_what_cannot_be_read_is_not_tried_again(text: str) -> None:
    assert read_python(text) is None
    assert _python_file._kept[text] is None
