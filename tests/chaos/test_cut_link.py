"""A worker whose network is cut: others take its work, it ends by itself, and comes back when the link does."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.fleet_chaos import PROGRAM, start
from bench.own_postgres import OwnPostgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.req("SCH-03"),
    pytest.mark.needs("root", "network namespaces", "postgresql"),
]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Link:
    """A namespace with one way out: a pair of interfaces whose other end is ours."""

    def __init__(self) -> None:
        self.name = f"bp{secrets.token_hex(3)}"
        self.ours, self.theirs = f"{self.name}h", f"{self.name}n"
        self.network = f"10.213.{secrets.randbelow(250)}"
        ip("netns", "add", self.name)
        ip("link", "add", self.ours, "type", "veth", "peer", "name", self.theirs, "netns", self.name)
        ip("addr", "add", f"{self.network}.1/30", "dev", self.ours)
        ip("link", "set", self.ours, "up")
        ip("-n", self.name, "addr", "add", f"{self.network}.2/30", "dev", self.theirs)
        self.join()

    def join(self) -> None:
        ip("-n", self.name, "link", "set", self.theirs, "up")

    def cut(self) -> None:
        ip("-n", self.name, "link", "set", self.theirs, "down")

    def close(self) -> None:
        ip("netns", "delete", self.name)

    def start(self, url: str, label: str, folder: Path, *do: str) -> subprocess.Popen[str]:
        """A process of the fleet, on the other side."""
        argv = ["ip", "netns", "exec", self.name, sys.executable, str(PROGRAM), url, "home", label]
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROGRAM.parents[1] / "src"), *sys.path])}
        return subprocess.Popen([*argv, str(folder), *do], env=env, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def link() -> Iterator[Link]:
    made = Link()
    yield made
    made.close()


def until(there: Callable[[], object]) -> None:
    end = time.monotonic() + 90
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def lines(file: Path, word: str) -> list[str]:
    return [line for line in file.read_text().splitlines() if word in line] if file.exists() else []


@pytest.mark.timeout(300)
def test_a_worker_that_is_cut_off_ends_and_its_work_is_done_by_others(link: Link, tmp_path: Path) -> None:
    processes: list[subprocess.Popen[str]] = []
    with OwnPostgres(f"{link.network}.1") as database:
        try:
            far = link.start(database.url, "far", tmp_path, "serve")
            near = start(database.url, "near", tmp_path, "start", "parent", "run", "run 6 1 0 wait")
            processes += [far, near]
            until(lambda: lines(tmp_path / "effects", " far"))
            link.cut()
            until(lambda: lines(tmp_path / "taken", ".far."))
            assert far.wait(60) == 7, "it found out by itself, for nobody can tell it"
            assert len(lines(tmp_path / "lost", "far")) == 1
            (tmp_path / "go").touch()
            said, _ = near.communicate(timeout=90)
            assert json.loads(said) == [["begun"], *([f"run:{number}-0"] for number in range(6))]
            link.join()
            back = link.start(database.url, "back", tmp_path, "start", "parent", "again", "again 2 1 0 -")
            processes.append(back)
            said, _ = back.communicate(timeout=90)
            assert json.loads(said) == [["begun"], ["again:0-0"], ["again:1-0"]]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
