"""Identities survive what people do to code that does not touch the fault."""

import re
import subprocess
import sysconfig
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen.analysis.base import SourceTree
from bullpen.analysis.compare import compare
from bullpen.analysis.fingerprints import identify
from bullpen.analysis.merge import merge
from bullpen.analysis.normal_form import normal_form
from bullpen.domain.finding import Concern, Finding, Observation, Place, Severity

FAULT = re.compile(r"eval\([^)]*\)")
STATEMENTS = (
    "eval('1')",
    "x = eval( a )",
    "x = [eval(a), eval(a)]",
    "return   eval(b)",
    "if eval(a): pass",
    "print('fine')",
    "y = {'k' : eval(a),}",
)
FILLER = ("\n", "# a comment\n", "import re\n", "\n\ndef other():\n    return 1\n\n\n")
PATHS = ("a.py", "b.py", "pkg/a.py", "pkg/c.py")

bodies = st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4)
functions = st.dictionaries(st.sampled_from(("f", "g", "h")), bodies, max_size=3)
modules = st.tuples(st.lists(st.sampled_from(("eval('1')", "z = eval(q)")), max_size=2), functions)
trees = st.dictionaries(st.sampled_from(PATHS), modules, min_size=1, max_size=4)


def source(module) -> str:
    top, parts = module
    text = "".join(f"{line}\n" for line in top)
    for name, body in parts.items():
        text += f"def {name}(a, b):\n" + "".join(f"    {line}\n" for line in body)
    return text


def look(files: dict[str, str], known: list[Finding] | None = None) -> list[Finding]:
    observations = [
        Observation("x:EVAL", "no eval", Severity.HIGH, Concern.SECURITY, place, "x")
        for path, text in files.items()
        for number, line in enumerate(text.split("\n"), 1)
        for match in FAULT.finditer(line)
        for place in [Place(path, number, match.start() + 1, number, match.end() + 1)]
    ]
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            file = Path(folder, path)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return identify(merge(observations, SourceTree(Path(folder), dict.fromkeys(files, ""))), known or [])


def prints(findings) -> set[str]:
    return {finding.fingerprint for finding in findings}


def files_of(tree) -> dict[str, str]:
    return {path: source(module) for path, module in tree.items()}


@pytest.mark.req("ROA-03")
@given(trees)
def test_every_finding_has_its_own(tree):
    findings = look(files_of(tree))
    assert len(prints(findings)) == len(findings)


@pytest.mark.req("ROA-03")
@given(trees, st.permutations(PATHS))
def test_renaming_files_changes_none(tree, order):
    files = files_of(tree)
    names = dict(zip(PATHS, order, strict=True))
    assert prints(look({f"moved/{names[path].replace('/', '_')}": text for path, text in files.items()})) == (
        prints(look(files))
    )


@pytest.mark.req("ROA-03")
@given(trees, st.lists(st.sampled_from(FILLER), max_size=5))
def test_edits_above_change_none(tree, filler):
    files = files_of(tree)
    assert prints(look({path: "".join(filler) + text for path, text in files.items()})) == prints(look(files))


@pytest.mark.req("ROA-03")
@settings(max_examples=20, deadline=None)
@given(modules)
def test_reformatting_changes_none(module):
    text = source(module)
    ruff = Path(sysconfig.get_path("scripts"), "ruff")
    argv = [ruff, "format", "--isolated", "--line-length=20", "-"]
    formatted = subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout
    joined = re.sub(
        r"eval\(\s*([^)]*?)\s*,?\s*\)", r"eval(\1)", formatted
    )  # so that the test's own matching finds it
    assert prints(look({"a.py": joined})) == prints(look({"a.py": text}))


