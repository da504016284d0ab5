"""Packages with known faults, stale locks and loose requirements: what is told, and what is not known and so not told."""

import json
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bullpen.analysis.analysers._advisories import built_in, parse_advisories
from bullpen.analysis.analysers._packages import reader_of
from bullpen.analysis.analysers._versions import PYPI, ends_below, order, poetry_range, starts_at_or_above
from bullpen.analysis.base import AnalyserFailed
from bullpen.analysis.roast import ANALYSERS
from bullpen.domain.finding import Severity

pytestmark = pytest.mark.req("ROA-02")


async def look(tree, sandbox):
    analyser = ANALYSERS.load("dependencies")
    return await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)


UV_LOCK = """\
version = 1

[[package]]
name = "certifi"
version = "2023.7.22"
source = { registry = "https://example.org/simple" }

[[package]]
name = "requests"
version = "2.30.0"
source = { registry = "https://example.org/simple" }

[[package]]
name = "jinja2"
version = "2.0"
source = { editable = "." }
"""
POETRY_LOCK = '[[package]]\nname = "PyYAML"\nversion = "5.3.1"\ndescription = "x"\n'
PIPFILE_LOCK = (
    '{\n    "default": {\n        "flask": {\n            "version": "==2.3.1"\n        }\n    }\n}\n'
)
PACKAGE_LOCK = json.dumps(
    {
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "app", "version": "1.0.0"},
            "node_modules/lodash": {"version": "4.17.20"},
            "node_modules/a/node_modules/minimist": {"version": "1.2.5"},
            "node_modules/minimist": {"version": "1.2.6"},
            "node_modules/ws": {"version": "8.17.1-beta.1"},
            "packages/lodash": {"version": "1.0.0", "link": True},
        },
    },
    indent=2,
)
OLD_PACKAGE_LOCK = json.dumps(
    {"dependencies": {"a": {"version": "1.0.0", "dependencies": {"json5": {"version": "2.2.1"}}}}}, indent=2
)
GO_MOD = """\
module example.org/app
require golang.org/x/text v0.3.7 // indirect
require (
	golang.org/x/crypto v0.30.0
	golang.org/x/net v0.16.0
	gopkg.in/yaml.v3 v3.0.1
)
exclude (
	google.golang.org/grpc v1.50.0
)
replace golang.org/x/net => ./net
"""


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("uv.lock", UV_LOCK, [(10, "requests 2.30.0", "CVE-2023-32681", "2.32.4")]),
        ("poetry.lock", POETRY_LOCK, [(3, "pyyaml 5.3.1", "CVE-2020-14343", "5.4")]),
        ("Pipfile.lock", PIPFILE_LOCK, [(3, "flask 2.3.1", "CVE-2023-30861", "2.3.2")]),
        (
            "web/package-lock.json",
            PACKAGE_LOCK,
            [
                (8, "lodash 4.17.20", "CVE-2021-23337", "4.17.21"),
                (11, "minimist 1.2.5", "CVE-2021-44906", "1.2.6"),
                (17, "ws 8.17.1-beta.1", "CVE-2024-37890", "8.17.1"),
            ],
        ),
        ("package-lock.json", OLD_PACKAGE_LOCK, [(6, "json5 2.2.1", "CVE-2022-46175", "2.2.2")]),
        (
            "go.mod",
            GO_MOD,
            [
                (2, "golang.org/x/text 0.3.7", "CVE-2022-32149", "0.3.8"),
                (4, "golang.org/x/crypto 0.30.0", "CVE-2024-45337", "0.31.0"),
            ],
        ),
        (
            "package.json",
            '{\n "dependencies": {"lodash": "^4.17.0",\n "minimist": "0.2.3"}\n}',
            [(3, "minimist 0.2.3", "CVE-2021-44906", "0.2.4")],
        ),
        (
            "requirements/base.txt",
            "# pins\nPyYAML == 5.3 \\\n    --hash=sha256:00  # old\n-r other.txt\nnot a line ]\njinja2>=3\n",
            [(2, "pyyaml 5.3", "CVE-2020-14343", "5.4")],
        ),
        (
            "pyproject.toml",
            '[project]\ndependencies = [\n  "pyyaml<5.4",\n  "certifi",\n  "h11~=0.14.0",\n  "flask<2.2.5",\n]\n',
            [
                (3, "pyyaml <5.4", "CVE-2020-14343", "5.4"),
                (5, "h11 ~=0.14.0", "CVE-2025-43859", "0.16.0"),
            ],
        ),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\npython = "^3.8"\nh11 = "^0.14"\nidna = {version = "3.6"}\nzipp = "^3.1"\n',
            [(3, "h11 <0.15,>=0.14", "CVE-2025-43859", "0.16.0"), (4, "idna 3.6", "CVE-2024-3651", "3.7")],
        ),
    ],
)
async def test_a_known_fault_is_told_with_the_version_that_mends_it(make_tree, sandbox, path, text, told):
    seen = await look(make_tree({path: text}), sandbox)
    assert [each.rule for each in seen] == ["dependencies:known-fault"] * len(told)
    for each, (line, what, advisory, mended) in zip(seen, told, strict=True):
        assert each.place.line == line
        assert each.message.startswith(f"{what} has ")
        assert advisory in each.message
        assert f" {mended}" in each.message.partition(";")[2]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("requirements.in", "pyyaml\npyyaml>=5.1\nrequests>=2,<3\nflask<2.3.1\ncertifi<2020\n"),
        ("requirements-dev.txt", "pyyaml==5.4\nwheel==0.38.1\nrequests @ https://example.org/r.zip\n"),
        ("requirements-dev.txt", "pyyaml===old\nsix==not.a.version\nlodash==4.17.20\n"),
        ("pyproject.toml", "[project\n"),
        (
            "pyproject.toml",
            "project = 3\ntool = [1]\ndependency-groups = {a = 1, b = [1, {include-group = 'a'}]}\n",
        ),
        ("package-lock.json", "[" * 100_000),
        ("package-lock.json", '{"packages": {"node_modules/lodash": {"version": 4}, "node_modules/ws": 1}}'),
        ("package.json", '{"dependencies": {"lodash": ">=4.17.0", "ws": "latest", "tar": "1"}}'),
        ("Pipfile.lock", '{"default": {"flask": {"version": "2.3.1"}, "jinja2": {"git": "x"}}}'),
        ("go.mod", "module golang.org/x/net v0.1.0\nrequire golang.org/x/net latest\n"),
        ("uv.lock", UV_LOCK.replace("2.30.0", "2.32.4")),
        ("poetry.lock", b"\xff\xfe"),
    ],
)
async def test_what_is_not_known_for_sure_is_not_told(make_tree, sandbox, path, text):
    assert await look(make_tree({path: text, "setup.py": ""}), sandbox) == []


