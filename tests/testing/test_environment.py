"""Environments for real projects; those that must fetch packages need an index."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bullpen.domain.test_report import SuiteEnd
from bullpen.sandbox.base import Sandbox
from bullpen.testing.base import TestRequest
from bullpen.testing.environment import prepare_environment
from bullpen.testing.interpreters import read_virtual_environment
from bullpen.testing.project_metadata import present
from bullpen.testing.runners.pytest import RUNNER

Project = Callable[[dict[str, str | bytes]], Path]
NAMED = '[project]\nname = "thing"\nversion = "1.5"\n'


@pytest.fixture(autouse=True)
def no_active_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


async def test_nothing_declared_is_satisfied_by_our_own(
    sandbox: Sandbox, project: Project, tmp_path: Path
) -> None:
    environment = await prepare_environment(project({"test_a.py": ""}), tmp_path / "home", sandbox)
    assert environment.origin == "Bullpen's own interpreter"
    assert environment.notes == ()


async def test_the_project_is_importable_and_has_metadata_without_being_built(
    sandbox: Sandbox, project: Project, tmp_path: Path
) -> None:
    files: dict[str, str | bytes] = {
        "pyproject.toml": NAMED
        + '[project.entry-points.groupe]\none = "thing:x"\n[tool.setuptools_scm]\nversion_file = "src/thing/_version.py"\n',
        "src/thing/__init__.py": "from thing._version import version\n",
        "test_a.py": (
            "import thing\nfrom importlib.metadata import entry_points, version\n"
            "def test_a(): assert thing.version == version('thing') == '1.5'\n"
            "def test_b(): assert [p.value for p in entry_points(group='groupe')] == ['thing:x']\n"
        ),
    }
    root = project(files)
    environment = await prepare_environment(root, tmp_path / "home", sandbox)
    report = await RUNNER.run(TestRequest(root, environment), sandbox)
    assert len(report.passed()) == 2, report.output
    assert not (root / "src/thing/_version.py").exists()


async def test_a_version_from_a_tag(sandbox: Sandbox, project: Project, tmp_path: Path) -> None:
    root = project({"pyproject.toml": '[project]\nname = "thing"\ndynamic = ["version"]\n'})
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v3.4"]):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        process = await asyncio.create_subprocess_exec("git", *identity, "-C", str(root), *words)
        assert await process.wait() == 0
    environment = await prepare_environment(root, tmp_path / "home", sandbox)
    folder = next(mount.source for mount in environment.mounts if mount.target == "/opt/bullpen/project")
    assert [path.name for path in folder.iterdir()] == ["thing-3.4.dist-info"]


async def test_a_python_that_is_not_here_is_said(sandbox: Sandbox, project: Project, tmp_path: Path) -> None:
    environment = await prepare_environment(project({"test_a.py": ""}), tmp_path / "home", sandbox, "3.99")
    assert any("3.99" in note for note in environment.notes)


async def test_packages_that_cannot_be_fetched_are_said(
    sandbox: Sandbox, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    root = project(
        {"pyproject.toml": NAMED + 'dependencies = ["six"]\n', "test_a.py": "def test_a(): pass\n"}
    )
    environment = await prepare_environment(root, tmp_path / "home", sandbox)
    assert environment.origin == "Bullpen's own interpreter"
    assert any(note.startswith("Packages cannot be fetched") for note in environment.notes), environment.notes
    assert not list((tmp_path / "home/environments").glob("*partial*"))
    assert (await RUNNER.run(TestRequest(root, environment), sandbox)).end is SuiteEnd.FINISHED


def forged(folder: Path, home: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {home}\nversion = 3.11.7\n")
    return folder


def test_a_forged_environment_mounts_nothing_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "secrets/bin").mkdir(parents=True)
    assert read_virtual_environment(forged(tmp_path / "a", str(tmp_path / "secrets/bin"))) is None
    assert read_virtual_environment(forged(tmp_path / "b", "/nowhere/bin")) is None
    assert read_virtual_environment(tmp_path / "absent") is None


def test_a_true_environment_is_read(tmp_path: Path) -> None:
    folder = forged(tmp_path / "a", f"{sys.base_prefix}/bin")
    (folder / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\nversion = {sys.version.split()[0]}\n")
    found = read_virtual_environment(folder)
    assert found
    assert found.base.prefix == Path(sys.base_prefix).resolve()


def test_generated_files_never_leave_the_tree_nor_replace_anything(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "there.py").write_text("mine")
    (root / "dangling.py").symlink_to(outside / "new.py")
    names = ("link/a.py", "there.py", "dangling.py", "gone/a.py", "made.py")
    with present(root, [(name, "text") for name in names]):
        assert (root / "made.py").read_text() == "text"
    assert (root / "there.py").read_text() == "mine"
    assert not list(outside.iterdir())
    assert not (root / "made.py").exists()


@pytest.mark.slow
@pytest.mark.needs("network")
async def test_an_environment_is_made_once_from_wheels(
    sandbox: Sandbox, project: Project, tmp_path: Path
) -> None:
    text = NAMED + 'dependencies = ["iniconfig<2", "surely-no-such-package-anywhere-1"]\n'
    suite = (
        "import iniconfig, subprocess\ndef test_a(): subprocess.run(['pytest', '--version'], check=True)\n"
    )
    root, home = project({"pyproject.toml": text, "test_a.py": suite}), tmp_path / "home"
    first, second = await asyncio.gather(
        prepare_environment(root, home, sandbox), prepare_environment(root, home, sandbox)
    )
    assert first == second
    assert first.origin.startswith("An environment made by Bullpen"), first.notes
    assert any("surely-no-such-package-anywhere-1" in note for note in first.notes)
    assert len([path for path in (home / "environments").iterdir() if (path / "pyvenv.cfg").exists()]) == 1
    report = await RUNNER.run(TestRequest(root, first, coverage=True), sandbox)
    assert report.passed() == {"test_a.py::test_a"}, report.output


@pytest.mark.slow
@pytest.mark.needs("network")
async def test_what_has_no_wheel_is_left_out_and_the_rest_is_installed(
    sandbox: Sandbox, project: Project, tmp_path: Path
) -> None:
    text = NAMED + 'dependencies = ["iniconfig<2", "pytest-pycodestyle>=2.3"]\n'
    suite = "import iniconfig\ndef test_a(): pass\n"
    root = project({"pyproject.toml": text, "test_a.py": suite})
    made = await prepare_environment(root, tmp_path / "home", sandbox)
    assert made.notes == ("pytest-pycodestyle>=2.3 was left out: there is no wheel of it for this Python.",)
    report = await RUNNER.run(TestRequest(root, made), sandbox)
    assert report.passed() == {"test_a.py::test_a"}, report.output
