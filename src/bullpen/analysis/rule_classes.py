"""Rules of different analysers that mean the same fault."""

from collections.abc import Iterable, Sequence


def rule_classes(equivalents: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """From each rule to one name for all rules that, directly or through others, mean the same.

    ``equivalents`` are rules with the rules said to mean the same.
    """
    parent: dict[str, str] = {}

    def root(rule: str) -> str:
        while parent.setdefault(rule, rule) != rule:
            rule = parent[rule]
        return rule

    for rule, others in equivalents:
        for other in (rule, *others):
            first, second = sorted((root(rule), root(other)))
            parent[second] = first
    return {rule: root(rule) for rule in parent}
