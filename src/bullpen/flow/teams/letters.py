"""Letters in what an agent handed in: ``letters`` in its data, a JSON list of ``{to, kind, payload}``."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.flow.teams.base import Letter

MOST_LETTERS = 64


class _Letter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Field(max_length=120)]
    kind: Annotated[str, Field(max_length=80)]
    payload: Annotated[str, Field(max_length=65_536)] = "{}"


_LETTERS: TypeAdapter[list[_Letter]] = TypeAdapter(Annotated[list[_Letter], Field(max_length=MOST_LETTERS)])


def letters_in(data: Mapping[str, str]) -> tuple[Letter, ...]:
    """The letters an agent wants sent.

    Raises:
        InvalidInput: they are no such list.
    """
    text = data.get("letters", "")
    if not text:
        return ()
    try:
        return tuple(Letter(one.to, one.kind, one.payload) for one in _LETTERS.validate_json(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"'letters' are not as they should be: {where}: {first['msg']}.") from error
