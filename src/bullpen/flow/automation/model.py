"""What an automation's file holds. See ``templates/nightly_improve.yaml`` for an example."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from bullpen.domain.errors import InvalidInput
from bullpen.domain.money import Money
from bullpen.flow.definitions.model import Duration, Strict

LONGEST_LATE = 31 * 86_400.0
MOST_QUEUED = 50


def parse_usd(value: object) -> str:
    """An amount as text, ``"2.50"``; ValueError for anything else."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    try:
        Money.parse(text)
    except InvalidInput as error:
        raise ValueError(f"{value!r} is not an amount of money, such as 2.50") from error
    return text


Usd = Annotated[str, BeforeValidator(parse_usd)]


def _options(value: object) -> object:
    """``push:`` with nothing behind it means without options."""
    if not isinstance(value, Mapping):
        return value
    named = cast("Mapping[str, object]", value)
    return {name: dict[str, Any]() if one is None else one for name, one in named.items()}


Options = Annotated[Mapping[str, Mapping[str, Any]], BeforeValidator(_options)]


class Limits(Strict):
    """What holds an automation back.

    ``concurrency``: what happens when it is to begin while a run of it has not ended: the new one is skipped, waits in a
    queue, or replaces the old one. ``catch_up``: which times that passed while nobody looked are made up for, if they are
    not older than ``late``. ``budget``: US dollars for models in one run, 0 for what the agents' own limits allow.
    ``per_day``: runs in any 24 hours; ``time``: how long one may take.
    """

    concurrency: Literal["skip", "queue", "replace"] = "skip"
    catch_up: Literal["none", "latest", "all"] = "latest"
    late: Annotated[Duration, Field(le=LONGEST_LATE)] = 86_400.0
    budget: Usd = "0"
    per_day: Annotated[int, Field(ge=1, le=1_440)] = 24
    time: Duration = 6 * 3600.0


class Automation(Strict):
    """A whole file: ``on`` names what begins it, ``do`` the one thing that is done, ``repo`` where.

    A file that is kept in a repository is about that repository and names none.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    title: Annotated[str, Field(max_length=200)] = ""
    repo: Annotated[str, Field(max_length=4_000)] = ""
    on: Annotated[Options, Field(min_length=1)]
    do: Annotated[Options, Field(min_length=1, max_length=1)]
    limits: Limits = Limits()

    @property
    def job(self) -> str:
        """The name of what is done."""
        return next(iter(self.do))
