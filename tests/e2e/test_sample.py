"""The sample repository, improved by the same script as ``make run``, held against its list of planted faults."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

import bullpen
from bullpen.analysis.queries import list_findings
from bullpen.app import open_records
from bullpen.domain.events import Event
from bullpen.domain.events.improve import ChangeSentBack, ReportWritten
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.items.reasons import AT_ODDS
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.settings import Settings
from bullpen.work.queries import list_items

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("sample")]

PROJECT = Path(__file__).parents[2]
ORDERS = PROJECT / "examples" / "orders"
TRAP = "test_a_plug_in_that_stops_its_job_does_not_stop_the_worker"
MEANINGS = (
    *("landed", "landed in part", "refused", "nothing safe"),
    *("approval", "outvoted", "no recipe", "test gap"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of FAULTS.md."""

    path: str
    rule: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Session:
    """What a finished session left."""

    name: str
    repository: Path
    home: Path
    items: Mapping[
        tuple[str, str], Sequence[WorkItem]
    ]  # more than one where places of a fault ended differently
    before: Sequence[Finding]
    after: Sequence[Finding]
    events: Sequence[Event]
    output: str


def _place(item: WorkItem) -> tuple[str, str]:
    return item.draft.path, item.draft.rule


def planted() -> list[Fault]:
    """The rows of the last table of FAULTS.md."""
    table = (ORDERS / "FAULTS.md").read_text("utf-8").split("## Every fault", 1)[1]
    rows = [
        re.split(r"(?<!\\) ?\| ?", line.strip("| \n")) for line in table.splitlines() if line.startswith("|")
    ]
    return [Fault(row[0], row[1], row[-1]) for row in rows[2:]]


FAULTS = planted()


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BULLPEN_", "GIT_"))}
    return {
        **kept,
        "BULLPEN_HOME": str(home),
        "PYTHONPATH": str(Path(bullpen.__file__).parents[1]),
        "NO_COLOR": "1",
    }


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", repository, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def read_session(name: str, repository: Path, home: Path, output: str) -> Session:
    session_id = SessionId(name)
    async with open_records(Settings(home=home)) as records, records.database.view(records.actor) as uow:
        items = await list_items(uow, session_id)
        events: list[Recorded] = []
        while found := await replay(uow, session_id, events[-1].position if events else 0):
            events += found
        return Session(
            name,
            repository,
            home,
            {place: list(alike) for place, alike in groupby(sorted(items, key=_place), _place)},
            await list_findings(uow, session_id, "before"),
            await list_findings(uow, session_id, "after"),
            [recorded.event for recorded in events],
            output,
        )


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """The sample after one run of the script."""
    place = tmp_path_factory.mktemp("sample run")
    done = subprocess.run(
        ["bash", PROJECT / "scripts" / "run_sample", place],
        env=environment(place / "home"),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return asyncio.run(read_session("orders", place / "orders", place / "home", done.stdout))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file with its content, except what git is free to add: objects, logs, and Bullpen's own branches."""
    free = (".git/objects/", ".git/logs/", ".git/refs/heads/bullpen/")
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(free)}


@pytest.fixture(scope="session")
def again(sample: Session, tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, dict[str, bytes]]:
    """A second session upon the branch of the first, in a clone; with the clone's bytes from before."""
    place = tmp_path_factory.mktemp("again")
    repository = place / "orders"
    git(place, "clone", "--quiet", "--branch", "bullpen/orders", str(sample.repository), str(repository))
    before = bytes_of(repository)
    script = (PROJECT / "scripts" / "run_sample").read_text("utf-8")
    found = re.search(r"approved=\(([^)]*)\)", script)
    assert found
    approvals = [word for rule in found.group(1).split() for word in ("--approve", rule)]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from bullpen.cli.main import main; main()",
            "improve",
            repository,
            "--session",
            "again",
            "--max",
            "100",
            *approvals,
        ],
        env=environment(sample.home),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return asyncio.run(read_session("again", repository, sample.home, done.stdout)), before


def test_every_row_has_an_outcome_that_is_explained() -> None:
    assert len(FAULTS) > 60
    assert {fault.outcome for fault in FAULTS} == set(MEANINGS)


@pytest.mark.req("IMP-03", "ROA-01")
def test_every_planted_fault_is_found_and_nothing_else(sample: Session) -> None:
    assert sorted(sample.items) == sorted((fault.path, fault.rule) for fault in FAULTS)


def how_it_ended(items: Sequence[WorkItem], sample: Session) -> str:
    """The outcome of a fault in the words of FAULTS.md."""
    if items[0].draft.rule.startswith("test-gaps:"):
        return "test gap"
    remaining = {found.fingerprint for found in sample.after}
    left = [item for item in items if remaining & set(item.draft.fingerprints)]
    if any(item.state is ItemState.DONE for item in items):
        return "landed in part" if left else "landed"
    if not any(item.draft.recipe for item in items):
        return "no recipe"
    if any(item.reason.startswith(AT_ODDS) for item in items):
        return "outvoted"
    reasons = " ".join(item.reason for item in items)
    if "--approve" in reasons:
        return "approval"
    spoke_against = ("guards_broken", " fail,", "new_findings")
    return "refused" if any(words in reasons for words in spoke_against) else "nothing safe"


