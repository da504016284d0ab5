"""Settings that may be adapted, by the names people use for them, and their values as text."""

from collections.abc import Mapping
from dataclasses import replace

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.tuning import Tuned
from bullpen.insights.adapt import DEFAULT_LIMITS, Limits

RETRIES, PARALLEL, SECONDS, FALLBACK, ROUTE = "retries", "parallel", "seconds", "fallback", "route "
MEANING: Mapping[str, str] = {
    RETRIES: "tries at an item after the first",
    PARALLEL: "items worked side by side in one wave",
    SECONDS: "longest time of one agent at one item, in seconds",
    FALLBACK: "order in which models are tried",
}


def meaning_of(name: str) -> str:
    """What a setting is, in words."""
    if name.startswith(ROUTE):
        return f"order in which agents are asked for {name.removeprefix(ROUTE)} items"
    return MEANING[name]


def values_of(settings: Tuned) -> dict[str, str]:
    """Every setting with its value."""
    plain = {
        RETRIES: str(settings.retries),
        PARALLEL: str(settings.parallel),
        SECONDS: f"{settings.seconds:g}",
    }
    if settings.fallback:
        plain[FALLBACK] = ", ".join(settings.fallback)
    return plain | {f"{ROUTE}{kind}": ", ".join(order) for kind, order in sorted(settings.routes.items())}


def require_known(settings: Tuned, name: str) -> None:
    """Refuse a name that is none.

    Raises:
        NotFound: there is no such setting; the remedy lists those there are.
    """
    if name not in values_of(settings):
        known = ", ".join(values_of(settings))
        raise NotFound(f"There is no setting {name!r} that could be adapted.", remedy=f"There are: {known}.")


def with_value(settings: Tuned, name: str, value: str, limits: Limits = DEFAULT_LIMITS) -> Tuned:
    """The settings with another value for one of them, as a person writes it.

    Raises:
        NotFound: there is no such setting; the remedy lists those there are.
        InvalidInput: the value is none, or out of bounds.
    """
    require_known(settings, name)
    bounds = {RETRIES: limits.retries, PARALLEL: limits.parallel, SECONDS: limits.seconds}
    if name in bounds:
        _require_number(name, value, bounds[name])
        return with_text(settings, name, value)
    known = settings.fallback if name == FALLBACK else settings.routes[name.removeprefix(ROUTE)]
    order = _reordered(name, known, _listed(value))
    return with_text(settings, name, ", ".join(order))


def with_text(settings: Tuned, name: str, value: str) -> Tuned:
    """The settings with a value as ``values_of`` gives it; an empty one takes an order away."""
    match name:
        case "retries":
            return replace(settings, retries=int(value))
        case "parallel":
            return replace(settings, parallel=int(value))
        case "seconds":
            return replace(settings, seconds=float(value), timed=())
        case "fallback":
            return replace(settings, fallback=_listed(value))
        case _:
            return _with_route(settings, name.removeprefix(ROUTE), _listed(value))


def _with_route(settings: Tuned, kind: str, order: tuple[str, ...]) -> Tuned:
    others = {one: known for one, known in settings.routes.items() if one != kind}
    return replace(settings, routes={**others, kind: order} if order else others)


def moved(settings: Tuned, other: Tuned, name: str) -> Tuned:
    """``settings`` with the value that one setting has in ``other``."""
    match name:
        case "retries":
            return replace(settings, retries=other.retries)
        case "parallel":
            return replace(settings, parallel=other.parallel)
        case "seconds":
            return replace(settings, seconds=other.seconds, timed=other.timed)
        case "fallback":
            return replace(settings, fallback=other.fallback)
        case _:
            kind = name.removeprefix(ROUTE)
            return _with_route(settings, kind, other.routes.get(kind, ()))


def differing(one: Tuned, other: Tuned) -> list[str]:
    """Names of settings that have another value in the one than in the other."""
    left, right = values_of(one), values_of(other)
    return [name for name in {**left, **right} if left.get(name) != right.get(name)]


def _require_number(name: str, value: str, bounds: tuple[float, float]) -> None:
    low, high = bounds
    text = value.strip()
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise InvalidInput(f"{name} is a whole number from {low:g} to {high:g}, not {value!r}.")


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _reordered(name: str, known: tuple[str, ...], order: tuple[str, ...]) -> tuple[str, ...]:
    """Those named come first; nobody is added or left out."""
    unknown = [one for one in order if one not in known]
    if unknown or not order:
        raise InvalidInput(
            f"{name} puts these in an order: {', '.join(known)}; {', '.join(unknown) or 'nothing'} is not among them."
        )
    return tuple(dict.fromkeys((*order, *known)))
