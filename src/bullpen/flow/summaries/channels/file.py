"""A file beside the session's reports: ``summary.md``."""

from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import Unavailable
from bullpen.flow.summaries.channels.base import Summary


@dataclass(frozen=True, slots=True)
class FileChannel:
    """See ``Channel``."""

    async def post(self, summary: Summary, home: Path) -> str:
        """See ``Channel.post``."""
        path = home / "sessions" / summary.session / "reports" / "summary.md"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {summary.title}\n\n{summary.text}\n", "utf-8", errors="backslashreplace")
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error
        return str(path)


CHANNEL = FileChannel()
