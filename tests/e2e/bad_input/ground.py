"""The ``bullpen`` command as a person starts it: real repositories, a home of its own, what it printed and left."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[3] / "src"
INTERNAL = 70  # the exit status of a fault of Bullpen itself
START = "from bullpen.cli.main import main; main()"
TIDY = {"pyproject.toml": '[project]\nname = "sums"\nversion = "1"\n'}
WRONG = (
    "import os\n\n\ndef add(a, b):\n    return a + b\n"  # its unused import is a finding that a recipe mends
)
TESTED = "from sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
SAMPLE: Mapping[str, str | bytes] = {**TIDY, "sums.py": WRONG, "tests/test_sums.py": TESTED}


@dataclass(frozen=True)
class Answer:
    """What one run of the command left. ``stdout`` and ``stderr`` are text."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def said(self) -> str:
        """All it printed."""
        return self.stdout + self.stderr

    @property
    def result(self) -> dict[str, Any]:
        """The result as the command printed it with ``--json``."""
        return json.loads(self.stdout)

    @property
    def problem(self) -> str:
        """The sentence and the remedy of the problem it reported as JSON."""
        told = self._told
        return f"{told.get('problem') or told.get('sentence') or ''} {told['remedy']}".strip()

    @property
    def remedy(self) -> str:
        """What it says can be done."""
        return str(self._told["remedy"])

    @property
    def _told(self) -> dict[str, Any]:
        return json.loads(self.stderr if self.stderr.startswith("{") else self.stdout)


@dataclass
class Ground:
    """A folder with repositories in it, and a home for Bullpen."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def home(self) -> Path:
        """Bullpen's data."""
        return self.folder / "home"

    def repository(
        self, name: str, files: Mapping[str, str | bytes] = SAMPLE, *, commit: bool = True
    ) -> Path:
        """A repository with these files, committed unless told not to."""
        path = self.folder / name
        path.mkdir(parents=True)
        self.git(path, "init", "--quiet", "--initial-branch=main")
        write(path, files)
        if commit:
            self.commit(path)
        return path

    def commit(self, path: Path, message: str = "change") -> str:
        """Commit everything; the hash."""
        self.git(path, "add", "--all")
        self.git(path, "commit", "--quiet", "--allow-empty", "--message", message)
        return self.git(path, "rev-parse", "HEAD")

    def git(self, path: Path, *words: str, check: bool = True) -> str:
        """The user's own git; its output without the last newline."""
        who = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _ANN.items()}
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who}
        words = ("-c", "protocol.file.allow=always", *words)
        done = subprocess.run(["git", *words], cwd=path, env=env, capture_output=True, check=False)
        assert not check or done.returncode == 0, done.stderr.decode()
        return os.fsdecode(done.stdout).removesuffix("\n")

    def start(
        self, *words: str | bytes | Path, env: Mapping[str, str] | None = None, through: Sequence[str] = ()
    ) -> "subprocess.Popen[bytes]":
        """Start the command, ``through`` other programs if given."""
        # another user cannot write where coverage keeps its data, and would say so in the command's own output
        dropped = ("BULLPEN_", "COV") if through else ("BULLPEN_",)
        base = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        own = {"PYTHONPATH": str(SOURCE), "BULLPEN_HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}
        argv: list[str | bytes | Path] = [*through, sys.executable, "-c", START, *words]
        return subprocess.Popen(
            argv,
            env=base | own | self.env | dict(env or {}),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(
        self,
        *words: str | bytes | Path,
        env: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
        seconds: float = 240,
    ) -> Answer:
        """Run the command to its end; it never shows a traceback."""
        began = time.monotonic()
        process = self.start(*words, env=env, through=through)
        out, err = process.communicate(timeout=seconds)
        took = time.monotonic() - began
        answer = Answer(process.returncode, os.fsdecode(out), os.fsdecode(err), took)
        assert "Traceback (most recent call last)" not in answer.said, answer.said[-4000:]
        assert answer.status != INTERNAL, _failure_log(self.home) or answer.said[-4000:]
        return answer

    def improve(self, where: str | bytes | Path, *options: str, **kind: Any) -> Answer:
        """``bullpen improve WHERE --json``."""
        return self.run("improve", where, "--json", "--quiet", *options, **kind)

    def reports(self) -> str:
        """All reports of all sessions in one text."""
        files = sorted(self.home.glob("sessions/*/reports/*"))
        return "\n".join(file.read_text("utf-8", "replace") for file in files)

    def branches(self, path: Path) -> list[str]:
        """Branches Bullpen left in a repository."""
        return self.git(path, "for-each-ref", "--format=%(refname:short)", "refs/heads/bullpen").split()


_ANN = {"NAME": "Ann", "EMAIL": "ann@example.org", "DATE": "@1700000000 +0000"}


def write(path: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below ``path``, folders included."""
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def snapshot(path: Path) -> dict[str, object]:
    """Everything of a checkout and its ``.git``, byte for byte, but objects and what belongs to ``bullpen/``."""
    seen: dict[str, object] = {}
    for folder, names, files in os.walk(path):
        inner = Path(folder)
        if inner.name == "objects" and ".git" in str(inner):
            names.clear()
            continue
        if _is_bullpens(inner):
            names.clear()
            continue
        links = [name for name in names if (inner / name).is_symlink()]
        for name in [*files, *links]:
            seen[str((inner / name).relative_to(path))] = _content(inner / name)
    return seen


def _is_bullpens(folder: Path) -> bool:
    return folder.name == "bullpen" and folder.parent.name == "heads"


def _content(file: Path) -> object:
    about = file.lstat()
    if stat.S_ISLNK(about.st_mode):
        return str(file.readlink())
    if stat.S_ISREG(about.st_mode):
        return (stat.S_IMODE(about.st_mode), about.st_mtime_ns, file.read_bytes())
    return stat.S_IFMT(about.st_mode)


def _failure_log(home: Path) -> str:
    logs = sorted(home.glob("logs/failure-*.log"))
    return logs[-1].read_text()[-6000:] if logs else ""
