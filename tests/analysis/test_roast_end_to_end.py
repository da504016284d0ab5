"""A roast over real files with real analysers in a real sandbox."""

from pathlib import Path

import pytest

from bullpen.analysis.base import Persona
from bullpen.analysis.cache import ObservationCache
from bullpen.analysis.compare import compare
from bullpen.analysis.roast import quick_check, roast
from bullpen.domain.finding import Severity

BAD = """\
import os
import yaml


def load(stream, seen=[]):
    try:
        seen.append(yaml.load(stream))
    except:
        pass
    return seen
"""


def rules(result):
    return {finding.rule for finding in result.findings}


@pytest.mark.req("ROA-02", "ROA-03")
async def test_findings_carry_rule_place_symbol_snippet_and_fingerprint(make_tree, sandbox):
    result = await roast(make_tree({"app/load.py": BAD}), sandbox)
    assert not result.failures
    finding = next(each for each in result.findings if each.rule == "ruff:S506")
    assert (finding.place.path, finding.place.line, finding.place.symbol) == ("app/load.py", 7, "load")
    assert finding.severity is Severity.HIGH
    assert finding.snippet == "seen.append(yaml.load(stream))"
    assert finding.fingerprint.startswith("fnd-")
    assert {"ruff:F401", "ruff:B006", "ruff:E722"} <= rules(result)
    assert len({each.fingerprint for each in result.findings}) == len(result.findings)


@pytest.mark.req("ROA-05")
async def test_only_changed_files_are_looked_at_again(make_tree, sandbox, tmp_path: Path):
    cache = ObservationCache(tmp_path / "cache")
    first = await roast(make_tree({"a.py": BAD, "b.py": BAD}), sandbox, cache=cache)
    again = await roast(make_tree({"a.py": BAD, "b.py": BAD + "import re\n"}), sandbox, cache=cache)
    cached = {run.analyser: (run.files, run.cached) for run in again.runs}
    assert cached["ruff"] == (2, 1)
    comparison = compare(first.findings, again.findings)
    assert not comparison.gone
    assert {each.place.path for each in comparison.new} == {"b.py"}


@pytest.mark.req("ROA-03", "ROA-05")
async def test_quick_check_keeps_the_identity_of_what_stays(make_tree, sandbox):
    files = {"a.py": BAD, "b.py": BAD}
    before = await roast(make_tree(files), sandbox)
    mended = make_tree({**files, "a.py": "# moved down\n\n" + BAD.replace("import os\n", "")})
    checked = await quick_check(mended, ["a.py"], sandbox, known=before.findings)
    known_here = {each.fingerprint: each.rule for each in before.findings if each.place.path == "a.py"}
    here_now = {each.fingerprint for each in checked.findings}
    assert [rule for print_, rule in known_here.items() if print_ not in here_now] == ["ruff:F401"]
    assert here_now <= set(known_here)


@pytest.mark.req("ROA-04")
async def test_inline_suppressions_are_honoured(make_tree, sandbox):
    result = await roast(make_tree({"a.py": "import os  # noqa: F401\n"}), sandbox)
    assert "ruff:F401" not in rules(result)


async def test_a_hostile_configuration_in_the_tree_changes_nothing(make_tree, sandbox):
    files = {"ruff.toml": 'lint.ignore = ["F401"]\n', "a.py": "import os\n", "-x.py": "import os\n"}
    result = await roast(make_tree(files), sandbox)
    assert {each.place.path for each in result.findings if each.rule == "ruff:F401"} == {"a.py", "-x.py"}


async def test_odd_file_names_come_back_as_they_are(make_tree, sandbox):
    names = ["with space.py", "new\nline.py", "caf\udce9.py", "@list.py"]
    result = await roast(make_tree(dict.fromkeys(names, "import os\n")), sandbox)
    assert {each.place.path for each in result.findings if each.rule == "ruff:F401"} == set(names)


@pytest.mark.req("ROA-05")
async def test_quick_check_looks_at_the_whole_tree_only_when_a_rule_asks_for_it(make_tree, sandbox):
    tree = make_tree(
        {"a.py": "import b\n\nprint(b)\n", "b.py": "import a\n\nprint(a)\n", "c.py": "import os\n"}
    )
    plain = await quick_check(tree, ["a.py"], sandbox)
    assert rules(plain) == set()
    asked = await quick_check(tree, ["a.py"], sandbox, rules=["import-cycles:load-time"])
    assert [(each.rule, each.place.path) for each in asked.findings] == [("import-cycles:load-time", "a.py")]


@pytest.mark.req("ROA-01")
async def test_personas_decide_which_analysers_run(make_tree, sandbox):
    deaf = Persona("x", "X", "operations", ("shell", "no_such"), {"default": "$fault"})
    progress = []
    tree = make_tree({"a.py": BAD, "run.sh": "#!/bin/sh\necho $1\n"})
    result = await roast(tree, sandbox, personas=[deaf], on_progress=progress.append)
    assert rules(result) == {"shell:SC2086"}
    assert [run.analyser for run in progress] == ["shell"]
    assert [run.analyser for run in result.failures] == ["no_such"]


async def test_findings_can_be_limited_to_some_files(make_tree, sandbox):
    result = await roast(make_tree({"a.py": BAD, "b.py": BAD}), sandbox, paths=["b.py"])
    assert {each.place.path for each in result.findings} == {"b.py"}
