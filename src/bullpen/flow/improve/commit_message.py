"""Commit messages: what, why with its source, and how it was proved."""

import textwrap

from bullpen.domain.finding import Concern
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.items.generate import shortened

LONGEST_SUBJECT = 100
_TYPES = {
    Concern.SECURITY: "fix(security)",
    Concern.PERFORMANCE: "perf",
    Concern.QA: "test",
    Concern.DOCUMENTATION: "docs",
    Concern.DEPENDENCY: "build",
    Concern.ACCESSIBILITY: "fix",
}


def commit_message(draft: ItemDraft, evidence: Evidence, source: str) -> str:
    """A message in the form of Conventional Commits. ``source`` is where the rule comes from."""
    verdict = evidence.verdict
    gone, new = len(evidence.findings_gone), len(evidence.findings_new)
    proof = [
        f"{gone} of {len(draft.fingerprints)} findings of {draft.rule} are gone, {new} as bad or worse are new",
        f"{len(evidence.tests_after)} tests pass that passed before"
        if evidence.tests_after
        else "no tests to run",
    ]
    if verdict is not None:
        passed = sum(gate.passed for gate in verdict.gates)
        proof.append(f"{verdict.judge} accepted it: {passed} of {len(verdict.gates)} gates passed")
    parts = [
        _subject(draft),
        textwrap.fill(draft.why.strip(), 76),
        "\n".join(["Proved:", *(textwrap.fill(f"- {line}", 76, subsequent_indent="  ") for line in proof)]),
        "\n".join(
            [
                f"Bullpen-Item: {draft.id}",
                f"Bullpen-Rule: {draft.rule}" + (f" ({source})" if source else ""),
                f"Bullpen-Recipe: {draft.recipe or 'none'}",
                f"Bullpen-Patch: {evidence.patch_sha256}",
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _subject(draft: ItemDraft) -> str:
    kind = _TYPES.get(draft.concern, "refactor")
    words = draft.title[0].lower() + draft.title[1:]
    subject = f"{kind}: {words}"
    return shortened(subject, LONGEST_SUBJECT)
