"""Analysers that run a tool: each sees its fault, honours its suppression, and takes no orders from the tree."""

import pytest

from bullpen.analysis.base import AnalyserFailed, SourceTree
from bullpen.analysis.roast import ANALYSERS, roast
from bullpen.analysis.tools import all_or_tree, batches, names_back, run_tool
from bullpen.domain.finding import Severity

SECRET = "AKIAIOSFODNN7EXAMPLF"  # noqa: S105 # pragma: allowlist secret
BRANCHES = "".join(f"    if a == {number}:\n        return {number}\n" for number in range(20))
JS_BRANCHES = "".join(f"  if (a === {number}) {{ return {number}; }}\n" for number in range(20))
BLOCK = "".join(f"    value{number} = other{number} + call(a, {number})\n" for number in range(20))


async def look(name: str, tree: SourceTree, sandbox):
    analyser = ANALYSERS.load(name)
    return await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)


CASES = [
    ("bandit", "m.py", "import torch\n\ntorch.load(x)\n", "bandit:B614", 3),
    ("bandit", "m.py", "a = 'x\u202ey'\n", "bandit:B613", 1),
    ("lizard", "m.py", f"def f(a):\n{BRANCHES}", "lizard:CCN", 1),
    ("lizard", "m.js", f"// top\nfunction f(a) {{\n{JS_BRANCHES}}}\n", "lizard:CCN", 2),
    ("vulture", "m.py", "def f():\n    return 1\n    print(2)\n", "vulture:unreachable-code", 3),
    ("duplication", "m.py", f"def f(a):\n{BLOCK}\n\ndef g(a):\n{BLOCK}", "duplication:clone", 24),
    ("detect_secrets", "m.py", f"import x\nkey = '{SECRET}'\n", "detect-secrets:AWS-Access-Key", 2),
    ("detect_secrets", "conf/app.env", f"KEY={SECRET}\n", "detect-secrets:AWS-Access-Key", 1),
    ("dockerfile", "Dockerfile", "FROM debian\n", "dockerfile:DL3006", 1),
    ("dockerfile", "docker/app.Dockerfile", "FROM a:1\nRUN cd /tmp\n", "dockerfile:DL3003", 2),
    ("shell", "run.sh", "#!/bin/sh\necho $1\n", "shell:SC2086", 2),
]


@pytest.mark.req("ROA-02")
@pytest.mark.parametrize(("name", "path", "text", "rule", "line"), CASES)
async def test_it_sees_its_fault(name, path, text, rule, line, make_tree, sandbox):
    seen = await look(name, make_tree({path: text}), sandbox)
    assert (rule, path, line) in [(each.rule, each.place.path, each.place.line) for each in seen]


SUPPRESSED = [
    ("bandit", "m.py", "import torch\n\ntorch.load(x)  # nosec\n"),
    ("lizard", "m.py", f"def f(a): # #lizard forgives\n    # #lizard forgives\n{BRANCHES}"),
    ("vulture", "m.py", "import zzz  # noqa: F401\n"),
    (
        "duplication",
        "m.py",
        f"# jscpd:ignore-start\ndef f(a):\n{BLOCK}\n\ndef g(a):\n{BLOCK}# jscpd:ignore-end\n",
    ),
    ("detect_secrets", "m.py", f"key = '{SECRET}'  # pragma: allowlist secret\n"),
    ("dockerfile", "Dockerfile", "# hadolint ignore=DL3006\nFROM debian\n"),
    ("shell", "run.sh", "#!/bin/sh\n# shellcheck disable=SC2086\necho $1\n"),
]


@pytest.mark.req("ROA-04")
@pytest.mark.parametrize(("name", "path", "text"), SUPPRESSED)
async def test_it_honours_an_inline_suppression(name, path, text, make_tree, sandbox):
    assert await look(name, make_tree({path: text}), sandbox) == []


HOSTILE = {
    ".hadolint.yaml": "ignored: [DL3006]\n",
    ".shellcheckrc": "disable=all\n",
    ".jscpd.json": '{"ignore": ["**"], "threshold": 0}\n',
    ".bandit": "[bandit]\nskips: B614\n",
    ".gitignore": "*\n",
    "pyproject.toml": '[tool.vulture]\nmin_confidence = 100\nexclude = ["*"]\n[tool.bandit]\nskips = ["B614"]\n',
    "whitelizard.txt": "f\n",
    "json.py": "raise SystemExit('taken over')\n",
    "bandit/__init__.py": "raise SystemExit('taken over')\n",
}


@pytest.mark.parametrize(("name", "path", "text", "rule", "line"), CASES)
async def test_files_of_the_tree_cannot_turn_it_off(name, path, text, rule, line, make_tree, sandbox):
    seen = await look(name, make_tree({**HOSTILE, path: text}), sandbox)
    assert rule in {each.rule for each in seen}


