"""What a project declares, read without running it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen.testing.declared import read_declared, version_of_tag

Project = Callable[[dict[str, str | bytes]], Path]


def test_a_modern_project(project: Project) -> None:
    text = """
[project]
name = "Some.Thing"
version = "1.2.0"
requires-python = ">=3.9"
dependencies = ["click>=8", "odd @ git+https://example.org/odd"]
scripts = {thing = "thing.main:run"}
[project.optional-dependencies]
cli = ["rich"]
tests = ["some-thing[cli]"]
[project.entry-points.pytest11]
thing = "thing.plugin"
[dependency-groups]
base = ["hypothesis"]
test = [{include-group = "base"}, {include-group = "test"}, "pytest>=7"]
dev = ["ruff"]
[tool.setuptools_scm]
write_to = "src/thing/_version.py"
"""
    declared = read_declared(project({"pyproject.toml": text, "src/thing/__init__.py": ""}))
    assert (declared.name, declared.version) == ("Some.Thing", "1.2.0")
    assert declared.runtime == ("click>=8",)
    assert set(declared.testing) == {"hypothesis", "pytest>=7", "rich"}
    assert declared.left_out == ("odd @ git+https://example.org/odd",)
    assert dict(declared.entry_points)["pytest11"] == (("thing", "thing.plugin"),)
    assert declared.version_files == ("src/thing/_version.py",)
    assert declared.source_folders == ("src", ".")
    assert declared.accepts("3.9.1")
    assert not declared.accepts("3.8.20")


def test_setup_py_is_read_not_run(project: Project, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    text = f"""
from setuptools import setup
open({str(trap)!r}, "w").write("x")
setup(name="old", version="0.3", install_requires=["six"], extras_require={{"test": ["mock"]}}, ext_modules=[])
"""
    declared = read_declared(project({"setup.py": text}))
    assert (declared.name, declared.version, declared.runtime) == ("old", "0.3", ("six",))
    assert declared.testing == ("mock",)
    assert declared.native
    assert not trap.exists()


def test_requirements_files_stay_inside(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret-package\n")
    files: dict[str, str | bytes] = {
        "requirements.txt": "-r more.txt\n-r ../secret.txt\n--index-url http://evil.example\nclick==8.1 # pinned\n-e .\n",
        "more.txt": "rich\n",
        "requirements-dev.txt": "ruff\nfreezegun\n",
        "tox.ini": "[testenv]\ndeps =\n    pytest\n    py27: mock\n    {env:X}\n",
    }
    declared = read_declared(project(files))
    assert declared.runtime == ("rich", "click==8.1")
    assert declared.testing == ("freezegun", "pytest")
    assert declared.left_out == ("-e .",)


@pytest.mark.parametrize(
    ("tag", "version"),
    [("v1.2", "1.2"), ("name-2.0rc1", "2.0rc1"), ("nightly", "0+unknown"), ("", "0+unknown")],
)
def test_versions_of_tags(tag: str, version: str) -> None:
    assert version_of_tag(tag) == version


@pytest.mark.parametrize("name", ["/etc/x.py", "../x.py", "a/../../x.py"])
def test_version_files_outside_are_ignored(project: Project, name: str) -> None:
    text = f'[tool.setuptools_scm]\nwrite_to = "{name}"\n'
    assert read_declared(project({"pyproject.toml": text})).version_files == ()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py", "requirements.txt", "tox.ini"]),
    content=st.binary(max_size=200)
    | st.sampled_from(
        [
            b"[project]\nname = 3\ndependencies = 'x'\nversion = []\n",
            b"[project]\ndependencies = [1, {}, '']\n[tool]\nhatch = 1\npoetry = []\n",
            b"[project]\noptional-dependencies = []\nscripts = 4\n[dependency-groups]\ntest = {}\n",
            b"[options]\npackage_dir = %(x)s\n[options.entry_points]\na\n",
            b"setup(**x); a.b.setup(version=f())",
        ]
    ),
)
def test_no_file_is_too_odd(tmp_path: Path, name: str, content: bytes) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    (tmp_path / name).write_bytes(content)
    declared = read_declared(tmp_path)
    assert declared.source_folders[-1] == "."