async def test_the_lock_speaks_for_what_stands_beside_it(make_tree, sandbox):
    files = {
        "pyproject.toml": '[project]\ndependencies = ["pyyaml<5.4"]\n',
        "uv.lock": '[[package]]\nname = "pyyaml"\nversion = "5.3"\n',
    }
    assert [each.place.path for each in await look(make_tree(files), sandbox)] == ["uv.lock"]


async def test_several_faults_are_one_finding_with_the_worst_of_them(make_tree, sandbox):
    (seen,) = await look(make_tree({"requirements.txt": "cryptography==38.0.0\n", "setup.py": ""}), sandbox)
    assert seen.severity is Severity.HIGH
    assert seen.message == (
        "cryptography 38.0.0 has 3 known faults (CVE-2023-0286, CVE-2023-49083, CVE-2024-26130); "
        "42.0.4 has none of them."
    )


async def test_requirements_of_documentation_weigh_less(make_tree, sandbox):
    files = {"docs/requirements.txt": "pyyaml==5.3\n", "requirements-ci.txt": "pyyaml==5.3\n"}
    seen = await look(make_tree(files), sandbox)
    assert [each.severity for each in seen] == [Severity.HIGH, Severity.CRITICAL]


async def test_a_lock_that_no_longer_fits_is_told(make_tree, sandbox):
    asked = (
        '[project]\ndependencies = [\n "idna>=3.8",\n "six>=1; python_version < \'3\'",\n "attrs>=20",\n]\n'
    )
    lock = "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
        for name, version in (("idna", "3.7"), ("six", "0.9"), ("attrs", "25.1.0"), ("attrs", "19.1.0"))
    )
    (seen,) = await look(make_tree({"pyproject.toml": asked, "uv.lock": lock}), sandbox)
    assert (seen.rule, seen.place.line, seen.message) == (
        "dependencies:stale-lock",
        3,
        "idna is to be >=3.8, but the lock has 3.7.",
    )


