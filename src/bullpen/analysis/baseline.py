"""Only what is new since a baseline counts: a SARIF log kept from then, or a plain list of fingerprints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bullpen.analysis.compare import compare
from bullpen.analysis.sarif import BaselineState, read_findings
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Finding

_FINGERPRINT = re.compile(r"fnd-[0-9a-z]{4,64}")


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was known then. ``findings`` is empty if only fingerprints were kept."""

    fingerprints: frozenset[str]
    findings: tuple[Finding, ...] = ()


def read_baseline(raw: bytes) -> Baseline:
    """A SARIF log, or one fingerprint per line (blank lines and ``#`` comments allowed).

    Raises:
        InvalidInput: it is neither; the sentence names the line or the place in the log.
    """
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        findings = tuple(read_findings(raw))
        return Baseline(frozenset(each.fingerprint for each in findings if each.fingerprint), findings)
    return Baseline(frozenset(_lines(raw)))


def new_since(baseline: Baseline, findings: Sequence[Finding]) -> list[Finding]:
    """The findings that were not there, in their order.

    Against a SARIF log they are matched in rounds, so a fault that moved with an edit is not new.
    """
    states = baseline_states(baseline, findings)
    return [finding for finding in findings if states[finding.fingerprint] == "new"]


def baseline_states(baseline: Baseline, findings: Sequence[Finding]) -> dict[str, BaselineState]:
    """For each finding's fingerprint, whether it is new or unchanged."""
    if baseline.findings:
        new = {finding.fingerprint for finding in compare(baseline.findings, findings).new}
    else:
        new = {finding.fingerprint for finding in findings} - baseline.fingerprints
    return {finding.fingerprint: "new" if finding.fingerprint in new else "unchanged" for finding in findings}


def _lines(raw: bytes) -> list[str]:
    found: list[str] = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text and not _FINGERPRINT.fullmatch(text):
            raise InvalidInput(
                f"Line {number} of the baseline is not a fingerprint: {text[:80]!r}.",
                remedy="A baseline is a SARIF log, or a list of fingerprints such as fnd-4f9k2m0xqa7c1b3d.",
            )
        if text:
            found.append(text)
    return found
