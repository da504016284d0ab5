"""Who may do what: allow, ask or deny by risk, per organization, project and role."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from bullpen.tools.base import Risk


class Rule(IntEnum):
    """Ordered: the larger is the stricter."""

    ALLOW = 0
    ASK = 1  # a person answers; no answer in time means no
    DENY = 2


Rules = Mapping[Risk, Rule]

DEFAULT_RULES: Rules = {
    Risk.READ: Rule.ALLOW,
    Risk.WRITE: Rule.ALLOW,
    Risk.EXECUTE: Rule.ALLOW,  # in the sandbox, there is no other way
    Risk.NETWORK: Rule.ASK,
    Risk.PRODUCTION: Rule.ASK,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule per risk."""

    rules: Rules = field(default_factory=lambda: DEFAULT_RULES)

    def rule(self, risk: Risk) -> Rule:
        """What goes for this risk; what nobody decided is denied."""
        return self.rules.get(risk, Rule.DENY)


def decide(
    organization: Rules | None = None,
    project: Rules | None = None,
    role: Rules | None = None,
    repository: Rules | None = None,
) -> Policy:
    """The policy for a run.

    The nearer setting replaces the wider one (role over project over organization over default), except that a wider
    ``DENY`` stays. What the repository itself brings is not trusted: it can only make a rule stricter.
    """
    return Policy({risk: _rule(risk, (organization, project, role), repository) for risk in Risk})


def _rule(risk: Risk, trusted: tuple[Rules | None, ...], repository: Rules | None) -> Rule:
    rule = DEFAULT_RULES[risk]
    for rules in trusted:
        stated = (rules or {}).get(risk)
        if stated is not None:
            rule = stated
        if stated is Rule.DENY:
            break
    return max(rule, (repository or {}).get(risk, Rule.ALLOW))
