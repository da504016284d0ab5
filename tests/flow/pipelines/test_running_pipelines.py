"""Pipelines run by the real command in the real sandbox."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.req("WFL-07")]

CI = """\
on: push
env: {TOP: top}
jobs:
  build:
    runs-on: ubuntu-latest
    outputs: {v: "${{ steps.v.outputs.version }}"}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/cache@v4
        with: {path: ~/.cache/thing, key: "thing-${{ hashFiles('**/data.txt') }}"}
      - run: mkdir -p ~/.cache/thing dist; ls ~/.cache/thing > dist/before; touch ~/.cache/thing/kept; echo $TOP > dist/out.txt; echo MORE=1 >> $GITHUB_ENV
      - id: v
        working-directory: sub
        run: test "$MORE" = 1; test -e data.txt; echo version=1.2 >> $GITHUB_OUTPUT
      - uses: actions/upload-artifact@v4
        with: {name: dist, path: dist/}
  test:
    needs: build
    runs-on: ${{ matrix.os }}
    strategy:
      fail-fast: false
      matrix: {os: [ubuntu-latest, windows-latest], n: [1, 2]}
    steps:
      - uses: actions/download-artifact@v4
        with: {name: dist, path: got}
      - run: test "$(cat got/out.txt) ${{ needs.build.outputs.v }}" = "top 1.2"
      - name: bad
        if: matrix.n == 2
        run: echo oh no; exit 3
      - name: clean
        if: failure()
        run: echo cleaning
  after:
    needs: test
    runs-on: ubuntu-latest
    steps: [{run: echo never}]
  cover:
    runs-on: ubuntu-latest
    steps: [{run: echo lint}, {uses: codecov/codecov-action@v4}]
  net:
    runs-on: ubuntu-latest
    steps: [{run: "python -c 'import urllib.request as u; u.urlopen(\\"http://example.org\\")'"}]
  hostile:
    runs-on: ubuntu-latest
    steps:
      - run: rm $GITHUB_OUTPUT; ln -s /etc/passwd $GITHUB_OUTPUT; rm $GITHUB_ENV; mkfifo $GITHUB_ENV
      - run: ln -s / root; mkdir up; ln -s / up/root
      - uses: actions/upload-artifact@v4
        with: {name: up, path: up}
      - run: test ! -w /usr && test ! -e /root/.ssh
"""


def make(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for arguments in (("init", "-qb", "main"), ("add", "-A"), (*who, "commit", "-qm", "first")):
        subprocess.run(("git", *arguments), cwd=folder, check=True)
    return folder


def run(home: Path, *arguments: object) -> tuple[int, Any]:
    argv = [sys.executable, "-m", "bullpen.cli.main", "pipeline", *map(str, arguments), "--json"]
    environment = {**os.environ, "BULLPEN_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=240)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_jobs_run_with_needs_matrix_cache_artifacts_and_a_report(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", {".github/workflows/ci.yml": CI, "sub/data.txt": "x"})
    status, ran = run(tmp_path / "home", "run", repo)
    assert status == 1
    states = {one["label"]: (one["state"], one["reason"]) for one in ran["jobs"]}
    assert states["build"] == ("passed", "")
    assert states["test (ubuntu-latest, 1)"] == ("passed", "")
    assert states["test (ubuntu-latest, 2)"] == ("failed", "bad: status 3: oh no")
    assert states["test (windows-latest, 1)"] == ("not run", "it wants to run on windows-latest")
    assert states["after"] == ("skipped", "it needs test, which did not pass")
    assert states["cover"] == ("not run", "the action codecov/codecov-action@v4 cannot be run here")
    assert states["net"][0] == "not run"
    assert "--network" in states["net"][1]
    assert states["hostile"] == ("passed", "")
    failed = next(one for one in ran["jobs"] if one["label"] == "test (ubuntu-latest, 2)")
    assert [(one["name"], one["state"]) for one in failed["steps"][2:]] == [
        ("bad", "failed"),
        ("clean", "passed"),
    ]
    folder = Path(ran["folder"])
    assert (folder / "artifacts" / "dist" / "out.txt").read_text() == "top\n"
    assert (folder / "artifacts" / "dist" / "before").read_text() == ""
    assert "| test (ubuntu-latest, 2) |" in (folder / "report.md").read_text()
    assert json.loads((folder / "report.json").read_text())["commit"] == ran["commit"]
    assert (folder / "logs" / failed["steps"][2]["log"]).read_text() == "oh no\n"
    _, again = run(
        tmp_path / "home", "run", repo, "--job", "build", "--job", "hostile", "--job", "cover", "--partial"
    )
    states = {one["label"]: (one["state"], one["cached"]) for one in again["jobs"]}
    assert states == {"build": ("passed", False), "hostile": ("passed", False), "cover": ("partial", False)}
    assert (Path(again["folder"]) / "artifacts" / "dist" / "before").read_text() == "kept\n"


def test_a_projects_own_commands_run_and_what_passed_is_not_run_again(tmp_path: Path) -> None:
    files = {"Makefile": "test:\n\techo tested\nlint:\n\texit 4\n"}
    repo = make(tmp_path / "r", files)
    for cached in (False, True):
        status, ran = run(tmp_path / "home", "run", repo)
        states = {one["label"]: (one["state"], one["cached"]) for one in ran["jobs"]}
        assert status == 1
        assert states == {"lint": ("failed", False), "test": ("passed", cached)}
    assert {one["id"] for one in run(tmp_path / "home", "list", repo)[1]["pipelines"][0]["jobs"]} == {
        "lint",
        "test",
    }


def test_nothing_to_run_and_unknown_jobs_are_said(tmp_path: Path) -> None:
    status, said = run(tmp_path / "home", "list", make(tmp_path / "r", {"README.md": "x"}))
    assert (status, said["error"]) == (2, "not-found")
    repo = make(tmp_path / "s", {"Makefile": "test:\n\ttrue\n"})
    status, said = run(tmp_path / "home", "run", repo, "--job", "other")
    assert status == 2
    assert "there are: test" in said["sentence"]


def test_a_file_that_cannot_be_read_does_not_keep_the_others(tmp_path: Path) -> None:
    good = "jobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n"
    files = {".github/workflows/a.yml": good, ".github/workflows/b.yml": "jobs: ["}
    status, ran = run(tmp_path / "home", "run", make(tmp_path / "r", files))
    assert status == 0
    assert [(one["state"], one["where"]) for one in ran["jobs"]] == [
        ("passed", ".github/workflows/a.yml"),
        ("not run", ".github/workflows/b.yml"),
    ]
    assert "line 1, column 8" in ran["jobs"][1]["reason"]


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """The jobs that had ended keep their results and their artifacts, though the project has moved on since."""
    workflow = """\
on: push
jobs:
  one:
    runs-on: ubuntu-latest
    outputs: {when: "${{ steps.t.outputs.when }}"}
    steps:
      - uses: actions/checkout@v4
      - id: t
        run: echo when=$(date +%s%N) >> $GITHUB_OUTPUT; echo kept > out.txt
      - uses: actions/upload-artifact@v4
        with: {name: out, path: out.txt}
  bad:
    runs-on: ubuntu-latest
    steps: [{run: exit 3}]
  two:
    needs: one
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/download-artifact@v4
        with: {name: out, path: got}
      - run: test "$(cat got/out.txt) ${{ needs.one.outputs.when != '' }} $(cat version)" = "kept true 1"; sleep 4
"""
    repo = make(tmp_path / "r", {".github/workflows/ci.yml": workflow, "version": "1"})
    home = tmp_path / "home"
    environment = {**os.environ, "BULLPEN_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-m", "bullpen.cli.main", "pipeline", "run", str(repo), "--session", "ses-killed"]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    results = home / "sessions" / "ses-killed" / "pipeline" / "results"
    while len(list(results.glob("*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    before = {one: one.read_bytes() for one in results.glob("*.json")}
    assert len(before) == 2
    (repo / "version").write_text("2")
    for arguments in (("add", "-A"), ("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "2")):
        subprocess.run(("git", *arguments), cwd=repo, check=True)

    status, ran = run(home, "run", repo, "--resume")
    states = {one["label"]: one["state"] for one in ran["jobs"]}
    assert (status, ran["session"]) == (1, "ses-killed")
    assert states == {"one": "passed", "bad": "failed", "two": "passed"}
    assert before == {one: one.read_bytes() for one in before}
    assert not list((home / "sessions" / "ses-killed").glob("scratch/*"))
    told = [*argv[:3], "sessions", "replay", "ses-killed", "--json"]
    log = subprocess.run(told, env=environment, capture_output=True, text=True, check=True).stdout
    ended = [line for line in log.splitlines() if "PipelineJobEnded" in line]
    assert len(ended) == 3
    status, again = run(home, "run", repo, "--resume", "--session", "ses-killed")
    assert (status, again["error"]) == (4, "conflict")


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", {"Makefile": "test:\n\techo hi\n"})
    status, told = run(tmp_path / "home", "run", repo, "--resume")
    assert (status, "was interrupted" in told["sentence"]) == (2, True)
