"""Whether the process that made something still lives: what dead ones left is taken away by others."""

from pathlib import Path

_ENDED = ("Z", "X")  # states of proc(5): ended, and not yet waited for


def is_dead(pid: str) -> bool:
    """Whether no process of this id runs any more; one that its parent has not waited for has ended, too."""
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in _ENDED
