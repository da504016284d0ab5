"""Every comparison in this folder, one after the other; the end is 1 if a gate was missed."""

import importlib
import pkgutil
import sys
from pathlib import Path

LEFT_OUT = {
    "__main__",
    "mutants",
    "fleet_program",
    "own_postgres",
}  # mutants takes minutes; the last two are parts


def main() -> int:
    """Run them, or those named."""
    here = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    missed = 0
    for name in sys.argv[1:] or [name for name in here if name not in LEFT_OUT]:
        print(f"== {name}", flush=True)
        sys.argv[1:] = []
        missed |= int(importlib.import_module(f"bench.{name}").main() or 0)
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
