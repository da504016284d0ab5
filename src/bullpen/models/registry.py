"""Which model an alias means, and how a dialogue with it is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.kernel.extend import ExtensionPoint
from bullpen.models.base import Brief, Dialogue, ModelFacts, Provider

PROVIDERS: ExtensionPoint[Provider] = ExtensionPoint("bullpen.models.providers", "PROVIDER")
DEFAULT_ALIASES: Mapping[str, str] = {"default": "playbook:rules"}
_LONGEST_CHAIN = 8  # aliases may point at aliases; more than this is a circle


@dataclass(frozen=True, slots=True)
class Models:
    """Aliases, and the providers behind them. ``own`` providers (made in code) come before those in the folder."""

    aliases: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_ALIASES))
    own: Mapping[str, Provider] = field(default_factory=dict[str, Provider])

    def resolve(self, name: str) -> str:
        """``provider:model`` for an alias, or for a name that is one already.

        Raises:
            NotFound: no such alias; the message lists those there are.
            InvalidInput: the aliases point at each other in a circle.
        """
        found = name or "default"
        for _ in range(_LONGEST_CHAIN):
            if found not in self.aliases:
                break
            found = self.aliases[found]
        else:
            raise InvalidInput(
                f"The model alias {name!r} points at itself.", remedy="Give it a provider:model."
            )
        if ":" not in found:
            raise NotFound(
                f"There is no model called {name!r}; there are: {', '.join(sorted(self.aliases))}.",
                remedy="Use one of these, or write provider:model.",
            )
        return found

    def provider(self, name: str) -> Provider:
        """The provider called ``name``."""
        return self.own.get(name) or _load(name)

    def facts(self, name: str) -> ModelFacts:
        """What is known of the model behind an alias."""
        provider, model = self.resolve(name).split(":", 1)
        return self.provider(provider).facts(model)

    def open(self, name: str, brief: Brief) -> Dialogue:
        """Begin a dialogue with the model behind an alias."""
        provider, model = self.resolve(name).split(":", 1)
        return self.provider(provider).open(model, brief)


@cache
def _load(name: str) -> Provider:
    return PROVIDERS.load(name)
