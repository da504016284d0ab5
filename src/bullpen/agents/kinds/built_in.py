"""The agent that comes with the house: a card, a model, tools, and the one loop. Idle, it is three references."""

import json
from dataclasses import dataclass, replace

from bullpen.agents.base import AgentResult, AgentTask
from bullpen.agents.card import Card
from bullpen.agents.guidance import as_context, as_data, read_guides
from bullpen.agents.runtime import Run, run_agent
from bullpen.models.base import Brief
from bullpen.models.registry import Models
from bullpen.tools.base import CallKey, ToolContext
from bullpen.tools.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """See ``Agent``. Agents of one role share their card, models and toolbox."""

    card: Card
    models: Models
    toolbox: Toolbox

    @property
    def name(self) -> str:
        """The role's name."""
        return self.card.name

    async def initialize(self) -> None:
        """See ``Agent.initialize``: its model must exist."""
        self.models.facts(self.card.model)

    async def process(self, task: AgentTask, context: ToolContext) -> AgentResult:
        """See ``Agent.process``."""
        own = replace(context, role=self.card.name, key=CallKey(task.id, task.attempt, 0, ""))
        brief = brief_of(self.card, task, self.toolbox, own)
        model = self.models.resolve(self.card.model)
        dialogue = self.models.open(self.card.model, brief)
        run = Run(model, dialogue, self.toolbox, own, self.card.limits, seconds=task.seconds)
        return await run_agent(run)

    async def cleanup(self) -> None:
        """See ``Agent.cleanup``: there is nothing to let go of."""


def brief_of(card: Card, task: AgentTask, toolbox: Toolbox, context: ToolContext) -> Brief:
    """What opens the dialogue: instructions from the card, then the task, its facts, and what the repository says."""
    facts = task.facts.to_mapping()
    parts = [
        task.text,
        as_data("facts of the task", json.dumps(facts, ensure_ascii=True)) if facts else "",
        as_context(read_guides(context.workspace, task.facts.path)),
    ]
    text = toolbox.redactor.redact("\n\n".join(part for part in parts if part))
    return Brief(card.name, card.instructions, text, facts, toolbox.specs())


KIND = BuiltIn
