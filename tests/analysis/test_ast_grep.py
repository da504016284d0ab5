"""The ast-grep analyser in a sandbox that really runs it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from bullpen.analysis.analysers.ast_grep import ANALYSER, UNREAD, language_of
from bullpen.analysis.base import AnalyserFailed, SourceTree
from bullpen.analysis.rulepacks import Language
from bullpen.domain.finding import Concern, Observation, Severity
from bullpen.sandbox.base import Command, Outcome, Sandbox

MakeTree = Callable[[Mapping[str, str | bytes]], SourceTree]

COPY = "import json\n\n\ndef copy(x):\n    return json.loads(json.dumps(x))\n"


async def look(tree: SourceTree, sandbox: Sandbox) -> list[Observation]:
    wanted = [path for path in tree.files if ANALYSER.wants(path)]
    return await ANALYSER.analyse(tree, wanted, sandbox)


async def test_says_what_where_and_how_bad(make_tree: MakeTree, sandbox: Sandbox) -> None:
    (seen,) = await look(make_tree({"shop/copy.py": COPY}), sandbox)
    assert (seen.rule, seen.analyser) == ("ast-grep:py-json-deep-copy", "ast_grep")
    assert (seen.severity, seen.concern) == (Severity.LOW, Concern.PERFORMANCE)
    assert seen.url.startswith("https://docs.python.org/")
    place = seen.place
    assert (place.path, place.line, place.column, place.end_line, place.end_column) == (
        "shop/copy.py", 5, 12, 5, 37,
    )  # fmt: skip
    assert place.symbol == "copy"


async def test_each_language_is_looked_at_with_its_own_rules(make_tree: MakeTree, sandbox: Sandbox) -> None:
    tree = make_tree(
        {
            "a.py": COPY,
            "a.js": "const copy = JSON.parse(JSON.stringify(x));\n",
            "a.ts": "const copy: X = JSON.parse(JSON.stringify(x));\n",
            "a.go": 'package a\n\nfunc f() error { return errors.New(fmt.Sprintf("no %s", x)) }\n',
            "a.md": COPY,
        }
    )
    seen = {(each.place.path, each.rule) for each in await look(tree, sandbox)}
    assert seen == {
        ("a.py", "ast-grep:py-json-deep-copy"),
        ("a.js", "ast-grep:js-json-deep-copy"),
        ("a.ts", "ast-grep:js-json-deep-copy"),
        ("a.go", "ast-grep:go-errors-new-sprintf"),
    }


async def test_tests_are_judged_by_the_rules_for_tests(make_tree: MakeTree, sandbox: Sandbox) -> None:
    text = "def test_copy():\n    x = json.loads(json.dumps(A))\n    print(x)\n"
    tree = make_tree({"shop/copying.py": text, "tests/test_copying.py": text})
    seen = {(each.place.path, each.rule) for each in await look(tree, sandbox)}
    assert seen == {
        ("shop/copying.py", "ast-grep:py-json-deep-copy"),
        ("tests/test_copying.py", "ast-grep:py-test-without-assertion"),
    }


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x = json.loads(json.dumps(y))  # bullpen: ignore[py-json-deep-copy]\n", []),
        ("# bullpen: ignore[py-busy-wait, py-json-deep-copy]\nx = json.loads(json.dumps(y))\n", []),
        ("x = json.loads(json.dumps(y))  # bullpen: ignore[py-busy-wait]\n", [1]),
        (
            "x = json.loads(json.dumps(y))  # bullpen: ignore[py-json-deep-copy]\nz = json.loads(json.dumps(x))\n",
            [2],
        ),
        ("# bullpen: ignore[py-json-deep-copy]\n\nx = json.loads(json.dumps(y))\n", [3]),
    ],
)
async def test_a_comment_with_the_rule_silences_it_on_its_line_or_the_next(
    make_tree: MakeTree, sandbox: Sandbox, text: str, lines: list[int]
) -> None:
    seen = await look(make_tree({"a.py": text}), sandbox)
    assert [each.place.line for each in seen] == lines


@pytest.mark.req("ROA-02")
async def test_pages_are_looked_at_and_can_say_that_it_is_meant(
    make_tree: MakeTree, sandbox: Sandbox
) -> None:
    page = '<html lang="en">\n<img src="a.png">\n<!-- bullpen: ignore[html-img-without-alt] -->\n<img src="b.png">\n'
    files = {
        "web/index.html": page,
        "old.HTM": page,
        "tests/page.html": page,
        "dump.html": f"{page}{'x' * 6000}",
    }
    seen = await look(make_tree(files), sandbox)
    assert [(each.rule, str(each.place)) for each in seen] == [
        ("ast-grep:html-img-without-alt", "web/index.html:2")
    ]


async def test_names_and_bytes_of_any_kind(make_tree: MakeTree, sandbox: Sandbox) -> None:
    odd = os.fsdecode(b"a b\n\xff-c.py")
    tree = make_tree({odd: b"x = '\xff\xc3' + json.loads(json.dumps(y))\n", "-x.py": COPY})
    seen = {(each.place.path, each.place.line, each.place.column) for each in await look(tree, sandbox)}
    assert seen == {(odd, 1, 12), ("-x.py", 5, 12)}


async def test_text_that_is_no_program_says_nothing(make_tree: MakeTree, sandbox: Sandbox) -> None:
    tree = make_tree({"a.py": b"\x00\x01(((", "b.py": b"", "c.go": "<<<<<<< HEAD\n", "d.js": "`${" * 50})
    assert await look(tree, sandbox) == []


async def test_a_file_that_ends_the_scan_is_named_and_the_rest_is_still_read(
    make_tree: MakeTree, sandbox: Sandbox
) -> None:
    tree = make_tree({"a.py": COPY, "gone.py": COPY, "z.py": COPY})
    (tree.root / "gone.py").unlink()
    seen = {(each.place.path, each.rule, each.severity) for each in await look(tree, sandbox)}
    assert seen == {
        ("a.py", "ast-grep:py-json-deep-copy", Severity.LOW),
        ("gone.py", UNREAD, Severity.INFO),
        ("z.py", "ast-grep:py-json-deep-copy", Severity.LOW),
    }


async def test_deep_nesting_harms_nothing(make_tree: MakeTree, sandbox: Sandbox) -> None:
    deep = "x = json.loads(" + "[\n" * 50_000 + "]\n" * 50_000 + ")\n"
    seen = await look(make_tree({"a.py": COPY, "deep.py": deep, "z.py": COPY}), sandbox)
    assert [each.place.path for each in seen] == ["a.py", "z.py"]


async def test_a_scan_that_does_not_start_is_a_failure(make_tree: MakeTree, sandbox: Sandbox) -> None:
    class WithoutTheScript:
        async def run(self, command: Command, on_output: object = None) -> Outcome:
            return await sandbox.run(replace(command, mounts=command.mounts[:-1]))

    with pytest.raises(AnalyserFailed, match="can't open file"):
        await look(make_tree({"a.py": COPY}), WithoutTheScript())


async def test_faults_in_examples_weigh_less(make_tree: MakeTree, sandbox: Sandbox) -> None:
    (seen,) = await look(make_tree({"examples/copy.py": COPY}), sandbox)
    assert seen.severity is Severity.INFO


async def test_nothing_asked_starts_nothing(make_tree: MakeTree) -> None:
    class Unused:
        async def run(self, command: Command, on_output: object = None) -> Outcome:
            raise AssertionError(command)

    assert await ANALYSER.analyse(make_tree({}), [], Unused()) == []


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", Language.PYTHON),
        ("a.jsx", Language.JAVASCRIPT),
        ("a.tsx", Language.TSX),
        ("a.d.ts", None),
        ("vendor/jquery.min.js", None),
        ("README", None),
    ],
)
def test_language_by_name(path: str, language: Language | None) -> None:
    assert language_of(path) == language


def test_version_names_the_tool() -> None:
    assert ANALYSER.version().startswith("ast-grep-py 0.")
