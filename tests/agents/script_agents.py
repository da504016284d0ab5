"""Executables for tests: a good script agent in shell, and the bad ones a fleet meets."""

from pathlib import Path

GOOD = r"""#!/bin/sh
# ---
# name: {name}
# version: 1.0.0
# purpose: Counts the files of the workspace.
# capabilities: [count]
# ---
read -r task
id=$(printf %s "$task" | sed 's/.*"id":"\([^"]*\)".*/\1/')
echo '{{"type":"progress","text":"counting"}}'
count=$(ls /work | wc -l)
echo "{{\"type\":\"result\",\"id\":\"$id\",\"outcome\":\"done\",\"summary\":\"$count files\",\"data\":{{\"count\":$count}}}}"
"""

HEADER = """#!/bin/sh
# ---
# name: {name}
# version: 1.0.0
# purpose: A script agent of the tests.
# capabilities: [{capability}]
# limits: {limits}
# ---
"""

DONE = 'echo \'{"type":"result","outcome":"done","summary":"done"}\''


def write_program(folder: Path, name: str, text: str) -> Path:
    """An executable file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_good(folder: Path, name: str) -> Path:
    """An agent that counts files."""
    return write_program(folder, name, GOOD.format(name=name))


def write_agent(
    folder: Path, name: str, body: str, *, limits: str = "{restarts: 0}", capability: str = "count"
) -> Path:
    """An agent whose shell commands are ``body``."""
    header = HEADER.format(name=name, limits=limits, capability=capability)
    return write_program(folder, name, f"{header}{body}\n")
