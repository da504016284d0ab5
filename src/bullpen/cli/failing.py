"""How a failure reaches a person: one sentence, what to do next, and an exit status that stays the same."""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bullpen.domain.errors import BullpenError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERNAL = 70  # EX_SOFTWARE of sysexits.h

EXIT_STATUSES = (
    (0, "done; also where there was nothing to do"),
    (1, "failed: the session, the check or the comparison did not succeed"),
    (2, "bad input: an option, a name or a repository that cannot be used"),
    (3, "refused: a permission or a policy says no"),
    (4, "conflict: true when it was asked, not any more"),
    (5, "limit: time, memory, budget or size ran out"),
    (6, "missing: this machine lacks something; the message says how to get it"),
    (7, "unavailable: try again later"),
    (INTERNAL, "a fault in Bullpen itself; the message names a log file"),
    (130, "interrupted (SIGINT or SIGTERM); nothing is lost"),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is said of an error."""

    code: str
    sentence: str
    remedy: str
    status: int


def known_failure(error: BaseException) -> Failure | None:
    """The first error of our own tree in it, however deep in groups; None if there is none."""
    for one in _leaves(error):
        if isinstance(one, BullpenError):
            return Failure(one.code, one.sentence, one.remedy, one.exit_status)
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    group = cast("BaseExceptionGroup[BaseException]", error)
    for one in group.exceptions:
        yield from _leaves(one)


def unknown_failure(error: BaseException, argv: "Sequence[str]") -> Failure:
    """Keep the whole story of a fault of our own in a file, without secrets, and say where."""
    leaf = next(_leaves(error), error)
    try:
        path = _write_log(error, argv)
    except OSError as problem:
        return Failure(
            "internal", f"Bullpen failed: {leaf!r}.", f"No log could be written: {problem}.", INTERNAL
        )
    name = type(leaf).__name__
    return Failure(
        "internal", f"Bullpen failed ({name}).", f"Please report it with this file: {path}", INTERNAL
    )


def _write_log(error: BaseException, argv: "Sequence[str]") -> Path:
    from bullpen import __version__
    from bullpen.kernel.redaction import Redactor
    from bullpen.kernel.settings import default_home

    story = "".join(traceback.format_exception(error))
    head = f"bullpen {__version__}, python {sys.version.split()[0]}\n{' '.join(argv)}\n\n"
    folder = default_home() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"failure-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    path.write_text(Redactor().redact(head + story), "utf-8", errors="backslashreplace")
    return path


def tell(failure: Failure, *, as_json: bool) -> int:
    """Say it on stderr, or as the one JSON object on stdout; the exit status."""
    if as_json:
        problem = {"error": failure.code, "sentence": failure.sentence, "remedy": failure.remedy}
        print(json.dumps(problem))  # noqa: T201 - the last thing said, without any library
    else:
        said = f"bullpen: {failure.sentence}" + (f"\n  {failure.remedy}" if failure.remedy else "")
        print(said, file=sys.stderr)  # noqa: T201
    return failure.status