LOOSE = "flask\nsix==1.16.0\nattrs>=20\n"


async def test_an_application_that_pins_nothing_is_told_once(make_tree, sandbox):
    (seen,) = await look(make_tree({"requirements.txt": LOOSE, "app.py": ""}), sandbox)
    assert (seen.rule, seen.place.line, seen.severity) == ("dependencies:unpinned", 1, Severity.LOW)
    assert seen.message == (
        "2 of 3 requirements name no version, so every installation may differ: flask, attrs."
    )


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": LOOSE, "setup.py": ""},
        {"requirements.txt": LOOSE, "uv.lock": ""},
        {"requirements.txt": "-c constraints.txt\n" + LOOSE},
        {"requirements-dev.txt": LOOSE},
        {"docs/requirements.txt": LOOSE},
        {"requirements.txt": "six==1.16.0\n"},
    ],
)
async def test_a_library_or_whoever_locks_elsewhere_may_leave_versions_open(make_tree, sandbox, files):
    assert await look(make_tree(files), sandbox) == []


def record(name: str, package: str, fixed: str, **more) -> dict[str, object]:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = [
        {
            "package": {"ecosystem": "PyPI", "name": package},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
        }
    ]
    return {"id": name, "modified": "2026-01-01T00:00:00Z", "affected": affected, **more}


async def test_advisories_of_the_tree_and_of_the_person_count_too(make_tree, sandbox, tmp_path):
    home = tmp_path / "advisories"
    home.mkdir()
    (home / "one.json").write_text(json.dumps([record("OWN-1", "Left_Pad", "2")]))
    with zipfile.ZipFile(home / "all.zip", "w") as archive:
        archive.writestr("OWN-2.json", json.dumps(record("OWN-2", "right-pad", "3")))
        archive.writestr("OWN-3.json", "not concerned, so not read")
    (home / "notes.txt").write_text("not one of them")
    files = {
        "requirements-x.txt": "left-pad==1\nright-pad==1\ntop-pad==1\n",
        ".bullpen/advisories/top.json": json.dumps(record("OWN-4", "top-pad", "4", aliases=["CVE-1-1"])),
        ".bullpen/advisories/gone.json": json.dumps(record("OWN-5", "top-pad", "5", withdrawn="2026")),
        ".bullpen/advisories/broken.json": "[1]",
    }
    seen = await look(replace(make_tree(files), advisories=home), sandbox)
    assert [(each.rule, each.message.split(";")[0]) for each in seen] == [
        (
            "dependencies:unreadable-advisory",
            "This advisory cannot be read, so nothing is held against it: Input should be an object.",
        ),
        ("dependencies:known-fault", "left-pad 1 has a known fault (OWN-1)"),
        ("dependencies:known-fault", "right-pad 1 has a known fault (OWN-2)"),
        ("dependencies:known-fault", "top-pad 1 has a known fault (CVE-1-1)"),
    ]


