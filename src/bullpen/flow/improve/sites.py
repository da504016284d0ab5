"""Sites: findings as recipes are told of them."""

from collections.abc import Iterable

from bullpen.domain.change import Site
from bullpen.domain.finding import Finding


def sites_in(path: str, findings: Iterable[Finding]) -> tuple[Site, ...]:
    """The findings of one file, from its top down."""
    sites = [at_site(found) for found in findings if found.place.path == path]
    return tuple(sorted(sites, key=lambda site: (site.line, site.column)))


def at_site(found: Finding) -> Site:
    """One finding as a site."""
    place = found.place
    return Site(place.line, place.column, place.end_line, found.rule, found.message, place.symbol)
