"""One JSON object a line in ``logs/summaries.jsonl`` of Bullpen's home, for whatever reads logs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bullpen.domain.errors import Unavailable
from bullpen.flow.summaries.channels.base import Summary


@dataclass(frozen=True, slots=True)
class LogChannel:
    """See ``Channel``; the same summary is written once."""

    async def post(self, summary: Summary, home: Path) -> str:
        """See ``Channel.post``."""
        path = home / "logs" / "summaries.jsonl"
        line = json.dumps(asdict(summary))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            known = path.read_text("utf-8").splitlines() if path.exists() else []
            if line not in known:
                with path.open("a", encoding="utf-8") as log:
                    log.write(f"{line}\n")
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error
        return str(path)


CHANNEL = LogChannel()
