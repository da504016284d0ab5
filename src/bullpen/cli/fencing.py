"""The end of a process that lost its lease: at once, so that what others go on with is not done twice."""

import os
import sys
from collections.abc import Callable

from bullpen.cli.failing import Failure, tell
from bullpen.domain.errors import Unavailable

_SHOW_CURSOR = "\x1b[?25h\n"


def fenced(remedy: str, *, as_json: bool = False) -> Callable[[str], None]:
    """Says why and what to do, then ends the process with all it started; status 7. Called from any thread."""

    def end(why: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(_SHOW_CURSOR)  # a live screen is not taken down in order
        status = tell(
            Failure("lease-lost", f"Stopped. {why}", remedy, Unavailable.exit_status), as_json=as_json
        )
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)

    return end