@pytest.mark.parametrize("name", ["bad.json", "bad.zip"])
async def test_an_advisory_of_the_person_that_cannot_be_read_is_a_failure(make_tree, sandbox, tmp_path, name):
    home = tmp_path / "advisories"
    home.mkdir()
    (home / name).write_text("left-pad")
    tree = replace(make_tree({"requirements.txt": "left-pad==1\n"}), advisories=home)
    with pytest.raises(AnalyserFailed, match=name):
        await look(tree, sandbox)


def test_the_advisories_that_come_along_are_whole_and_none_is_there_twice():
    found = built_in()
    assert len(found) > 60
    assert len({(each.id, each.package) for each in found}) == len(found)
    for each in found:
        assert each.url.startswith("https://nvd.nist.gov/vuln/detail/CVE-")
        assert each.fixes()
        for fix in each.fixes():
            assert not each.affects(fix)
            assert order(each.package[0], fix) is not None


EVENTS = [{"introduced": "1.0"}, {"last_affected": "1.5"}, {"introduced": "2.0"}, {"fixed": "2.3"}]


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("0.9", False),
        ("1.0", True),
        ("1.5", True),
        ("1.5.1", False),
        ("2.0", True),
        ("2.3", False),
        ("x", False),
    ],
)
def test_ranges_are_read_as_the_schema_says(version, affected):
    entry = {
        "package": {"ecosystem": "PyPI", "name": "a"},
        "ranges": [{"type": "ECOSYSTEM", "events": EVENTS}],
    }
    (advisory,) = parse_advisories(json.dumps({"id": "A", "affected": [entry]}).encode())
    assert advisory.affects(version) is affected


def test_versions_listed_one_by_one_count_and_commits_do_not():
    git = {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}]}
    entry = {"package": {"ecosystem": "npm", "name": "a"}, "ranges": [git], "versions": ["3.3.6"]}
    (advisory,) = parse_advisories(json.dumps([{"id": "A", "affected": [entry]}]).encode())
    assert [advisory.affects(version) for version in ("3.3.6", "3.3.5")] == [True, False]


def test_semantic_versions_are_ordered_as_the_standard_shows():
    rising = (
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
    )
    versions = rising.split()
    assert sorted(set(versions), key=lambda version: order("npm", version)) == versions
    assert order("Go", "v1.2.3+meta") == order("Go", "1.2.3")


PARTS = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
OPERATORS = st.sampled_from(["<", "<=", "==", ">=", ">", "!="])


@given(OPERATORS, PARTS, PARTS)
def test_a_specifier_that_ends_below_a_bound_allows_nothing_from_there_on(operator, version, bound):
    specifier = SpecifierSet(f"{operator}{version}")
    for candidate in (bound, f"{bound}.1", "99"):
        if ends_below(specifier, Version(bound)):
            assert candidate not in specifier
    if starts_at_or_above(specifier, Version(bound)):
        assert "0" not in specifier or Version(bound) == Version("0")


@given(st.sampled_from("^~"), PARTS)
def test_what_poetry_writes_allows_its_own_version_and_has_an_end(mark, version):
    allowed = poetry_range(mark + version)
    assert allowed is not None
    assert version in allowed
    assert "100" not in allowed


NAMES = [
    "requirements.txt",
    "pyproject.toml",
    "uv.lock",
    "Pipfile.lock",
    "package.json",
    "package-lock.json",
    "go.mod",
]


@given(st.sampled_from(NAMES), st.text(max_size=200) | st.text('{}[]":,=\n a1.>v', max_size=200))
def test_any_text_is_read_or_passed_over(name, text):
    read = reader_of(name)
    assert read is not None
    for asked in read(name, text):
        assert 1 <= asked.line <= text.count("\n") + 1
        assert asked.package[0] in (PYPI, "npm", "Go")