@pytest.mark.req("ROA-03")
@settings(deadline=None)
@given(trees, st.data())
def test_mending_one_leaves_the_identity_of_all_others(tree, data):
    files = files_of(tree)
    before = look(files)
    if not before:
        return
    mended = data.draw(st.sampled_from(before))
    lines = files[mended.place.path].split("\n")
    row, column = mended.place.line - 1, mended.place.column - 1
    lines[row] = lines[row][:column] + "ok()" + lines[row][mended.place.end_column - 1 :]
    after = look({**files, mended.place.path: "\n".join(lines)}, before)
    assert len(after) == len(before) - 1
    gone = compare(before, after).gone
    assert len(gone) == 1
    assert (gone[0].place.path, gone[0].place.symbol) == (mended.place.path, mended.place.symbol)
    assert prints(after) == prints(before) - prints(gone)


@pytest.mark.req("ROA-03")
@given(trees, trees)
def test_comparison_is_one_to_one_and_complete(one, other):
    before, after = look(files_of(one)), look(files_of(other))
    result = compare(before, after)
    olds = [*result.gone, *(old for old, _ in result.kept)]
    youngs = [*result.new, *(young for _, young in result.kept)]
    assert sorted(map(id, olds)) == sorted(map(id, before))
    assert sorted(map(id, youngs)) == sorted(map(id, after))


@given(trees)
def test_a_tree_compared_with_itself_is_kept_whole(tree):
    findings = look(files_of(tree))
    result = compare(findings, [replace(each, fingerprint="") for each in findings])
    assert not result.gone
    assert not result.new
    assert all(old.place == young.place for old, young in result.kept)


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ("f( a,b )", "f(\n    a,\n    b,\n)", "a.py"),
        ("x = 'a\"b'", 'x = "a\\"b"', "a.py"),
        ("x = 1  # why", "x = (1)", "a.py"),
        ("f('a', 1); // why", 'f("a",1)', "a.js"),
        ("x = a \\\n + b", "x = (a + b)", "a.py"),
    ],
)
def test_formatting_leaves_the_normal_form(one, other, path):
    assert normal_form(one, path) == normal_form(other, path)


@pytest.mark.parametrize(
    ("one", "other"), [("a = 1", "a = 2"), ("'a b'", "'ab'"), ("f(a)", "g(a)"), ("# a", "# b")]
)
def test_different_code_has_a_different_normal_form(one, other):
    assert normal_form(one, "a.py") != normal_form(other, "a.py")


def test_a_statement_edited_and_a_file_renamed_at_once_are_followed():
    before = look({"a.py": "def f(a):\n    x = eval(a)\n", "b.py": "def g(a):\n    y = [eval(a), 1]\n"})
    after = look({"c.py": "def f(a):\n    x = eval(a)\n", "b.py": "def g(a):\n    y = [eval(a), 2]\n"})
    result = compare(before, after)
    assert [(old.place.path, young.place.path) for old, young in result.kept] == [
        ("a.py", "c.py"),
        ("b.py", "b.py"),
    ]


def seen_at(line: int, snippet: str, message: str = "today() used.") -> Finding:
    """One finding of a module's own statement."""
    place = Place("conf.py", line, 1, line, 9)
    concern, severity = Concern.QA, Severity.LOW
    return Finding("", "ruff:DTZ011", message, severity, concern, place, ("ruff",), snippet=snippet)


@pytest.mark.req("IMP-06")
@pytest.mark.parametrize(
    ("after", "new"),
    [
        (seen_at(46, "copyright = f'{today():%Y}, A. Albrecht'"), False),
        (seen_at(60, "other = f'{today():%Y}, A. Albrecht'"), True),
        (seen_at(46, "total = spent + 1", "now() used."), True),
    ],
)
def test_a_fault_of_a_statement_written_anew_is_the_same_fault_about_there(after: Finding, new: bool) -> None:
    before = seen_at(45, "copyright = '{:%Y}, A. Albrecht'.format(today())")
    result = compare([before], [after])
    assert bool(result.new) is new
    assert bool(result.gone) is new
