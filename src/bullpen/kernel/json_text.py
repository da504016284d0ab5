"""Values to and from JSON text. Names of files may hold any byte, which Python keeps as lone surrogates (PEP 383):
the fast encoder refuses those, so texts with them take the slower one and are kept as escapes.
"""

import json
from typing import TypeVar

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

T = TypeVar("T")


def dump(adapter: TypeAdapter[T], value: T) -> str:
    """A value as JSON text in ASCII."""
    try:
        return adapter.serializer.to_json(value, ensure_ascii=True).decode("ascii")
    except PydanticSerializationError as error:
        if "surrogates" not in str(error):
            raise
        return json.dumps(adapter.dump_python(value), separators=(",", ":"), default=list)


def load(adapter: TypeAdapter[T], text: str | bytes) -> T:
    """The value back; a pydantic ``ValidationError`` where the text is of another shape."""
    plain = text.decode() if isinstance(text, bytes) else text
    if "\\ud" in plain:
        return adapter.validate_python(json.loads(plain))
    return adapter.validator.validate_json(plain)
