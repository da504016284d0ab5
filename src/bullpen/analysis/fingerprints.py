"""Identities of findings that survive edits above them, renames of their file and reformatting.

A fingerprint is derived from the rule, the enclosing symbol, the normal form of the flagged statement, and an ordinal
among equals in the whole tree: no path, no line. So the set of fingerprints of a tree depends only on which faults it
holds, not on where they are. Which of several equal faults has which ordinal is settled by matching with what is known
already (``compare``), so mending one of them leaves the others' identities alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from bullpen.analysis.compare import compare_positions
from bullpen.analysis.normal_form import normal_form
from bullpen.domain.finding import Finding
from bullpen.domain.ids import derived_id

_LENGTH = 16  # base-32 letters: 80 bits


def identify(drafts: Sequence[Finding], known: Sequence[Finding] = ()) -> list[Finding]:
    """Give every draft its fingerprint; one that is a known finding keeps the known fingerprint."""
    pairs, _, new = compare_positions(known, drafts)
    fingerprints = {after: known[before].fingerprint for before, after in pairs}
    taken = {finding.fingerprint for finding in known}
    next_ordinal: defaultdict[tuple[str, str, str], count[int]] = defaultdict(count)
    for position in sorted(new, key=lambda each: _order(drafts[each])):
        key = fault(drafts[position])
        fingerprint = next(
            candidate for ordinal in next_ordinal[key] if (candidate := _derive(key, ordinal)) not in taken
        )
        fingerprints[position] = fingerprint
    return [replace(draft, fingerprint=fingerprints[position]) for position, draft in enumerate(drafts)]


def fault(finding: Finding) -> tuple[str, str, str]:
    """What is wrong, without where: the rule all its witnesses share, the symbol, the normal form of the text."""
    rule = min((finding.rule, *finding.same_as))
    return (rule, finding.place.symbol, normal_form(finding.snippet, finding.place.path))


def _derive(key: tuple[str, str, str], ordinal: int) -> str:
    return derived_id("fnd", *key, str(ordinal), length=_LENGTH)


def _order(finding: Finding) -> tuple[str, int, int]:
    return (finding.place.path, finding.place.line, finding.place.column)
