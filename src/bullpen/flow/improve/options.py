"""What an improve session is asked."""

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from pydantic import TypeAdapter

from bullpen.domain.finding import Finding
from bullpen.domain.money import Money
from bullpen.domain.session import Session
from bullpen.flow.items.patterns import names_rule
from bullpen.kernel.json_text import load


@dataclass(frozen=True, slots=True)
class ImproveOptions:
    """``only`` holds rules (``ruff:S*``, ``security``) and paths (``src/*``); empty means everything.

    ``approve`` holds rules whose unsafe recipes a person has approved beforehand.
    """

    source: str
    goal: str = ""
    only: tuple[str, ...] = ()
    max_items: int = 50
    budget: Money = field(default_factory=Money)
    dry_run: bool = False
    approve: tuple[str, ...] = ()
    baseline: str = ""

    def wants(self, finding: Finding) -> bool:
        """Whether ``only`` lets this finding through: a match among the rules (if any) and among the paths (if any)."""
        rules = [one for one in self.only if _is_rule(one)]
        paths = [one for one in self.only if not _is_rule(one)]
        names = (finding.rule, *finding.same_as, finding.rule.split(":", 1)[-1], finding.concern.value)
        by_rule = not rules or any(fnmatchcase(name, rule) for name in names for rule in rules)
        return by_rule and (not paths or any(_below(finding.place.path, path) for path in paths))

    def approves(self, rule: str) -> bool:
        """Whether a person has said yes to unsafe changes for this rule."""
        return names_rule(self.approve, rule)


OPTIONS: TypeAdapter[ImproveOptions] = TypeAdapter(ImproveOptions)
MOST, BUDGET = "max_items", "budget"  # facts that take the place of what was asked at first
PYTHON = "python"  # the fact that holds the interpreter that was asked for, from when there is an environment


def options_of(session: Session) -> ImproveOptions:
    """What a session is asked, with the limits it was given since it began."""
    asked, facts = load(OPTIONS, session.options), session.metadata
    most = int(facts.get(MOST, asked.max_items))
    budget = Money(int(facts[BUDGET])) if BUDGET in facts else asked.budget
    return replace(asked, max_items=most, budget=budget)


def _is_rule(text: str) -> bool:
    """A path has a slash or an ending; everything else names a rule, a concern, or a pattern of rules."""
    return ":" in text or not ("/" in text or "." in text)


def _below(path: str, wanted: str) -> bool:
    stem = wanted.rstrip("/")
    return path == stem or path.startswith(stem + "/") or fnmatchcase(path, wanted)
