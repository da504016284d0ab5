"""Every event is a frozen value of plain fields, and comes back from the log as it went in."""

import dataclasses
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import NotFound
from bullpen.domain.events import Event
from bullpen.kernel.bus.codec import decode, encode, event_types

KINDS = sorted(event_types().values(), key=lambda kind: kind.__name__)
PLAIN = (str, int, float, bool)


def is_plain(kind: object) -> bool:
    if typing.get_origin(kind) is tuple:
        return all(one is Ellipsis or is_plain(one) for one in typing.get_args(kind))
    if typing.get_args(kind):
        return all(one is type(None) or is_plain(one) for one in typing.get_args(kind))
    kind = getattr(kind, "__supertype__", kind)
    return kind in PLAIN or (dataclasses.is_dataclass(kind) and all(map(is_plain, hints(kind).values())))


def hints(kind: object) -> dict[str, object]:
    return {field.name: typing.get_type_hints(kind)[field.name] for field in dataclasses.fields(kind)}


def strategy(kind: object) -> st.SearchStrategy[object]:
    """Any value of a field: odd file names with lone surrogates among the texts."""
    kind = getattr(kind, "__supertype__", kind)
    simple = {
        str: st.text(st.characters(exclude_categories=()), max_size=20),
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        type(None): st.none(),
    }
    if kind in simple:
        return simple[kind]
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)
        if inner[-1] is Ellipsis:
            return st.lists(strategy(inner[0]), max_size=3).map(tuple)
        return st.tuples(*map(strategy, inner))
    if dataclasses.is_dataclass(kind):
        return st.builds(kind, **{name: strategy(one) for name, one in hints(kind).items()})
    return st.one_of(*map(strategy, typing.get_args(kind)))


@pytest.mark.req("SES-02")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestEvent:
    def test_is_a_frozen_value_of_plain_fields(self, kind: type[Event]) -> None:
        assert kind.__dataclass_params__.frozen
        assert hasattr(kind, "__slots__")
        assert kind.__doc__
        assert [name for name, one in hints(kind).items() if not is_plain(one)] == []
        assert kind.version >= 1

    @given(data=st.data())
    def test_comes_back_as_it_went(self, kind: type[Event], data: st.DataObject) -> None:
        event = data.draw(strategy(kind))
        stored = encode(event)
        assert stored.isascii()
        assert decode(kind.__name__, stored) == event

    def test_may_have_gained_fields_since(self, kind: type[Event]) -> None:
        """A field that a newer version wrote is passed over."""
        values = {field.name: _default(hints(kind)[field.name]) for field in dataclasses.fields(kind)}
        stored = encode(kind(**values))
        longer = stored[:-1] + (',"of_a_newer_version":1}' if values else '"of_a_newer_version":1}')
        assert decode(kind.__name__, longer) == kind(**values)


def _default(kind: object) -> object:
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)
        return () if inner[-1] is Ellipsis else tuple(map(_default, inner))
    kind = getattr(kind, "__supertype__", kind)
    return kind() if kind in PLAIN else None


def test_names_are_unique_and_in_the_past() -> None:
    with_slots = [kind for kind in Event.__subclasses__() if "__slots__" in vars(kind)]
    assert len(with_slots) == len({kind.__name__ for kind in with_slots}) == len(KINDS) > 0
    irregular = (
        "Set",
        "Read",
        "Run",
        "Written",
        "Taken",
        "Given",
        "Spoke",
        "Sent",
        "Back",
        "Broken",
        "Begun",
        "Kept",
        "Spent",
    )
    wrong = [k.__name__ for k in KINDS if not k.__name__.endswith(("ed", *irregular))]
    assert wrong == []


def test_an_unknown_event_is_said() -> None:
    with pytest.raises(NotFound, match="'FromTheFuture'"):
        decode("FromTheFuture", "{}")
