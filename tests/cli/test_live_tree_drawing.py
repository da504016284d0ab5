"""The live view fits the terminal, and means the same without colour and without Unicode."""

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bullpen.cli.live_tree import ASCII, UNICODE, Frame, draw
from bullpen.cli.output import duration, printable
from bullpen.cli.progress import Progress, fold
from bullpen.domain.events.improve import PersonaSpoke, RepositoryOpened, WaveStarted
from bullpen.domain.events.session import SessionCreated, StageReached
from bullpen.domain.events.work import TaskAdded, TaskMoved, TaskReassigned, TaskReordered
from bullpen.domain.ids import SessionId, TaskId
from bullpen.kernel.bus.log import Recorded

if TYPE_CHECKING:
    from bullpen.domain.events import Event


def a_session(running: int, done: int, waiting: int, title: str = "Mend the thing") -> Progress:
    states = ["running"] * running + ["done"] * done + [""] * waiting
    events: list[Event] = [
        SessionCreated("improve", "goal", "/somewhere/app", "{}"),
        RepositoryOpened("/somewhere/app", "a" * 40, "main", 3, ()),
        StageReached("implementation"),
        PersonaSpoke("security", 2, "high", "This lets anybody in"),
        TaskAdded("root", "", "Improve app", "goal", "lead", 1.0, ()),
        WaveStarted(0, "abc", ()),
    ]
    for number, state in enumerate(states):
        events.append(TaskAdded(f"t{number}", "root", f"{title} {number}", "item", "lead", 1.0, ()))
        events.append(
            TaskAdded(f"t{number}d", f"t{number}", "change the code", "develop", "developer", 1.0, ())
        )
        if state:
            events.append(TaskMoved(f"t{number}", "running"))
            events.append(TaskMoved(f"t{number}d", state))
            events.append(TaskMoved(f"t{number}", state, "note"))
    return fold(
        Progress(),
        [Recorded(at, SessionId("ses-1"), 1000.0 + at, "x", event) for at, event in enumerate(events, 1)],
    )


def drawn(state: Progress, height: int, width: int = 80, glyphs=UNICODE) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, no_color=True)
    console.print(draw(state, Frame(height, state.last_at + 5, state.started_at, glyphs)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.req("CLI-01")
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60), st.integers(3, 50), st.integers(20, 200))
def test_it_is_never_higher_or_wider_than_the_terminal(
    running: int, done: int, waiting: int, height: int, width: int
) -> None:
    lines = drawn(a_session(running, done, waiting), height, width)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)


def test_what_runs_comes_first_and_the_rest_is_counted() -> None:
    text = "\n".join(drawn(a_session(2, 30, 40), 20))
    assert "30/72 items" in text
    assert (
        text.index("▶ Mend the thing 1")
        < text.index("○ Mend the thing 32")
        < text.index("✓ Mend the thing 31")
    )
    assert "developer: change the code" in text
    assert "○ 37 waiting" in text
    assert "left" in text.splitlines()[1]
    assert "security (2 findings) This lets anybody in" in text


@pytest.mark.req("TRE-04")
def test_what_comes_next_follows_the_order_people_gave() -> None:
    def waiting(state: Progress) -> list[str]:
        return [line.strip()[-1] for line in drawn(state, 20) if "○ Mend" in line]

    state = a_session(1, 0, 5)
    assert waiting(state) == ["1", "2", "3"]
    moved = [TaskReordered("t5", 1), TaskReassigned("t5", "reviewer"), TaskReordered("t1", 9)]
    state = fold(
        state,
        [Recorded(100 + at, SessionId("ses-1"), 2000.0, "x", event) for at, event in enumerate(moved)],
    )
    assert waiting(state) == ["5", "2", "3"]
    assert state.tasks[TaskId("t5")].role == "reviewer"


def test_without_unicode_the_marks_differ_from_each_other() -> None:
    text = "\n".join(drawn(a_session(1, 1, 1), 20, glyphs=ASCII))
    assert text.isascii()
    assert len({mark for _, mark in ASCII.states}) == len(ASCII.states)
    assert "> Mend the thing 0" in text
    assert "+ Mend the thing 1" in text


@pytest.mark.req("SEC-01")
def test_a_title_cannot_steer_the_terminal() -> None:
    text = "\n".join(drawn(a_session(1, 0, 0, title="evil\x1b[2J\x07\nname"), 20))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "evil?[2J? name 0" in text


@given(st.text())
def test_printable_text_is_one_line_of_what_can_be_shown(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.4 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words
