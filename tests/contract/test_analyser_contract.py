"""Every analyser in the folder behaves as ``bullpen.analysis.base.Analyser`` promises."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.roast import ANALYSERS
from bullpen.domain.finding import Concern, Severity

FILES = {
    "app/main.py": b"import os\nimport app.other\n\n\ndef run(x, y=[]):\n    eval(x)\n    try:\n        y.append(x)\n"
    b"    except:\n        pass\n",
    "app/other.py": b"import app.main\n\n\ndef f(a):\n    '''Do.\n\n    Args:\n        b: no such.\n    '''\n",
    "app/broken.py": b"def f(:\n",
    "app/null.py": b"x = 1\0\n",
    "app/latin.py": b"# -*- coding: latin-1 -*-\nname = '\xe9'\n",
    "app/empty.py": b"",
    "web/main.ts": b"function f(a) { return eval(a); }\n",
    "go/main.go": b"package main\nfunc main() {}\n",
    "Dockerfile": b"FROM debian\n",
    "run.sh": b"echo $1\n",
    "db/shop.sql": b"DELETE FROM orders;\n",
    "compose.yaml": b"services:\n  a:\n    privileged: true\n    b: [\n",
    "deploy/pod.yml": b"apiVersion: v1\nkind: Pod\nspec: {hostNetwork: true}\n",
    "web/index.html": b"<html><img src=a>\xff",
    "requirements.txt": b"PyYAML==5.3\n\xff\n",
    "package-lock.json": b'{"packages": {"node_modules/lodash": {"version": "4.17.20"}}}',
    "pyproject.toml": b"[project]\nlicense = 'MIT'\n[tool.mypy]\n[tool.importlinter]\nroot_package = 'app'\n"
    b"[[tool.importlinter.contracts]]\ntype = 'layers'\nlayers = ['app.other', 'app.main']\n",
    "LICENSE": b"Apache License\nVersion 2.0, January 2004\n",
    "README.md": b"[broken](no/such/file.md)\n",
    "odd \xc3\xa9 name.py": b"import os\n",
    "-dash.py": b"import os\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    hashes: dict[str, str] = {}
    for raw_path, content in FILES.items():
        file = tmp_path / "tree" / raw_path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        hashes[raw_path] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    durations = {"app/main.py::run": 2.0}
    return SourceTree(tmp_path / "tree", hashes, churn=dict.fromkeys(FILES, 50), durations=durations)


@pytest.fixture(params=ANALYSERS.names())
def name(request) -> str:
    return request.param


@pytest.mark.req("ROA-02")
def test_its_name_is_its_file_and_loading_it_runs_nothing(name):
    analyser = ANALYSERS.load(name)
    assert analyser.name.replace("-", "_") == name
    assert analyser.reach in Reach
    assert analyser.version() == analyser.version() != ""


@pytest.mark.req("ROA-02")
async def test_what_it_sees_is_well_formed_and_within_what_it_was_shown(name, tree, sandbox):
    analyser = ANALYSERS.load(name)
    wanted = [path for path in tree.files if analyser.wants(path)]
    for each in await analyser.analyse(tree, wanted, sandbox):
        assert each.rule.startswith(f"{analyser.name.replace('_', '-')}:")
        assert each.analyser == analyser.name
        assert each.place.path in wanted
        assert each.place.line >= 1
        assert each.place.column >= 1
        assert each.message.strip() == each.message != ""
        assert isinstance(each.severity, Severity)
        assert isinstance(each.concern, Concern)
        assert each.rule not in each.same_as


async def test_it_says_the_same_twice_and_at_once(name, tree, sandbox):
    analyser = ANALYSERS.load(name)
    wanted = [path for path in tree.files if analyser.wants(path)]
    one, two = await asyncio.gather(*(analyser.analyse(tree, wanted, sandbox) for _ in range(2)))
    assert sorted(map(repr, one)) == sorted(map(repr, two))


async def test_it_takes_no_files_at_all(name, tree, sandbox):
    assert await ANALYSERS.load(name).analyse(tree, [], sandbox) == []


@pytest.mark.req("ROA-05")
@pytest.mark.parametrize(
    "name", [name for name in ANALYSERS.names() if ANALYSERS.load(name).reach is Reach.FILE]
)
async def test_what_it_says_of_a_file_does_not_depend_on_others_unless_it_says_so(name, tree, sandbox):
    analyser = ANALYSERS.load(name)
    wanted = [path for path in tree.files if analyser.wants(path)]
    together = await analyser.analyse(tree, wanted, sandbox)
    for path in wanted[:2]:
        alone = await analyser.analyse(tree, [path], sandbox)
        assert sorted(map(repr, alone)) == sorted(repr(each) for each in together if each.place.path == path)
