"""Break the core on purpose, one small fault at a time, and count how many of them its tests notice.

    python -m bench.mutants [faults per file]

Prints each fault that no test noticed, and the share that were; the end is 1 below 85 %.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bullpen.codegraph.mutants import Mutant, line_mutants

ROOT = Path(__file__).resolve().parent.parent
WANTED = 0.85
EACH_SECONDS = 120
CORE = {
    "work/tree.py": ("tests/work/test_task_tree.py",),
    "flow/gates.py": ("tests/flow/test_gate_conditions.py",),
    "flow/items/order.py": ("tests/flow/items/test_item_order.py",),
    "domain/actor.py": ("tests/domain",),
    "domain/ids.py": ("tests/domain",),
    "domain/money.py": ("tests/domain",),
    "domain/session.py": ("tests/sessions",),
    "domain/task.py": ("tests/domain",),
    "domain/test_report.py": ("tests/domain",),
    "domain/work_item.py": ("tests/work/test_work_actions.py",),
}


@dataclass(frozen=True)
class Tried:
    """One fault and whether a test failed over it."""

    file: str
    mutant: Mutant
    noticed: bool


def tried(file: str, mutant: Mutant, tests: tuple[str, ...]) -> Tried:
    """Run the file's tests on a copy of the source that has the fault."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        (source / "bullpen" / file).write_text(mutant.source, "utf-8")
        return Tried(file, mutant, not passes(source, tests))


def passes(source: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests are content with this source; those that take long are left out."""
    argv = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "-m", "not slow"]
    no_server = ["-k", "not postgresql", "-p", "no:randomly"]
    try:
        done = subprocess.run(
            [*argv, *no_server, *tests],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(source), "HYPOTHESIS_PROFILE": "default"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=EACH_SECONDS,
        )
    except subprocess.TimeoutExpired:  # a fault that never ends is noticed, too
        return False
    return done.returncode == 0


def running_lines(source: str) -> set[int]:
    """Lines inside functions: faults in tables of constants are for the tests of what uses them."""
    functions = [
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {line for one in functions for line in range(one.lineno, (one.end_lineno or one.lineno) + 1)}


def main() -> int:
    """Try them, two at a time."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    wanted = [
        (file, mutant, tests)
        for file, tests in CORE.items()
        for text in [(ROOT / "src" / "bullpen" / file).read_text("utf-8")]
        for mutant in line_mutants(text, running_lines(text), most)
    ]
    found: list[Tried] = []
    with ThreadPoolExecutor(2) as pool:
        for one in pool.map(lambda one: tried(*one), wanted):
            found.append(one)
            if not one.noticed:
                print(f"not noticed: {one.file}:{one.mutant.line}: {one.mutant.what}", flush=True)
    for file in CORE:
        mine = [one for one in found if one.file == file]
        print(f"{file:24} {sum(one.noticed for one in mine):4} of {len(mine)}")
    share = sum(one.noticed for one in found) / len(found)
    print(f"noticed {share:.1%} of {len(found)} faults (wanted {WANTED:.0%})")
    return int(share < WANTED)


if __name__ == "__main__":
    raise SystemExit(main())
