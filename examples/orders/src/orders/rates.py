"""Shipping rates of a carrier, over HTTP, remembered for the life of the process."""

import json
import socket
import urllib.request
from collections.abc import Callable

BASE = "https://carrier.example/rates"


def rate(country: str, fetch: Callable[[str], int], remembered: dict[str, int] = {}) -> int:
    """Cents to send a parcel to a country. The carrier is asked once per country."""
    if country not in remembered:
        remembered[country] = fetch(country)
    return remembered[country]


def batch_rates(countries: list[str], fetch: Callable[[str], int], extra: list[str] = []) -> dict[str, int]:
    """Rates of several countries."""
    return {country: fetch(country) for country in [*countries, *extra]}


def fetch_rate(country: str, base: str = BASE) -> int:
    """Ask the carrier."""
    with urllib.request.urlopen(f"{base}/{country}") as answer:
        return int(json.load(answer)["cents"])


def is_up(host: str, port: int = 443) -> bool:
    """Whether the carrier's host answers."""
    try:
        socket.create_connection((host, port)).close()
    except OSError as error:
        return False
    return True


def describe(status: int) -> str:
    """A status of the carrier in words."""
    if status == 200:
        return "delivered"
    if status == 202:
        return "on its way"
    if status in (404, 410):
        return "unknown"
    return "in error"
    return "never reached"
