"""Kill a session at random moments, resume it, and compare the branch with that of a session nobody disturbed.

Run with ``python bench/kill_resume.py --kills 30``. Every round kills the process (every second one with all it
started), resumes, perhaps kills again, and checks: the same commit, each item landed once, no reply of a model asked
for twice, nothing left running or mounted. Prints one line per round and a last line of counts; exits 1 on any miss.
"""

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SESSION = "ses-k"
MOST_RESUMES = 8
SECONDS = 240.0  # longest time one undisturbed run may take
MOUNTS = Path("/run/bullpen-mounts")
GROUPS = Path("/sys/fs/cgroup")
_SOURCE = Path(__file__).parents[1] / "src"
_START = "from bullpen.cli.main import main; main()"

FILES = {
    "pyproject.toml": '[project]\nname = "shelf"\nversion = "1"\n',
    "shelf/__init__.py": '"""A shelf."""\n',
    "shelf/core.py": '''\
"""What a shelf holds."""

import os
import re


def names(rows):
    out = ""
    for row in rows:
        out += row + ","
    return out


def count(value, items=[]):
    try:
        return int(value)
    except:
        return None


def check(value):
    if value == None:
        return 1
    else:
        return 2
''',
    "shelf/loans.py": '''\
"""Who has what."""

import json
import sys


def is_free(loan):
    if loan == None:
        return True
    return not loan


def late(days, known={}):
    if days in known.keys():
        return known[days]
    return days > 30
''',
    "tests/test_shelf.py": """\
from shelf.core import check, count, names
from shelf.loans import is_free, late


def test_names():
    assert names(["a", "b"]) == "a,b,"


def test_count():
    assert count("1") == 1
    assert count("x") is None


def test_check():
    assert check(None) == 1
    assert check(3) == 2


def test_loans():
    assert is_free(None)
    assert late(31)
""",
}


