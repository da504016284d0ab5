"""An executor of a fleet: ``python fleet_program.py URL HOME LABEL FOLDER DO [RUN…]``.

Each effect is a line in FOLDER/effects: the run, the step, the executor, the attempt. What is wanted of it is read from
its input: a run's argument says how many steps it has, how long each takes, and whether it waits for FOLDER/go.
"""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from bullpen.kernel.durable import DurableEngine, Fleet, TakenOver, items_queue, start_child, step
from bullpen.kernel.executors import this_process
from bullpen.kernel.storage.database import open_store

url, home, label, where, do, *rest = sys.argv[1:]
folder = Path(where)
LANES = int(os.environ.get("LANES", "4"))


def tell(file: str, line: str) -> None:
    with (folder / file).open("a") as stream:
        stream.write(f"{line}\n")


async def work(argument: str) -> list[str]:
    """``argument``: name, number of steps, seconds of each, and whether the last one waits."""
    name, steps, seconds, waits = argument.split()

    async def effect(number: int) -> str:
        tell("effects", f"{name} {number} {label}")
        await asyncio.sleep(float(seconds))
        while waits == "wait" and not (folder / "go").exists():  # noqa: ASYNC110 - others make it
            await asyncio.sleep(0.02)
        return f"{name}-{number}"

    return [
        await step(f"step-{number}", str, lambda number=number: effect(number))
        for number in range(int(steps))
    ]


async def parent(argument: str) -> list[list[str]]:
    """Shared children, joined by their ids."""
    name, count, *kind = argument.split()
    begun = await step("begin", str, lambda: begin(name))
    runs = [
        await start_child("work", f"{name}:{number}", f"{name}:{number} {' '.join(kind)}", shared=True)
        for number in range(int(count))
    ]
    return [[begun], *[await run.result() for run in runs]]


async def begin(name: str) -> str:
    tell("effects", f"{name} begin {label}")
    return "begun"


def taken(run: TakenOver) -> None:
    tell("taken", f"{run.run} {run.executor} {run.attempts}")


def lost(why: str) -> None:
    tell("lost", f"{label} {why}")
    os._exit(7)


async def main() -> None:
    await (await open_store(url)).close()
    me = this_process(label, home, LANES, "1")
    if os.environ.get("FAR"):  # as on a machine of its own: nobody can see whether its process lives
        me = replace(me, place=me.id)
    fleet = Fleet(me, items_queue(home), taken, lost, orphans=do == "serve")
    engine = DurableEngine(url, label, {"work": work, "parent": parent}, fleet)
    await engine.launch()
    tell("launched", f"{label} {me.id}")
    if do == "start":
        workflow, run_id, argument = rest
        run = await engine.start(workflow, run_id, argument)
        print(json.dumps(await run.result()), flush=True)
    elif do == "queue":
        runs = [await engine.start("work", one.split()[0], one, shared=True) for one in rest]
        print(json.dumps([await run.result() for run in runs]), flush=True)
    elif do == "attempts":
        print(json.dumps([await engine.attempts(one) for one in rest]), flush=True)
    else:
        while not (folder / "stop").exists():  # noqa: ASYNC110 - others make it
            await asyncio.sleep(0.05)
    await engine.close()


asyncio.run(main())