@pytest.mark.req("IMP-02", "IMP-06", "IMP-10", "IMP-11")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.path}-{fault.rule}")
def test_a_fault_ends_as_it_is_written(sample: Session, fault: Fault) -> None:
    items = sample.items[fault.path, fault.rule]
    assert how_it_ended(items, sample) == fault.outcome, [item.reason for item in items]


def test_the_trap_is_refused_with_the_test_that_fails_named(sample: Session) -> None:
    assert TRAP in sample.output
    worker = git(sample.repository, "show", "bullpen/orders:src/orders/worker.py")
    assert "        except:\n" in worker


@pytest.mark.req("IMP-10")
def test_no_check_of_the_tests_is_lost(sample: Session) -> None:
    tests = git(sample.repository, "show", "bullpen/orders:tests/test_models.py")
    assert 'assert False, "a shipped order was cancelled"' in tests
    assert "assert one.note is None" in tests


@pytest.mark.req("IMP-07")
def test_of_two_changes_that_meet_one_comes_back_and_lands_later(sample: Session) -> None:
    faults = [("src/orders/inventory.py", rule) for rule in ("ruff:UP010", "ruff:SIM105")]
    pair = {item.id for fault in faults for item in sample.items[fault]}
    back = [event for event in sample.events if isinstance(event, ChangeSentBack) and event.item_id in pair]
    assert back
    assert all("conflict in src/orders/inventory.py" in one.reason for one in back)
    imports = git(sample.repository, "show", "bullpen/orders:src/orders/inventory.py")
    assert "import contextlib\n" in imports
    assert "__future__" not in imports


def landed(sample: Session) -> list[WorkItem]:
    every = (item for items in sample.items.values() for item in items)
    return [item for item in every if item.state is ItemState.DONE]


def commits(sample: Session) -> list[str]:
    return git(sample.repository, "rev-list", "--reverse", "main..bullpen/orders").split()


@pytest.mark.req("IMP-02")
def test_the_branch_has_one_commit_for_each_item_that_is_done(sample: Session) -> None:
    done = landed(sample)
    assert sorted(commits(sample)) == sorted(item.change for item in done)
    for item in done:
        message = git(sample.repository, "log", "-1", "--format=%B", item.change)
        assert f"Bullpen-Item: {item.id}" in message


@pytest.mark.req("IMP-02")
def test_a_commit_claims_no_more_places_than_are_mended(sample: Session) -> None:
    remaining = {found.fingerprint for found in sample.after}
    for item in landed(sample):
        mended = len(set(item.draft.fingerprints) - remaining)
        subject, _, body = git(sample.repository, "log", "-1", "--format=%B", item.change).partition("\n")
        counts = re.search(r"\((\d+) places\)|\b(\d+) holes", subject)
        assert int((counts and (counts[1] or counts[2])) or 1) == mended, subject
        assert f"{mended} of {mended} findings" in " ".join(body.split())


@pytest.mark.req("IMP-06")
def test_every_commit_passes_the_samples_own_tests(sample: Session, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", str(sample.repository), str(checkout))
    failures: list[str] = []
    for commit in commits(sample):
        git(checkout, "checkout", "--quiet", "--detach", commit)
        done = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"],
            cwd=checkout,
            env={
                **environment(tmp_path),
                "PYTHONPATH": str(checkout / "src"),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            failures.append(f"{commit}: {done.stdout[-500:]}")
    assert not failures


def plain_files() -> Iterator[tuple[str, bytes]]:
    for path in ORDERS.rglob("*"):
        if path.is_file() and path.name != "FAULTS.md" and "__pycache__" not in path.parts:
            yield path.relative_to(ORDERS).as_posix(), path.read_bytes()


@pytest.mark.req("IMP-01")
def test_the_checkout_and_the_branch_it_is_on_are_as_they_were(
    sample: Session, again: tuple[Session, dict[str, bytes]]
) -> None:
    files = {
        name: content for name, content in bytes_of(sample.repository).items() if not name.startswith(".git/")
    }
    assert files == dict(plain_files())
    assert git(sample.repository, "symbolic-ref", "HEAD") == "refs/heads/main"
    second, before = again
    assert bytes_of(second.repository) == before


@pytest.mark.req("IMP-08")
def test_a_second_session_lands_nothing_more_and_says_what_is_left(
    sample: Session, again: tuple[Session, dict[str, bytes]]
) -> None:
    second, _before = again
    mended = {(fault.path, fault.rule) for fault in FAULTS if fault.outcome == "landed"}
    assert not mended & set(second.items)
    assert set(second.items) == {(found.place.path, found.rule) for found in sample.after}
    assert not landed(second)


@pytest.mark.req("IMP-03")
def test_the_reports_that_are_named_are_there(sample: Session) -> None:
    from bullpen.flow.improve.conclude import FORMATS

    written = {event.format: Path(event.path) for event in sample.events if isinstance(event, ReportWritten)}
    assert sorted(written) == sorted(FORMATS.names())
    assert all(path.stat().st_size > 0 for path in written.values())
    assert all(str(path) in sample.output for path in written.values())


@pytest.mark.req("IMP-02")
def test_nothing_is_said_to_be_mended_that_is_still_there(sample: Session) -> None:
    left = {found.fingerprint for found in sample.after}
    false = [
        key
        for key, items in sample.items.items()
        for item in items
        if "mended" in item.reason and left & set(item.draft.fingerprints)
    ]
    assert not false
