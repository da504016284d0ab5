"""Kinds of repositories: without tests, with tests that fail, of other languages, bare, shallow, by URL, very large."""

import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import SAMPLE, TIDY, WRONG, Ground, snapshot

MANY = 100_000


def test_no_tests_at_all(ground: Ground) -> None:
    answer = ground.improve(ground.repository("repository", {**TIDY, "sums.py": WRONG}))
    assert answer.status == 0, answer.said
    assert answer.result["tests_before"]["end"] == "no-tests"


def test_tests_that_failed_before_do_not_stand_in_the_way(ground: Ground) -> None:
    path = ground.repository(
        "repository", {**SAMPLE, "tests/test_red.py": "def test_red():\n    assert False\n"}
    )
    answer = ground.improve(path)
    assert answer.status == 0, answer.said
    assert answer.result["done"]["count"] == 1
    assert answer.result["tests_before"]["failed"] == 1


def test_no_python_at_all(ground: Ground) -> None:
    files = {"main.go": "package main\n\nfunc main() {}\n", "a.js": "var a = 1\n", "README.md": "# It\n"}
    answer = ground.improve(ground.repository("repository", files))
    assert answer.status == 0, answer.said


@pytest.mark.req("IMP-08")
def test_a_clean_repository_says_so(ground: Ground) -> None:
    path = ground.repository("repository", {"README.md": "# Sums\n\nNothing is wrong here.\n"})
    answer = ground.run("improve", path)
    assert answer.status == 0, answer.said
    assert "Nothing" in answer.said or "nothing" in answer.said
    assert ground.branches(path) == []


@pytest.mark.slow
def test_bare_shallow_and_by_url(ground: Ground) -> None:
    path = ground.repository("repository")
    ground.commit(path, "second")
    ground.git(ground.folder, "clone", "--quiet", "--bare", str(path), "bare.git")
    ground.git(ground.folder, "clone", "--quiet", "--depth=1", path.as_uri(), "shallow")
    bare = ground.improve(ground.folder / "bare.git")
    shallow = ground.improve(ground.folder / "shallow")
    by_url = ground.improve(path.as_uri())
    for answer in (bare, shallow, by_url):
        assert answer.status == 0, answer.said
        assert answer.result["done"]["count"] == 1
    assert len(ground.branches(ground.folder / "bare.git")) == 1
    assert "bare" in " ".join(bare.result["notes"])
    assert "shallow" in " ".join(shallow.result["notes"])


@pytest.mark.slow
def test_a_url_of_a_server(ground: Ground) -> None:
    path = ground.repository("served")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ("git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", "--export-all")
    server = subprocess.Popen(
        [*words, f"--base-path={ground.folder}"], start_new_session=True, stderr=subprocess.PIPE
    )
    try:
        _await_port(port)
        before = snapshot(path)
        answer = ground.improve(f"git://127.0.0.1:{port}/served")
        assert answer.status == 0, answer.said
        assert answer.result["done"]["count"] == 1
        assert snapshot(path) == before
        assert ground.branches(path) == []
        assert ground.branches(Path(answer.result["where"])) == [answer.result["branch"]]
    finally:
        os.killpg(server.pid, 15)
        server.communicate()


def _await_port(port: int) -> None:
    """Connect as soon as somebody listens; each refusal lets the server run on."""
    for _ in range(2000):
        with socket.socket() as client:
            client.settimeout(1)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        os.sched_yield()
    raise AssertionError("git daemon did not start")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_files_stay_bounded(ground: Ground) -> None:
    path = ground.repository("repository")
    stream = [b"commit refs/heads/main\ncommitter Ann <ann@example.org> 1700000000 +0000\ndata 4\nmany\n"]
    stream += [b"from refs/heads/main^0\n"]
    stream += [b"M 100644 inline d%d/f%d.txt\ndata 3\n%02d\n" % (n % 300, n, n % 100) for n in range(MANY)]
    subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=path, input=b"".join(stream), check=True)
    bare = ground.folder / "bare.git"
    ground.git(ground.folder, "clone", "--quiet", "--bare", str(path), str(bare))
    answer = ground.improve(bare, seconds=1700)
    assert answer.status == 0, answer.said
    assert answer.result["done"]["count"] == 1
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most < 2_000_000, f"{most} KiB"