@dataclass(frozen=True, slots=True)
class Stand:
    """A repository to improve and a home for Bullpen; ``home`` is made anew for each round."""

    folder: Path

    @property
    def repository(self) -> Path:
        """What is improved."""
        return self.folder / "shelf"

    @property
    def home(self) -> Path:
        """Bullpen's own data."""
        return self.folder / "home"

    def make(self) -> None:
        """Write and commit the sample."""
        for name, text in FILES.items():
            file = self.repository / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=first")

    def git(self, *words: str) -> str:
        """Run git in the repository, at a fixed time."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _ANN},
        }
        done = subprocess.run(["git", *words], cwd=self.repository, env=env, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def renew(self) -> None:
        """Back to before the first session."""
        shutil.rmtree(self.home, ignore_errors=True)
        for ref in self.git("for-each-ref", "--format=%(refname)", "refs/heads/bullpen").split():
            self.git("update-ref", "-d", ref)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start ``bullpen improve`` on the repository."""
        words = [
            sys.executable,
            "-c",
            _START,
            "improve",
            str(self.repository),
            "--session",
            SESSION,
            "--quiet",
        ]
        env = os.environ | {
            "PYTHONPATH": str(_SOURCE),
            "BULLPEN_HOME": str(self.home),
            "SOURCE_DATE_EPOCH": "1795212027",
        }
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [*words, *options], env=env, stdout=log, stderr=log, start_new_session=True
            )

    def said(self) -> str:
        """What the last run printed."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def branch(self) -> str:
        """The commit of the session's branch, or nothing."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/bullpen/{SESSION}")

    def events(self, kind: str) -> list[dict[str, object]]:
        """The recorded events of one type, oldest first."""
        if not self.event_count():
            return []
        with contextlib.closing(sqlite3.connect(self.home / "bullpen.db", timeout=30)) as database:
            rows = database.execute("select body from event where type = ? order by position", (kind,))
            return [json.loads(body) for (body,) in rows]

    def event_count(self) -> int:
        """How many events there are by now; 0 where the database is not there yet."""
        try:
            place = f"file:{self.home / 'bullpen.db'}?mode=ro"
            with contextlib.closing(sqlite3.connect(place, uri=True)) as database:
                return int(database.execute("select count(*) from event").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


_ANN = (("NAME", "Ann"), ("EMAIL", "ann@example.org"), ("DATE", "@1700000000 +0000"))


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What a session comes to when nobody disturbs it."""

    commit: str
    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Round:
    """One session that was killed: how often, and what was wrong in the end."""

    number: int
    how: str
    kills: int
    problems: tuple[str, ...]


def run_undisturbed(stand: Stand) -> Undisturbed:
    """The commit to compare with."""
    stand.renew()
    began = time.monotonic()
    status = stand.start().wait(SECONDS)
    if status or not stand.branch():
        raise SystemExit(f"The undisturbed run ended with {status}:\n{stand.said()[-2000:]}")
    return Undisturbed(stand.branch(), stand.event_count(), time.monotonic() - began)


def run_killed(stand: Stand, number: int, undisturbed: Undisturbed, dice: random.Random) -> Round:
    """One session, killed at least once and resumed until it ends."""
    stand.renew()
    whole = number % 2 == 1  # with everything it started, as when a machine loses power
    kills, told = 0, list[str]()
    options: tuple[str, ...] = ()
    for attempt in range(MOST_RESUMES):
        process = stand.start(*options)
        if attempt == 0 or (attempt < MOST_RESUMES - 3 and dice.random() < 0.4):
            told.append(_wait_for_moment(stand, process, undisturbed, dice))
            kills += _kill(process, whole=whole)
        status = process.wait(SECONDS)
        if status == 0:
            break
        if status > 0 and "There is no session" not in stand.said():
            return Round(number, "; ".join(told), kills, (f"it ended with {status}: {stand.said()[-600:]}",))
        options = ("--resume",) if stand.events("SessionCreated") else ()
    else:
        return Round(number, "; ".join(told), kills, ("it never came to its end",))
    return Round(number, "; ".join(told), kills, tuple(_problems(stand, undisturbed)))


def _wait_for_moment(
    stand: Stand, process: subprocess.Popen[bytes], undisturbed: Undisturbed, dice: random.Random
) -> str:
    """A random moment of the clock, or the one when so many events are there; returns which it was."""
    if dice.random() < 0.4:
        seconds = dice.uniform(0.3, undisturbed.seconds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return f"at {seconds:.2f} s"
    have = stand.event_count()
    wanted = dice.randint(have + 1, max(undisturbed.events, have + 2))
    extra = dice.uniform(0, 0.3)
    end = time.monotonic() + SECONDS
    while process.poll() is None and stand.event_count() < wanted and time.monotonic() < end:
        time.sleep(0.005)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(extra)
    return f"{extra:.2f} s after event {wanted}"


def _kill(process: subprocess.Popen[bytes], *, whole: bool) -> int:
    """Kill it, with all that descends from it if ``whole``; 0 if it had ended already."""
    if process.poll() is not None:
        return 0
    family = list(_descendants(process.pid)) if whole else []
    os.kill(process.pid, signal.SIGKILL)
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return 1


def _descendants(pid: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(folder.name)
                yield from _descendants(int(folder.name))


def _problems(stand: Stand, undisturbed: Undisturbed) -> Iterator[str]:
    if stand.branch() != undisturbed.commit:
        yield f"the branch is {stand.branch()[:12] or 'not there'}, not {undisturbed.commit[:12]}"
    landed = Counter(str(event["item_id"]) for event in stand.events("ChangeLanded"))
    yield from (f"{item} landed {times} times" for item, times in landed.items() if times > 1)
    replies = Counter((e["task_id"], e["attempt"], e["step"]) for e in stand.events("ModelReplied"))
    yield from (f"reply {key} was asked for {times} times" for key, times in replies.items() if times > 1)
    yield from leftovers(stand.home)


def leftovers(home: Path) -> list[str]:
    """What sessions that have ended left: taken worktrees, drafts, mounts and control groups of dead processes."""
    taken = [f"worktree {path}" for path in home.glob("sessions/*/worktrees/*/wt-*.owner") if path.exists()]
    drafts = [f"draft {path}" for path in home.glob("mirrors/*.new-*")]
    locks = [f"lock {path}" for path in home.glob("mirrors/*.git/**/*.lock")]
    mounts = [f"mounts of {path.name}" for path in _of_the_dead(MOUNTS.glob("*"), lambda name: name)]
    groups = GROUPS.rglob("bullpen-*-*")
    dead = [f"group {path}" for path in _of_the_dead(groups, lambda name: name.split("-")[1])]
    return [*taken, *drafts, *locks, *mounts, *dead]


def _of_the_dead(folders: Iterator[Path], pid_of: Callable[[str], str]) -> list[Path]:
    found = [(folder, pid_of(folder.name)) for folder in folders]
    return [folder for folder, pid in found if pid.isdigit() and not Path("/proc", pid).exists()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds; 0 if every one came to the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="sessions to kill, each at least once")
    parser.add_argument("--seed", type=int, default=None, help="repeat the moments of an earlier run")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    dice = random.Random(seed)
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as folder:
        stand = Stand(Path(folder))
        stand.make()
        undisturbed = run_undisturbed(stand)
        print(
            f"seed {seed}: undisturbed {undisturbed.commit[:12]}, {undisturbed.events} events, {undisturbed.seconds:.1f} s"
        )
        for number in range(given.kills):
            done = run_killed(stand, number, undisturbed, dice)
            rounds.append(done)
            print(
                f"{number:3} {'MISS' if done.problems else 'same'} {done.kills} kills ({done.how})",
                flush=True,
            )
            print(
                *(f"      {problem}" for problem in done.problems), sep="\n", end="\n" * bool(done.problems)
            )
    same = sum(not done.problems for done in rounds)
    print(f"{same} of {len(rounds)} sessions the same, {sum(done.kills for done in rounds)} kills")
    return 0 if same == len(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
