"""A machine that lacks something: no git, no sandbox, no space, no permission."""

import json
import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground, snapshot

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount and to become another user")


def _without(*names: str) -> Sequence[str]:
    """Run in a mount namespace in which these programs cannot be executed."""
    places = [place for name in names if (place := shutil.which(name))]
    hide = " && ".join(f"mount --bind /dev/null {place}" for place in places) or "true"
    return ("unshare", "--mount", "--propagation=private", "sh", "-c", f'{hide} && exec "$@"', "sh")


@contextmanager
def _mounted(place: Path, *options: str) -> Generator[None]:
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.req("BOX-01")
@as_root
def test_without_a_sandbox_nothing_runs(ground: Ground) -> None:
    path = ground.repository(
        "repository", {**SAMPLE, "conftest.py": f"open({str(ground.folder / 'ran')!r}, 'w')\n"}
    )
    hidden = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    answer = ground.improve(path, env=hidden, through=_without("bwrap", "docker"))
    assert answer.status == 6, answer.said
    assert "Nothing here can run code in isolation" in answer.problem
    assert "Install bubblewrap" in answer.problem
    assert not (ground.folder / "ran").exists()
    assert ground.branches(path) == []


def test_without_git_it_says_how_to_get_it(ground: Ground) -> None:
    path = ground.repository("repository")
    programs = ground.folder / "bin"
    programs.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for file in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if file.name != "git" and not os.path.lexists(programs / file.name):
                (programs / file.name).symlink_to(file)
    answer = ground.improve(path, env={"PATH": str(programs)})
    assert answer.status == 6, answer.said
    assert "git is not installed. Install git" in answer.problem


def test_a_home_that_cannot_be(ground: Ground) -> None:
    path = ground.repository("repository")
    (ground.folder / "file").write_text("x")
    answer = ground.improve(path, env={"BULLPEN_HOME": str(ground.folder / "file")})
    assert answer.status in (3, 7), answer.said
    assert "BULLPEN_HOME" in answer.remedy


@as_root
def test_a_home_of_somebody_else(public_ground: Ground) -> None:
    path = public_ground.repository("repository")
    public_ground.home.mkdir(mode=0o700)
    answer = public_ground.improve(path, through=AS_NOBODY)
    assert answer.status == 3, answer.said
    assert "BULLPEN_HOME" in answer.remedy


@as_root
def test_a_repository_that_may_not_be_read(public_ground: Ground) -> None:
    path = public_ground.repository("repository")
    path.chmod(0o700)
    answer = public_ground.improve(path, through=AS_NOBODY)
    assert answer.status == 2, answer.said
    assert "may not be read" in answer.problem


@as_root
@pytest.mark.slow
@pytest.mark.parametrize("size", ["400k", "1m", "4m"])
def test_a_full_disk_loses_nothing(ground: Ground, size: str) -> None:
    path = ground.repository("repository", {**SAMPLE, "big.py": os.urandom(3_000_000).hex()})
    before = snapshot(path)
    ground.home.mkdir()
    with _mounted(ground.home, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        answer = ground.improve(path, "--session", "full")
        assert answer.status in (5, 7), answer.said
        assert "space" in answer.problem
        assert snapshot(path) == before
        subprocess.run(["mount", "-o", "remount,size=200m", str(ground.home)], check=True)
        again = ground.improve(path, "--session", "full", "--resume")
        if again.status == 2:  # it was full before there was a session
            again = ground.improve(path, "--session", "full")
        assert again.status == 0, again.said
        assert again.result["done"]["count"] == 1


@as_root
@pytest.mark.req("IMP-03")
def test_a_repository_that_may_not_be_written(ground: Ground) -> None:
    path = ground.repository("repository")
    with _mounted(path, "--bind", str(path)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
        answer = ground.improve(path)
    assert answer.status == 3, answer.said
    assert "may not be written" in answer.problem
    fetch = answer.remedy.partition("git fetch ")[2].split()
    ground.git(path, "fetch", "--quiet", *fetch)
    assert len(ground.branches(path)) == 1
    assert "import os" not in ground.git(path, "show", f"{ground.branches(path)[0]}:sums.py")


@as_root
@pytest.mark.slow
def test_analysers_that_cannot_run_are_told_of(public_ground: Ground) -> None:
    """Another user may not be able to start the programs Bullpen looks with: that is no clean repository."""
    path = public_ground.repository("repository")
    public_ground.home.mkdir()
    subprocess.run(["chown", "-R", "65534:65534", str(path), str(public_ground.home)], check=True)
    home = {"HOME": str(public_ground.home)}
    process = public_ground.start("improve", path, "--json", env=home, through=AS_NOBODY)
    out, err = process.communicate(
        timeout=240
    )  # Python itself may complain that it cannot start another Python
    result = json.loads(out)
    assert process.returncode == (6 if result["problem"] else 0), err.decode()
    told = [note for note in result["notes"] if "could not run" in note]
    if result["problem"]:
        assert "nobody knows whether it is clean" in result["problem"]
        return
    assert len(told) == len(result["failures"])
    assert told or result["done"]["count"] == 1
    plain = public_ground.start("improve", path, env=home, through=AS_NOBODY)
    said = plain.communicate(timeout=240)[0].decode()
    assert not (told and "is clean" in said), said
