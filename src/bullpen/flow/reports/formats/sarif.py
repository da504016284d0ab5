"""A report for other tools: SARIF 2.1.0 of the findings after, each held against those before (``baselineState``).

Findings that are gone stay in the log as ``absent``, so before and after can both be read from it.
"""

from dataclasses import dataclass, replace

from bullpen import __version__
from bullpen.analysis.sarif import BaselineState, to_sarif
from bullpen.domain.finding import Finding
from bullpen.flow.reports.base import RunReport
from bullpen.flow.reports.plain import without_secrets
from bullpen.flow.reports.story import analyser_failures


@dataclass(frozen=True, slots=True)
class Sarif:
    """See ``ReportFormat``."""

    name: str = "sarif"
    file_name: str = "report.sarif"

    def render(self, report: RunReport) -> bytes:
        """See ``ReportFormat.render``."""
        states: dict[str, BaselineState] = {found.fingerprint: "absent" for found in report.gone}
        states |= {found.fingerprint: "unchanged" for found in report.after}
        states |= {found.fingerprint: "new" for found in report.new}
        there = {found.fingerprint for found in report.after}
        absent = [found for found in report.gone if found.fingerprint not in there]
        findings = [_shareable(found) for found in (*report.after, *absent)]
        return to_sarif(findings, __version__, states=states, failures=analyser_failures(report))


FORMAT = Sarif()


def _shareable(finding: Finding) -> Finding:
    return replace(
        finding, message=without_secrets(finding.message), snippet=without_secrets(finding.snippet)
    )
