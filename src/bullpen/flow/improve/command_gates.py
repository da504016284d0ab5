"""Gates that are commands: run in the sandbox on a checkout of the change."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.verdict import CommandEvidence
from bullpen.flow.gates import Gate, Measured
from bullpen.sandbox.base import Command, Limits, Outcome, Sandbox

TAIL = 400  # characters of output that are kept for people


@dataclass(frozen=True, slots=True)
class CommandsRun:
    """Exit statuses by gate, words for each, and what was run. A command that did not exit has no status."""

    measured: dict[str, Measured]
    notes: dict[str, str]
    evidence: tuple[CommandEvidence, ...]


async def run_command_gates(
    gates: Sequence[Gate], checkout: Path, sandbox: Sandbox, limits: Limits
) -> CommandsRun:
    """Run the commands of gates one after another in ``checkout``, a throw-away they may write in.

    Raises:
        Missing: the sandbox does not work.
    """
    run = CommandsRun({}, {}, ())
    for gate in gates:
        if gate.command:
            command = Command(gate.command, checkout, workspace_writable=True, limits=limits)
            run = _with(run, gate, await sandbox.run(command))
    return run


def _with(run: CommandsRun, gate: Gate, outcome: Outcome) -> CommandsRun:
    output = outcome.stdout + outcome.stderr
    tail = output.decode("utf-8", "replace").strip()[-TAIL:]
    measured = dict(run.measured)
    if outcome.exit_status is not None:
        measured[gate.name] = outcome.exit_status
    words = tail if outcome.exit_status is not None else f"it did not come to an end: {outcome.end}"
    digest = hashlib.sha256(output).hexdigest()
    seconds = round(outcome.wall_seconds, 3)
    told = CommandEvidence(outcome.argv, outcome.exit_status, outcome.end.value, seconds, digest)
    return CommandsRun(measured, run.notes | {gate.name: words}, (*run.evidence, told))