@pytest.mark.req("ROA-03")
async def test_a_fault_two_analysers_see_is_one_finding_with_two_witnesses(make_tree, sandbox):
    result = await roast(make_tree({"m.py": f"import zzz\n\n\ndef f(a):\n{BRANCHES}"}), sandbox)
    complex_ones = [each for each in result.findings if each.rule in ("ruff:C901", "lizard:CCN")]
    assert [(each.rule, each.witnesses, each.same_as) for each in complex_ones] == [
        ("ruff:C901", ("lizard", "ruff"), ("lizard:CCN",))
    ]
    unused = [each for each in result.findings if each.place.line == 1]
    assert [(each.rule, each.witnesses) for each in unused] == [("ruff:F401", ("ruff", "vulture"))]


@pytest.mark.parametrize("path", ["m.py", "m.env", "m.yaml", "m.sh", "m.txt"])
async def test_a_secret_is_never_repeated(path, make_tree, sandbox):
    text = {"m.py": f"def f(key='{SECRET}'):\n    pass\n", "m.yaml": f"a:\n  key: {SECRET}\n"}.get(
        path, f"KEY={SECRET}\n"
    )
    result = await roast(make_tree({path: text}), sandbox)
    assert any("detect-secrets" in each.witnesses for each in result.findings)
    assert SECRET not in repr(result)


@pytest.mark.parametrize("suffix", ["py", "yaml"])
async def test_the_line_of_a_secret_is_that_of_the_file(suffix, make_tree, sandbox):
    lines = ["a: 1"] * 9 + [f'b: "{SECRET}"', "d: 2"]
    seen = await look("detect_secrets", make_tree({f"m.{suffix}": "\n".join(lines)}), sandbox)
    assert [each.place.line for each in seen] == [10]


async def test_hashes_that_name_a_commit_and_users_of_examples_are_no_secrets(make_tree, sandbox):
    pinned, digest = "9f2c5a1e7b3d4f6081c2a3b4d5e6f708192a3b4c", "c0ffee" * 10 + "beef"
    files = {
        ".pre-commit-config.yaml": f"- repo: https://x/y\n  rev: {pinned}\n- uses: a/b@{pinned}\n",
        "image.yaml": f'image: "a@sha256:{digest}"\n',
        "m.py": '"""As in foo://user:pass@example.com:8042/over."""\n',
        "real.py": f'URL = "https://deploy:{SECRET[:-1]}x@host/"\nkey = "{pinned}"\n',  # pragma: allowlist secret
    }
    seen = await look("detect_secrets", make_tree(files), sandbox)
    assert [(each.place.path, each.place.line) for each in seen] == [("real.py", 1), ("real.py", 2)]


@pytest.mark.req("ROA-04")
async def test_a_pragma_for_the_next_line_speaks_of_that_line_only(make_tree, sandbox):
    pragma = "# pragma: allowlist nextline secret"
    lines = [pragma, "a: 1", f'b: "{SECRET}"', "a: 1", pragma, f'c: "{SECRET[:-1]}G"']
    seen = await look("detect_secrets", make_tree({"m.py": "\n".join(lines)}), sandbox)
    assert [each.place.line for each in seen] == [3]


async def test_a_tool_that_fails_is_recorded_and_the_roast_goes_on(make_tree, sandbox):
    tree = make_tree({"m.py": "import os\n", "run.sh": "echo $1\n"})
    (tree.root / "run.sh").unlink()
    result = await roast(tree, sandbox)
    assert {run.analyser: bool(run.failure) for run in result.runs}["shell"]
    assert "ruff:F401" in {each.rule for each in result.findings}


async def test_a_failure_quotes_what_the_tool_said(make_tree, sandbox):
    with pytest.raises(AnalyserFailed, match=r"status 3: no such thing"):
        await run_tool(sandbox, make_tree({}), ["/bin/sh", "-c", "echo no such thing >&2; exit 3"])


async def test_faults_in_tests_weigh_less(make_tree, sandbox):
    text = "import torch\n\ntorch.load(x)\n"
    seen = await look("bandit", make_tree({"app.py": text, "tests/test_app.py": text}), sandbox)
    weights = {each.place.path: each.severity for each in seen}
    assert weights == {"app.py": Severity.MEDIUM, "tests/test_app.py": Severity.LOW}


def test_long_lists_are_split_or_replaced_by_the_tree():
    paths = [f"folder/file{number}.py" for number in range(10_000)]
    groups = list(batches(paths))
    assert [path for group in groups for path in group] == [f"/work/{path}" for path in paths]
    assert max(sum(len(path) + 1 for path in group) for group in groups) <= 96 * 1024
    assert all_or_tree(paths * 10) == ["/work"]
    assert all_or_tree(paths[:2]) == ["/work/folder/file0.py", "/work/folder/file1.py"]
    assert all_or_tree([]) == []


def test_names_come_back_as_the_tree_has_them():
    names = names_back(["a.py", "caf\udce9.py"])
    assert names["/work/a.py"] == names["./a.py"] == names["a.py"] == "a.py"
    assert names["/work/caf\ufffd.py"] == "caf\udce9.py"


async def test_an_assertion_that_is_raised_is_no_check_of_a_type(make_tree, sandbox):
    check = "def f(a):\n    if not isinstance(a, int):\n        raise {}\n"
    files = {"own.py": check.format("AssertionError"), "given.py": check.format("ValueError(a)")}
    seen = await look("ruff", make_tree(files), sandbox)
    assert [each.place.path for each in seen if each.rule == "ruff:TRY004"] == ["given.py"]
