"""Documents: what is mended in them does not go with most of what they say."""

from collections.abc import Iterator

from bullpen.flow.guarding.breach import Breach, first_difference

FEW = 12  # words; of less, half is nothing to speak of


def lost_words(path: str, before: str, after: str) -> Iterator[Breach]:
    """A document that says less than half of what it said."""
    old, new = len(before.split()), len(after.split())
    if old > FEW and 2 * new < old:
        yield Breach(
            path, first_difference(before, after), f"drops {old - new} of the document's {old} words"
        )
