"""When nothing was found because nobody could look."""

from collections.abc import Sequence

from bullpen.domain.errors import Missing

MOST_NAMED = 4
LONGEST = 160  # letters of one reason; the whole of it is in the records


def require_sight(findings: int, failures: Sequence[str]) -> None:
    """Nothing found is good news only where every analyser that was asked could look.

    Raises:
        Missing: there is no finding, and an analyser failed; the sentence names each with its reason.
    """
    if findings or not failures:
        return
    named = "; ".join(_short(one) for one in failures[:MOST_NAMED])
    more = len(failures) - MOST_NAMED
    words = f"{named}; and {more} more" if more > 0 else named
    raise Missing(
        f"Nothing was found, but not everything could look, so nobody knows whether it is clean: {words}.",
        remedy="`bullpen doctor` and `bullpen analysers` say what is missing here.",
        code="analysers-failed",
    )


def _short(reason: str) -> str:
    line = " ".join(reason.split()).rstrip(".")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
