"""The same fault seen by two analysers is one finding with two witnesses."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from bullpen.analysis.base import SourceTree
from bullpen.analysis.outline import Outline
from bullpen.analysis.rule_classes import rule_classes
from bullpen.domain.finding import Finding, Observation

_FIRST_WORD = {"ruff": 0, "ast_grep": 1}  # whose rule names the finding; others follow by name
_SECRET_RULES = ("detect-secrets:", "ruff:S105", "ruff:S106", "ruff:S107")
_LITERAL = re.compile(r"(\"\"\"|'''|\"|'|`)(?:\\.|(?!\1).)*\1", re.DOTALL)
_ASSIGNED = re.compile(r"\s*(?:export\s+)?[\"']?[\w.-]+[\"']?\s*[:=]\s*")


@dataclass(slots=True)
class _Group:
    """Observations that are one fault."""

    seen: list[Observation] = field(default_factory=list[Observation])

    def takes(self, other: Observation) -> bool:
        """Whether it is at the same place, and its analyser has not spoken yet (else it is a second fault)."""
        return all(each.analyser != other.analyser for each in self.seen) and any(
            _overlap(each, other) for each in self.seen
        )


def merge(observations: Iterable[Observation], tree: SourceTree) -> list[Finding]:
    """Drafts of findings, without fingerprints, ordered by place; symbol and snippet are filled in."""
    by_path: defaultdict[str, list[Observation]] = defaultdict(list)
    for observation in dict.fromkeys(observations):
        by_path[observation.place.path].append(observation)
    drafts: list[Finding] = []
    for path in sorted(by_path):
        drafts += _merge_file(by_path[path], Outline(path, tree.text(path)))
    return drafts


def _merge_file(observations: Sequence[Observation], outline: Outline) -> list[Finding]:
    shared = rule_classes((each.rule, each.same_as) for each in observations)
    groups: defaultdict[str, list[_Group]] = defaultdict(list)
    for observation in sorted(observations, key=_order):
        same_rule = groups[shared[observation.rule]]
        group = next((each for each in same_rule if each.takes(observation)), None)
        if group is None:
            group = _Group()
            same_rule.append(group)
        group.seen.append(observation)
    secrets = _secret_lines(observations, outline)
    drafts = [_draft(group.seen, outline, secrets) for each in groups.values() for group in each]
    return sorted(drafts, key=lambda draft: (draft.place.line, draft.place.column, draft.rule))


def _draft(seen: Sequence[Observation], outline: Outline, secrets: Collection[str]) -> Finding:
    first = min(seen, key=_rank)
    rules = {rule for each in seen for rule in (each.rule, *each.same_as)}
    snippet = outline.snippet(first.place)
    symbol = outline.symbol_at(first.place.line) if outline.scopes else first.place.symbol
    return Finding(
        fingerprint="",
        rule=first.rule,
        message=first.message,
        severity=max(each.severity for each in seen),
        concern=first.concern,
        place=replace(first.place, symbol=symbol),
        witnesses=tuple(sorted({each.analyser for each in seen})),
        same_as=tuple(sorted(rules - {first.rule})),
        url=first.url or next((each.url for each in seen if each.url), ""),
        fix=first.fix,
        snippet=_masked(snippet, first.place.path) if _tells(snippet, secrets) else snippet,
    )


def _secret_lines(observations: Sequence[Observation], outline: Outline) -> frozenset[str]:
    lines = {each.place.line for each in observations if each.rule.startswith(_SECRET_RULES)}
    texts = (outline.lines[line - 1].strip() for line in lines if line <= len(outline.lines))
    return frozenset(text for text in texts if text)


def _tells(snippet: str, secrets: Collection[str]) -> bool:
    return bool(snippet) and any(snippet in line or line in snippet for line in secrets)


def _masked(snippet: str, path: str) -> str:
    """Without the values: a finding travels to reports and models, and the secret must not travel with it."""
    if path.endswith((".py", ".pyi", ".js", ".ts", ".jsx", ".tsx", ".go", ".java")):
        masked = _LITERAL.sub(lambda match: match[1] + "***" + match[1], snippet)
        if masked != snippet:
            return masked
    name = _ASSIGNED.match(snippet)
    return f"{name[0]}***" if name else "***"


def _rank(observation: Observation) -> tuple[int, str]:
    return (_FIRST_WORD.get(observation.analyser, len(_FIRST_WORD)), observation.analyser)


def _order(observation: Observation) -> tuple[int, int, int, str]:
    return (observation.place.line, observation.place.column, *_rank(observation))


def _overlap(one: Observation, other: Observation) -> bool:
    return one.place.line <= _last(other) and other.place.line <= _last(one)


def _last(observation: Observation) -> int:
    return max(observation.place.end_line, observation.place.line)
