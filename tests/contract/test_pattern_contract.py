"""What every pattern promises, each shown with the example of its name: it runs, in the sandbox, to the end it should."""

import json
from pathlib import Path

import pytest
from tests.flow.teams.doubles import SESSION

from bullpen.domain.actor import Actor
from bullpen.domain.errors import InvalidInput
from bullpen.domain.events.team import ConflictResolved, DecisionReached, MessagePosted, TaskAssigned
from bullpen.domain.task import TaskState
from bullpen.flow.patterns.base import PATTERNS, Brief
from bullpen.flow.team_folder import TeamPlace, files_of, run_folder
from bullpen.flow.teams.folder import TeamFolder, read_team
from bullpen.flow.trees.check import check_plan
from bullpen.kernel.bus.log import EventLog, replay
from bullpen.kernel.storage.database import Database, open_store
from bullpen.models.registry import Models
from bullpen.sandbox.base import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples" / "teams"
NAMES = PATTERNS.names()
EXPECTED = {
    "lead_worker": "46 words in 5 texts",
    "hierarchical": "2 programs are faulty: bad.json, bad.py",
    "pipeline": "3 of 3 items came through 3 stages.",
    "debate": "sorting, by its tests.",
    "blackboard": "4 facts after 3 rounds.",
    "peer_to_peer": "4 turns of 3 peers, 4 results: 2262",
}
pytestmark = pytest.mark.req("COL-02")


@pytest.fixture(params=NAMES)
def team(request: pytest.FixtureRequest) -> TeamFolder:
    """The example of each pattern."""
    return read_team(EXAMPLES / request.param)


def brief_of(team: TeamFolder) -> Brief:
    agents = {}
    for place in sorted(team.agents.iterdir()):
        line = next(line for line in place.read_text().splitlines() if line.startswith("# capabilities:"))
        agents[place.name] = frozenset(line.partition("[")[2].rstrip("]").split(", "))
    return Brief(team.goal, agents, team.options)


def test_every_pattern_has_an_example_and_an_expectation() -> None:
    assert set(NAMES) == set(EXPECTED) == {place.name for place in EXAMPLES.iterdir()}
    assert len(NAMES) == 6


def test_the_same_goal_gives_the_same_sound_tasks(team: TeamFolder) -> None:
    pattern = PATTERNS.load(team.pattern)
    first, again = pattern(brief_of(team)), pattern(brief_of(team))
    assert first.tasks == again.tasks
    assert (first.pattern, first.goal) == (team.pattern, team.goal)
    check_plan([one.planned for one in first.tasks])
    other = pattern(Brief("another goal", brief_of(team).agents, team.options))
    assert not {one.id for one in first.tasks} & {one.id for one in other.tasks}


def test_without_results_nothing_follows_and_nothing_is_reached(team: TeamFolder) -> None:
    course = PATTERNS.load(team.pattern)(brief_of(team))
    known = {one.id for one in course.tasks}
    assert {one.id for one in course.grow({})} <= known
    assert not course.conclude({}).reached


def test_an_unknown_option_and_a_missing_agent_are_said(team: TeamFolder) -> None:
    pattern, brief = PATTERNS.load(team.pattern), brief_of(team)
    with pytest.raises(InvalidInput, match="The options of the pattern: colour: Extra inputs"):
        pattern(Brief(brief.goal, brief.agents, {**brief.options, "colour": "red"}))
    with pytest.raises(InvalidInput, match="No agent offers"):
        pattern(Brief(brief.goal, {"nobody": frozenset({"nothing"})}, brief.options))


@pytest.mark.slow
@pytest.mark.req("COL-03", "COL-04", "COL-06")
async def test_the_example_runs(team: TeamFolder, sandbox: Sandbox, person: Actor, tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'bullpen.db'}")
    database = Database(store, EventLog())
    shares: list[float] = []
    place = TeamPlace(database, person, sandbox, Models({}), tmp_path, lambda one: shares.append(one.share))
    before = {path: path.read_bytes() for path in team.folder.rglob("*") if path.is_file()}
    report = await run_folder(place, team, SESSION)
    assert report.state is TaskState.DONE, report.lines
    assert report.conclusion.summary == EXPECTED[team.pattern]
    assert not report.lost
    assert shares[-1] == 1.0
    assert before == {path: path.read_bytes() for path in team.folder.rglob("*") if path.is_file()}
    async with database.view(person) as uow:
        happened = [one.event for one in await replay(uow, SESSION)]
    assert all(one.reason for one in happened if isinstance(one, TaskAssigned))
    {"debate": decided, "pipeline": booked, "peer_to_peer": wrote}.get(team.pattern, nothing)(
        happened, tmp_path
    )
    await store.close()


def nothing(_happened: list[object], _home: Path) -> None:
    """This one leaves nothing besides."""


def decided(happened: list[object], _home: Path) -> None:
    """Contradictory personas, a vote for the wrong one, and tests that decide; each with its reason."""
    (vote,) = [one for one in happened if isinstance(one, DecisionReached)]
    (conflict,) = [one for one in happened if isinstance(one, ConflictResolved)]
    assert (vote.choice, conflict.by, conflict.kind) == ("middle", "evidence", "contradiction")
    assert "tests decide" in conflict.reason


def booked(_happened: list[object], home: Path) -> None:
    """What agents wrote is kept with the session."""
    bookings = {path.name: json.loads(path.read_text()) for path in files_of(home, SESSION).glob("*.json")}
    assert {name: one["total"] for name, one in bookings.items()} == {
        "monday.json": "4.00",
        "tuesday.json": "3.00",
        "wednesday.json": "5.50",
    }


def wrote(happened: list[object], _home: Path) -> None:
    """The ranges went over the bus."""
    assert sum(isinstance(one, MessagePosted) for one in happened) == 3
