"""Steps of workflows and jobs of pipelines in the live view: state, elapsed time, and what they wait for."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from bullpen.cli.live_tree import ASCII, Frame, draw
from bullpen.cli.plain_lines import plain_line
from bullpen.cli.progress import Progress, apply, fold
from bullpen.domain.events import Event
from bullpen.domain.events.pipelines import PipelineJobEnded, PipelineJobStarted, PipelineStarted
from bullpen.domain.events.session import SessionCreated
from bullpen.domain.events.workflows import (
    WorkflowEnded,
    WorkflowSentBack,
    WorkflowStarted,
    WorkflowStepEnded,
    WorkflowStepStarted,
    WorkflowSuspended,
)
from bullpen.domain.ids import SessionId
from bullpen.kernel.bus.log import Recorded

BEGUN = WorkflowStarted("release", 1, "d", 0, ("build", "ask", "publish"))


def recorded(events: Sequence[Event]) -> list[Recorded]:
    """Ten seconds apart, from 1000 on."""
    return [Recorded(n, SessionId("ses-1"), 1000.0 + 10 * n, "x", one) for n, one in enumerate(events)]


def drawn(*events: Event, height: int = 20) -> list[str]:
    created = SessionCreated("workflow", "g", "/somewhere/app", "{}")
    state = fold(Progress(position=-1), recorded((created, *events)))
    console = Console(file=io.StringIO(), width=90, height=height, no_color=True)
    console.print(draw(state, Frame(height, state.last_at + 3, 1000.0, ASCII)))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def started(step: str, *, undo: bool = False) -> Event:
    return WorkflowStepStarted(step, "command", 1, undo)


def ended(step: str, state: str, reason: str = "", *, undo: bool = False) -> Event:
    return WorkflowStepEnded(step, state, 1, 1, 2.0, reason, undo)


@pytest.mark.req("CLI-01", "WFL-02")
def test_steps_are_drawn_with_their_state_and_time() -> None:
    head, bar, *tree = drawn(BEGUN, started("build"), ended("build", "done"), started("ask"))
    assert head.startswith("app")
    assert " 1/3 steps" in bar
    assert tree == ["|- > ask  3.0 s", "|- + build  10 s", "`- o 1 waiting"]


def test_a_step_that_waits_says_so_and_is_taken_up_in_the_next_run() -> None:
    first = (BEGUN, started("build"), ended("build", "done"), started("ask"), ended("ask", "waiting"))
    waits = drawn(*first, WorkflowSuspended("ask", 0.0, "apr-1"))
    assert waits[2] == "|- o ask  waits"
    again = drawn(*first, BEGUN, started("ask"), ended("ask", "done"), started("publish"))
    assert " 2/3 steps" in again[1]
    assert again[2] == "|- > publish  3.0 s"


def test_what_failed_what_was_taken_back_and_what_never_ran() -> None:
    lines = drawn(
        BEGUN,
        started("build"),
        ended("build", "done"),
        started("ask"),
        ended("ask", "failed", "nobody \x1b[31m answered"),
        started("build", undo=True),
        ended("build", "done", undo=True),
        WorkflowEnded("failed"),
    )
    assert [line for line in lines[2:] if "ask" in line] == ["|- x ask  10 s  nobody ?[31m answered"]
    assert [line for line in lines[2:] if "build" in line] == ["|- / build  10 s  taken back"]
    assert [line for line in lines[2:] if "publish" in line] == ["|- - publish"]


def test_work_that_is_sent_back() -> None:
    lines = drawn(BEGUN, started("build"), ended("build", "done"), WorkflowSentBack("build", "plan", "x"))
    assert "|- x build  20 s  sent back to plan" in lines


@pytest.mark.req("WFL-07")
def test_jobs_of_a_pipeline_are_drawn() -> None:
    lines = drawn(
        PipelineStarted("a" * 40, ("test (1)", "test (2)", "cover", "lint")),
        PipelineJobStarted("test (1)"),
        PipelineJobStarted("test (2)"),
        PipelineJobEnded("test (1)", "passed", 5.0),
        PipelineJobEnded("cover", "not run", 0.0, "the action x cannot be run here"),
    )
    assert " 2/4 jobs" in lines[1]
    assert lines[2:] == [
        "|- > test (2)  23 s",
        "|- - cover  the action x cannot be run here",
        "|- + test (1)  20 s",
        "`- o 1 waiting",
    ]


@pytest.mark.parametrize("height", range(3, 12))
def test_it_fits_the_terminal(height: int) -> None:
    jobs = tuple(f"job {n}" for n in range(50))
    events = [PipelineStarted("a", jobs), *(PipelineJobStarted(one) for one in jobs)]
    assert len(drawn(*events, height=height)) < height


def test_on_a_pipe_each_is_a_line() -> None:
    events = [
        started("build"),
        ended("build", "failed", "status 3"),
        PipelineJobStarted("lint"),
        PipelineJobEnded("lint", "passed", 61.0),
    ]
    state, lines = Progress(position=-1), list[str]()
    for one in recorded(events):
        state = apply(state, one)
        lines.append(plain_line(state, one.event))
    assert lines == [
        "begins: build",
        "failed: build (2.0 s): status 3",
        "begins: lint",
        "passed: lint (1 min 1 s)",
    ]
