"""What automations of repositories may use at most, whatever their files say: set in Bullpen's home, by a person."""

from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import Field, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.domain.money import Money
from bullpen.flow.automation.model import Limits, Usd
from bullpen.flow.definitions.model import Duration, Strict
from bullpen.kernel.yaml_text import read_yaml

FILE = "automation.yaml"


class Ceiling(Strict):
    """``ceiling`` in ``automation.yaml`` of Bullpen's home. A budget of 0 sets none."""

    budget: Usd = "0"
    per_day: Annotated[int, Field(ge=1, le=1_440)] = 1_440
    time: Duration = 86_400.0


def read_ceiling(home: Path) -> Ceiling:
    """What is set.

    Raises:
        InvalidInput: the file cannot be read, or says what it may not.
    """
    path = home / FILE
    try:
        said: Any = read_yaml(path.read_text("utf-8")) if path.exists() else None
        held = cast("dict[str, Any]", said).get("ceiling") if isinstance(said, dict) else None
        return Ceiling.model_validate(held or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        words = " ".join(str(error).split())
        raise InvalidInput(
            f"{path} cannot be used: {words}.", remedy="Mend what stands under ceiling."
        ) from error


def held_to(limits: Limits, ceiling: Ceiling) -> Limits:
    """The limits of a repository's file, never above the ceiling."""
    return limits.model_copy(
        update={
            "budget": _smaller(limits.budget, ceiling.budget),
            "per_day": min(limits.per_day, ceiling.per_day),
            "time": min(limits.time, ceiling.time),
        }
    )


def _smaller(one: str, other: str) -> str:
    """The smaller budget; nothing means that none is set."""
    amounts = [text for text in (one, other) if Money.parse(text) != Money()]
    return min(amounts, key=Money.parse, default="0")
