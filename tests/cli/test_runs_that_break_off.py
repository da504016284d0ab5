"""What cannot be looked at, does not end or breaks off is said so, with what is known until then."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Run = Callable[..., Any]
NAMES = {"report.html", "report.md", "report.json", "report.sarif"}

# A sandbox as a third party would add one: the real one, which refuses to start some programs.
PICKY = """
import os
from bullpen.domain.errors import Unavailable
from bullpen.sandbox.choose import choose_sandbox

class Picky:
    name = "picky"

    async def probe(self):
        self.inner, probe = await choose_sandbox("auto")
        return probe

    async def run(self, command, on_output=None):
        line = " ".join(command.argv)
        if any(word in line for word in os.environ["REFUSED"].split()):
            raise Unavailable("it could not be started here")
        return await self.inner.run(command, on_output)

backend = Picky()
"""


@pytest.fixture
def picky(tmp_path: Path) -> str:
    """A value of PYTHONPATH with the package in it."""
    folder = tmp_path / "packages"
    metadata = folder / "picky-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "picky.py").write_text(PICKY)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: picky\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[bullpen.sandbox.backends]\npicky = picky:backend\n")
    return os.pathsep.join([str(folder), *sys.path])


def repository(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def reports(outcome: Any) -> dict[str, str]:
    """The text of every report that is named."""
    return {Path(path).name: Path(path).read_text("utf-8") for path in outcome["reports"].values()}


@pytest.mark.req("ANA-01", "IMP-03")
def test_nothing_found_by_those_who_could_not_look_is_no_clean_repository(
    bullpen_in: Run, tmp_path: Path, picky: str
) -> None:
    place = repository(tmp_path / "r", a__py="import os\n")
    blind = {
        "PYTHONPATH": picky,
        "BULLPEN_SANDBOX": "picky",
        "REFUSED": "ruff vulture ast_grep jscpd",
    }
    improved = bullpen_in(tmp_path / "home", "improve", place, "--json", **blind)
    assert improved.status == 6
    outcome = improved.value
    assert "nobody knows whether it is clean" in outcome["problem"]
    assert "ruff: it could not be started here" in outcome["problem"]
    assert outcome["stage"] == "failed"
    written = reports(outcome)
    assert set(written) == NAMES
    assert "ruff: it could not be started here" in written["report.md"]
    roasted = bullpen_in(tmp_path / "home", "roast", place, **blind)
    assert roasted.status == 6
    assert "is clean" not in roasted.out
    assert "ruff: it could not be started here" in roasted.err


@pytest.mark.req("ANA-01", "IMP-03")
def test_an_analyser_that_could_not_look_is_named(
    bullpen_in: Run, tmp_path: Path, faulty: Path, picky: str
) -> None:
    poor = {"PYTHONPATH": picky, "BULLPEN_SANDBOX": "picky", "REFUSED": "vulture"}
    improved = bullpen_in(tmp_path / "home", "improve", faulty, **poor)
    assert improved.status == 0
    assert "an analyser could not run: vulture: it could not be started here" in improved.out
    outcome = bullpen_in(tmp_path / "home", "report", "--json").value
    for path in map(Path, outcome["reports"]):
        assert "it could not be started here" in path.read_text("utf-8"), path


@pytest.mark.req("IMP-03", "SES-08")
def test_a_session_that_failed_early_leaves_what_is_known(bullpen_in: Run, tmp_path: Path) -> None:
    place = repository(tmp_path / "r", a__py="import os\n")
    nothing_runs = {"BULLPEN_SANDBOX": "scripted"}
    failed = bullpen_in(tmp_path / "home", "improve", place, "--json", **nothing_runs)
    assert failed.status != 0
    written = reports(failed.value)
    assert set(written) == NAMES
    assert "The session failed" in written["report.md"]
    assert "No outcome was prepared" in written["report.html"]
    assert json.loads(written["report.json"])["session"]["stage"] == "failed"
    (summary,) = (tmp_path / "home").glob("sessions/*/reports/summary.md")
    assert "**failed**" in summary.read_text("utf-8")
    said = bullpen_in(tmp_path / "home", "improve", place, **nothing_runs)
    assert "report.html" in said.out


@pytest.mark.req("IMP-03", "SES-01")
def test_a_session_that_was_stopped_says_where_what_is_known_is(
    tmp_path: Path, faulty: Path, argv: Run, environment_of: Run
) -> None:
    process = subprocess.Popen(
        argv("improve", faulty, "--session", "stopped"),
        env=environment_of(tmp_path / "home"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("found before"):
            break
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    folder = tmp_path / "home" / "sessions" / "stopped" / "reports"
    assert str(folder) in err
    assert {path.name for path in folder.iterdir()} == NAMES


@pytest.mark.req("BOX-02", "IMP-03")
def test_tests_that_do_not_end_are_told_of_with_the_limit(bullpen_in: Run, tmp_path: Path) -> None:
    hangs = "import time\n\n\ndef test_it():\n    time.sleep(3600)\n"
    place = repository(tmp_path / "r", a__py="import os\n", test_a__py=hangs)
    limit = {"BULLPEN_TEST_SECONDS": "3"}
    improved = bullpen_in(tmp_path / "home", "improve", place, "--session", "hangs", **limit)
    assert improved.status == 0
    sentence = "The tests did not come to an end within 3 s"
    assert sentence in improved.out
    assert "BULLPEN_TEST_SECONDS" in improved.out
    for path in (tmp_path / "home" / "sessions" / "hangs" / "reports").glob("report.*"):
        if path.suffix != ".sarif":
            assert sentence in path.read_text("utf-8"), path


@pytest.mark.req("QA-01", "IMP-06")
def test_gates_that_cannot_be_read_are_refused_with_their_place(bullpen_in: Run, tmp_path: Path) -> None:
    place = repository(tmp_path / "r", a__py="import os\n")
    (place / ".bullpen").mkdir()
    (place / ".bullpen" / "gates.yaml").write_text("coverage: '>=85%'\n  tests: [\n")
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["add", "-A"], [*who, "commit", "-qm", "gates"]):
        subprocess.run(["git", *arguments], cwd=place, check=True)
    refused = bullpen_in(tmp_path / "home", "improve", place, "--json")
    assert refused.status == 2
    assert ".bullpen/gates.yaml, line 2, column 3: this is not YAML" in refused.value["problem"]
    assert refused.value["tests_before"] is None
    assert not refused.value["findings_before"]


@pytest.mark.req("QA-01", "IMP-06")
def test_what_is_odd_about_gates_is_told(bullpen_in: Run, tmp_path: Path) -> None:
    place = repository(tmp_path / "r", a__py="import os\n")
    (place / ".bullpen").mkdir()
    (place / ".bullpen" / "gates.yaml").write_text("tests_broken: '<=3'\np99: '<1s'\n")
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["add", "-A"], [*who, "commit", "-qm", "gates"]):
        subprocess.run(["git", *arguments], cwd=place, check=True)
    run = bullpen_in(tmp_path / "home", "improve", place, "--session", "gates")
    told = (
        ".bullpen/gates.yaml: tests_broken may not be relaxed; it stays == 0",
        ".bullpen/gates.yaml: nothing here measures p99, so it refuses every change",
    )
    page = (tmp_path / "home" / "sessions" / "gates" / "reports" / "report.json").read_text("utf-8")
    for words in told:
        assert words in run.out
        assert words in page


@pytest.mark.req("ANA-01", "IMP-01")
def test_only_what_is_new_since_a_baseline_becomes_an_item(bullpen_in: Run, tmp_path: Path) -> None:
    home, place, kept = (
        tmp_path / "home",
        repository(tmp_path / "r", a__py="import os\n"),
        tmp_path / "old.sarif",
    )
    assert bullpen_in(home, "roast", place, "--sarif", kept).status == 0
    (place / "b.py").write_text("import sys\n")
    (place / "a.py").write_text("# moved down\nimport os\n")
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["add", "-A"], [*who, "commit", "-qm", "second"]):
        subprocess.run(["git", *arguments], cwd=place, check=True)
    outcome = bullpen_in(home, "improve", place, "--baseline", kept, "--json").value
    assert outcome["done"]["count"] == 1
    items = bullpen_in(home, "items", "list", "--json").value
    assert {one["draft"]["path"] for one in items} == {"b.py"}
    changed = subprocess.run(
        ["git", "diff", "--name-only", f"{outcome['base']}..{outcome['branch']}"],
        cwd=place,
        check=True,
        capture_output=True,
        text=True,
    )
    assert changed.stdout.split() == ["b.py"]


@pytest.mark.req("ANA-01", "CLI-01")
@pytest.mark.parametrize(
    ("content", "says"),
    [("{}", "SARIF"), ("hello\n", "Line 1 of the baseline is not a fingerprint"), (None, "cannot be read")],
)
def test_what_is_no_baseline_is_refused(
    bullpen_in: Run, tmp_path: Path, faulty: Path, content: str | None, says: str
) -> None:
    given = tmp_path / "baseline"
    if content is not None:
        given.write_text(content)
    refused = bullpen_in(tmp_path / "home", "improve", faulty, "--baseline", given)
    assert refused.status == 2
    assert says in refused.err
    assert bullpen_in(tmp_path / "home", "sessions", "list", "--json").value == []
