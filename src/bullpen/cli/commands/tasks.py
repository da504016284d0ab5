"""Show a session's task tree with its progress; add, cancel, reorder or reassign tasks while it runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import change_records, json_option, read_records, session_named, session_option
from bullpen.domain.errors import NotFound
from bullpen.domain.ids import TaskId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from rich.tree import Tree

    from bullpen.domain.ids import SessionId
    from bullpen.domain.task import TaskNode
    from bullpen.flow.teams.queries import Attempt
    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.work.tree import Progress


@click.group(invoke_without_command=True)
@click.pass_context
def tasks(ctx: click.Context) -> int | None:
    """See and steer the task tree. Without a command: show that of the newest session."""
    return ctx.invoke(tree) if ctx.invoked_subcommand is None else None


@tasks.command()
@session_option
@click.option("--depth", type=click.IntRange(1), default=20, show_default=True, help="Levels shown.")
@json_option
def tree(session_id: str, depth: int, as_json: bool) -> int:
    """The tree, with how far each part is and about how long the rest will take."""
    from bullpen.cli.output import open_console, print_json
    from bullpen.flow.teams.queries import latest, list_attempts
    from bullpen.work.queries import list_tasks
    from bullpen.work.tree import progress

    async def ask(uow: "UnitOfWork") -> "tuple[Sequence[TaskNode], Mapping[TaskId, Attempt]]":
        session = (await session_named(uow, session_id)).id
        return await list_tasks(uow, session), latest(await list_attempts(uow, session))

    found, given = read_records(ask)
    reached = progress(found)
    if as_json:
        print_json([_as_value(task, reached[task.id], given.get(task.id)) for task in found])
        return 0
    if not found:
        click.echo("There are no tasks yet.", err=True)
    for root in (task for task in found if task.parent is None):
        open_console().print(_drawn(root, _Drawing(found, reached, given), depth))
    return 0


def _as_value(task: "TaskNode", reached: "Progress", given: "Attempt | None") -> dict[str, object]:
    value: dict[str, object] = {"task": task, "progress": reached}
    return {**value, "agent": given.agent, "chosen_because": given.reason} if given else value


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A session's tasks, how far each is, and to whom it was given last."""

    tasks: "Sequence[TaskNode]"
    reached: "Mapping[TaskId, Progress]"
    given: "Mapping[TaskId, Attempt]"

    def who(self, task: "TaskNode") -> str:
        """Who does it, with the sentence of the choice; the role where nobody was chosen."""
        return self.given[task.id].reason if task.id in self.given else task.role


def _drawn(task: "TaskNode", drawing: _Drawing, depth: int) -> "Tree":
    from rich.text import Text
    from rich.tree import Tree

    from bullpen.cli.live_tree import STYLES, UNICODE
    from bullpen.cli.output import duration, printable

    far = drawing.reached[task.id]
    label = Text(f"{UNICODE.of(task.state)} ", STYLES[task.state])
    label.append(printable(task.title))
    if far.total > 1:
        label.append(f"  {far.done}/{far.total} ({far.share:.0%})", "cyan")
    if far.seconds_left and not task.state.is_final:
        label.append(f"  about {duration(far.seconds_left)} left", "dim")
    label.append(f"  {printable(drawing.who(task))}  {task.id}", "dim")
    if task.note and task.note != drawing.who(task):
        label.append(f"  {printable(task.note)}", "dim")
    branch = Tree(label)
    if depth > 1:
        for child in (one for one in drawing.tasks if one.parent == task.id):
            branch.children.append(_drawn(child, drawing, depth - 1))
    return branch


@tasks.command()
@click.argument("task")
@click.option("--reason", default="cancelled by a person", help="Why.")
@session_option
def cancel(task: str, reason: str, session_id: str) -> int:
    """Cancel TASK, which has not ended, with everything below it."""
    from bullpen.work.actions.tasks import cancel_task

    return _change(
        task, session_id, lambda uow, one: cancel_task(uow, one, TaskId(task), reason), "is cancelled"
    )


@tasks.command()
@click.argument("task")
@click.argument("position", type=click.IntRange(0))
@session_option
def reorder(task: str, position: int, session_id: str) -> int:
    """Give TASK, which waits, the place POSITION among its siblings; 0 is the first."""
    from bullpen.work.actions.tasks import reorder_task

    return _change(
        task, session_id, lambda uow, one: reorder_task(uow, one, TaskId(task), position), f"is at {position}"
    )


@tasks.command()
@click.argument("item")
@session_option
def add(item: str, session_id: str) -> int:
    """Add a task for ITEM, which was left, behind the others; see `bullpen items`."""
    from bullpen.cli.arguments import item_named
    from bullpen.flow.steer import take_on

    async def change(uow: "UnitOfWork") -> None:
        session, found = await item_named(uow, session_id, item)
        await take_on(uow, session.id, found.id)

    change_records(change)
    click.echo(f"{item} is among the tasks.")
    return 0


@tasks.command()
@click.argument("task")
@click.argument("role")
@session_option
def reassign(task: str, role: str, session_id: str) -> int:
    """Give TASK, which waits, to another ROLE; see `bullpen agents`."""
    from bullpen.agents.registry import load_roster
    from bullpen.work.actions.tasks import reassign_task

    load_roster().card(role)
    return _change(
        task, session_id, lambda uow, one: reassign_task(uow, one, TaskId(task), role), f"is for {role}"
    )


def _change(
    task: str, session_id: str, action: "Callable[[UnitOfWork, SessionId], Awaitable[None]]", words: str
) -> int:
    async def change(uow: "UnitOfWork") -> None:
        await action(uow, await _session_of(uow, session_id, task))

    change_records(change)
    click.echo(f"{task} {words}.")
    return 0


async def _session_of(uow: "UnitOfWork", session_id: str, task: str) -> "SessionId":
    from bullpen.sessions.queries import list_sessions
    from bullpen.work.queries import list_tasks

    if session_id:
        return (await session_named(uow, session_id)).id
    for session in await list_sessions(uow, limit=10_000):
        if any(one.id == task for one in await list_tasks(uow, session.id)):
            return session.id
    raise NotFound(f"There is no task {task}.", remedy="See `bullpen tasks`.")


COMMAND = tasks
