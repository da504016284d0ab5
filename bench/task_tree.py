"""Planning task trees of 10,000 tasks: checked, ordered into waves, recomposed; each shape in under a second.

python -m bench.task_tree [tasks]
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace

from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.flow.trees.check import Bounds, check_plan
from bullpen.flow.trees.plan import Plan, PlannedTask, ready, waves
from bullpen.flow.trees.recompose import recompose
from bullpen.flow.trees.results import TaskResult

WANTED = 1.0


def name(number: int) -> TaskId:
    """A task's id."""
    return TaskId(f"t{number:06}")


def planned(number: int, parent: int | None, *after: int, path: str = "") -> PlannedTask:
    """One task of a shape."""
    waits = tuple(name(one) for one in after)
    above = None if parent is None else name(parent)
    task = TaskNode(name(number), above, f"task {number}", "item", "developer", depends_on=waits)
    return PlannedTask(replace(task, position=number), frozenset({path} if path else ()))


def deep(count: int) -> Plan:
    """Each the only child of the one before."""
    return [planned(n, n - 1 if n else None) for n in range(count)]


def wide(count: int) -> Plan:
    """One root; each child has a file of its own."""
    return [planned(0, None), *(planned(n, 0, path=f"f{n}.py") for n in range(1, count))]


def chain(count: int) -> Plan:
    """Siblings, each after the one before, all changing the same file."""
    return [
        planned(0, None),
        *(planned(n, 0, *([n - 1] if n > 1 else []), path="f.py") for n in range(1, count)),
    ]


def lattice(count: int) -> Plan:
    """A root, a hundred groups, and tasks that wait for ten of the group before; a file for every ten tasks in a row."""
    groups = 100
    plan = [planned(0, None), *(planned(g, 0, *([g - 1] if g > 1 else [])) for g in range(1, groups + 1))]
    each = (count - groups - 1) // groups
    for g in range(1, groups + 1):
        first = groups + 1 + (g - 1) * each
        for k in range(each):
            waits = [first - each + (k + d) % each for d in range(10)] if g > 1 else []
            plan.append(planned(first + k, g, *waits, path=f"f{k}.py"))
    return plan


SHAPES: dict[str, Callable[[int], Plan]] = {"deep": deep, "wide": wide, "chain": chain, "lattice": lattice}


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> int:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    bounds = Bounds(depth=count, breadth=count, tasks=count + 200)
    missed = False
    for shape, make in SHAPES.items():
        plan = make(count)
        tasks = [each.task for each in plan]
        results = [TaskResult(task.id, TaskState.DONE) for task in tasks]
        spent = {
            "check": timed(lambda plan=plan: check_plan(plan, (), bounds)),
            "waves": timed(lambda tasks=tasks: waves(tasks)),
            "ready": timed(lambda tasks=tasks: ready(tasks)),
            "recompose": timed(lambda tasks=tasks, results=results: recompose(tasks, results)),
        }
        total = sum(spent.values())
        parts = "  ".join(f"{part} {seconds * 1000:6.1f} ms" for part, seconds in spent.items())
        print(
            f"{shape:8} {len(plan)} tasks  {parts}  all {total:.3f} s {'kept' if total < WANTED else 'MISSED'}"
        )
        missed |= total >= WANTED
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
