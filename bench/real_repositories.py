"""Improve real public repositories and check what came of it: the table of ``docs/benchmarks.md``.

    python -m bench.real_repositories CLONES [NAME …]

CLONES is a folder with clones named as in ``real_repositories.toml``; a clone that is missing is fetched from its URL. Each
is checked out at the commit named there. For every commit of the branch the repository's own tests are run on it
alone, outside of Bullpen's own bookkeeping; then the branch is merged and improved again.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.compare import compare
from bullpen.analysis.queries import FINDING
from bullpen.domain.finding import Finding

HERE = Path(__file__).parent
EVERYTHING = "500"  # items: more than there are, so that a second run has nothing left to do
BULLPEN = Path(sys.executable).with_name("bullpen")


@dataclass(frozen=True)
class Row:
    """What one repository came to."""

    name: str
    lines: int
    tests: int
    with_recipe: int
    landed: int
    regressions: int
    first: float
    whole: float
    own: float
    alone: str
    again: float
    again_found: int
    misses: tuple[str, ...]

    def cells(self) -> list[str]:
        """As a row of the table."""
        share = self.landed / self.with_recipe if self.with_recipe else 1.0
        return [
            self.name,
            f"{self.lines:,}",
            str(self.tests),
            f"{self.landed} of {self.with_recipe} ({share:.0%})",
            str(self.regressions),
            f"{self.first:.0f} s",
            f"{self.whole:.0f} s",
            f"{self.own:.0%}",
            self.alone,
            f"{self.again:.0f} s, {self.again_found} again",
        ]


HEAD = ["repository", "Python lines", "tests", "landed of those with a recipe", "regressions", "first change"]
HEAD += ["whole", "own time", "commits green alone", "second run"]


def git(repo: Path, *args: str) -> str:
    """Run git and return what it said."""
    return subprocess.run(
        ["git", "-C", str(repo), *args], check=True, capture_output=True, text=True
    ).stdout.strip()


def prepare(clones: Path, name: str, url: str, commit: str) -> Path:
    """A fresh copy at the pinned commit."""
    source = clones / name
    work = Path(tempfile.mkdtemp(prefix=f"bench-{name}-")) / name
    subprocess.run(["git", "clone", "-q", str(source) if source.exists() else url, str(work)], check=True)
    git(work, "checkout", "-q", "-B", "bench", commit)
    git(work, "config", "user.email", "bench@localhost")
    git(work, "config", "user.name", "bench")
    return work


def improve(repo: Path, home: Path, *options: str) -> tuple[float, int]:
    """Run the command; seconds and exit status."""
    started = time.monotonic()
    environment = {**os.environ, "BULLPEN_HOME": str(home)}
    done = subprocess.run(
        [str(BULLPEN), "improve", str(repo), "--quiet", "--json", *options],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        print(done.stderr[-2000:], file=sys.stderr)
    return time.monotonic() - started, done.returncode


def measure(clones: Path, name: str, url: str, commit: str) -> Row:
    """Improve one repository, check its commits one by one, improve it again."""
    repo = prepare(clones, name, url, commit)
    home = repo.parent / "home"
    whole, _status = improve(repo, home, "--max", EVERYTHING)
    database = sqlite3.connect(home / "bullpen.db")
    (session,) = database.execute("select id from session order by created_at desc").fetchone()
    folder = home / "sessions" / session
    before = outcomes(folder / "tests-before.json")
    after = outcomes(folder / "tests-after.json") if (folder / "tests-after.json").exists() else before
    items = [(json.loads(draft), state, reason) for draft, state, reason in
             database.execute("select draft, state, reason from work_item where session_id = ?", (session,))]  # fmt: skip
    landed = [draft for draft, state, _reason in items if state == "done"]
    failed = [(d, reason) for d, state, reason in items if state == "blocked" and "--approve" not in reason]
    first = [json.loads(body)["seconds_since_start"] for (body,) in
             database.execute("select body from event where type='ChangeLanded' order by position limit 1")]  # fmt: skip
    spent = database.execute(
        "select body from event where type='TimeSpent' order by position desc"
    ).fetchone()
    own = 0.0
    if spent:
        times = json.loads(spent[0])
        own = 1 - times["sandboxed"] / times["whole"]
    database.close()
    alone = check_commits(repo, session, commit, home, before) if landed else "none"
    if landed:
        git(repo, "merge", "-q", "--ff-only", f"bullpen/{session}")
    again, _status = improve(repo, home, "--max", EVERYTHING)
    found_again = refound(home, session) if landed else 0
    row = Row(
        name, python_lines(repo), len(before), len(landed) + len(failed), len(landed),
        sum(before[one] == "passed" and after.get(one) not in ("passed", "skipped") for one in before),
        first[0] if first else 0.0, whole, own, alone, again, found_again,
        tuple(f"{d['rule']} {d['path']}: {reason[:160]}" for d, reason in failed),
    )  # fmt: skip
    shutil.rmtree(repo.parent, ignore_errors=True)
    return row


def outcomes(path: Path) -> dict[str, str]:
    """Test id to outcome."""
    return {result["id"]: result["outcome"] for result in json.loads(path.read_text())["results"]}


def check_commits(repo: Path, session: str, base: str, home: Path, before: dict[str, str]) -> str:
    """Check out every commit alone and run all tests; "n of m" of them pass what passed before."""
    commits = git(repo, "rev-list", "--reverse", f"{base}..bullpen/{session}").split()
    good = 0
    for commit in commits:
        done = subprocess.run(
            [sys.executable, "-m", "bench.run_tests", str(repo), commit, str(home)],
            capture_output=True, text=True, check=False, cwd=HERE.parent,
        )  # fmt: skip
        passed = set(json.loads(done.stdout)) if done.returncode == 0 else set()
        good += all(one in passed for one, outcome in before.items() if outcome == "passed")
    return f"{good} of {len(commits)}"


def refound(home: Path, session: str) -> int:
    """How many findings the newest look has that the session did not leave behind."""
    database = sqlite3.connect(home / "bullpen.db")
    left = findings(database, "session_id = ? and moment = 'after'", session)
    again = findings(database, "session_id != ? and moment = 'before'", session)
    database.close()
    return len(compare(left, again).new)


def findings(database: sqlite3.Connection, where: str, session: str) -> list[Finding]:
    """Stored findings."""
    rows = database.execute(f"select body from finding where {where} order by number", (session,))  # noqa: S608 - ours
    return [FINDING.validate_json(body) for (body,) in rows]


def python_lines(repo: Path) -> int:
    """Lines of tracked Python files."""
    names = git(repo, "ls-files", "-z", "*.py").split("\0")
    return sum((repo / name).read_bytes().count(b"\n") for name in names if name and (repo / name).is_file())


def main() -> None:
    """Print the table, and the misses with their reasons."""
    clones = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("clones")
    wanted = set(sys.argv[2:])
    known = tomllib.loads((HERE / "real_repositories.toml").read_text())
    print("| " + " | ".join(HEAD) + " |")
    print("| " + " | ".join("---" for _ in HEAD) + " |")
    rows = []
    for name, facts in known.items():
        if wanted and name not in wanted:
            continue
        row = measure(clones, name, facts["url"], facts["commit"])
        rows.append(row)
        print("| " + " | ".join(row.cells()) + " |", flush=True)
    print()
    for row in rows:
        for miss in row.misses:
            print(f"- {row.name}: {miss}")


if __name__ == "__main__":
    main()
