"""Results as JSON texts: any typed value in, valid UTF-8 of a bounded length out."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, cast


def cut(text: str, longest: int) -> str:
    """At most ``longest`` characters, saying how many are left out."""
    if len(text) <= longest:
        return text
    note = f"… [{len(text) - longest} more characters]"
    return text[: max(0, longest - len(note))] + note


def to_plain(value: Any) -> Any:
    """Dataclasses, enumerations, tuples and bytes as what JSON knows."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return value
        case bytes():
            return value.decode("utf-8", "surrogateescape")
        case _:
            return _compound(value)


def _compound(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(key): to_plain(part) for key, part in items}
    if isinstance(value, Iterable):
        return [to_plain(part) for part in cast("Iterable[Any]", value)]
    return str(value)


_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(plain: Any) -> str:
    """JSON that keeps letters readable and is valid UTF-8: lone surrogates are written as escapes."""
    text = json.dumps(plain, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def map_texts(plain: Any, change: Callable[[str], str]) -> Any:
    """The same value with every text in it changed."""
    if isinstance(plain, str):
        return change(plain)
    if isinstance(plain, list):
        return [map_texts(part, change) for part in cast("list[Any]", plain)]
    if isinstance(plain, dict):
        items = cast("dict[str, Any]", plain).items()
        return {change(key): map_texts(part, change) for key, part in items}
    return plain


def limited(plain: Any, longest: int) -> Any:
    """Texts of at most ``longest`` characters and lists of at most ``longest // 64`` members."""
    if isinstance(plain, str):
        return cut(plain, longest)
    if isinstance(plain, list):
        parts = cast("list[Any]", plain)
        kept = max(1, longest // 64)
        shown = [limited(part, longest) for part in parts[:kept]]
        return [*shown, f"… [{len(parts) - kept} more]"] if len(parts) > kept else shown
    if isinstance(plain, dict):
        return {key: limited(part, longest) for key, part in cast("dict[str, Any]", plain).items()}
    return plain
