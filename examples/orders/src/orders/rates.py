"""Shipping rates of a carrier, over HTTP, remembered for the life of the process."""

import json
import http.client
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
    connection = http.client.HTTPSConnection(host, port)
    try:
        connection.request("HEAD", "/")
        return connection.getresponse().status < 500
    except OSError as error:
        return False
    finally:
        connection.close()


def describe(status: int) -> str:
    """A status of the carrier in words."""
    if status == 200:
        return "delivered"
    elif status == 202:
        return "on its way"
    elif status in (404, 410):
        return "unknown"
    else:
        return "in error"
    return "never reached"
