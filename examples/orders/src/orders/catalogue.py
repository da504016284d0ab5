"""The products of the shop, read from lines of text."""

import logging
import re
import sys
from dataclasses import dataclass

log = logging.getLogger(__name__)

DEFAULT = """\
MUG  Coffee mug        850
TEE  T-shirt          1990
CAP  Cap              1450
PEN  Ballpoint pen     120
"""


@dataclass(frozen=True)
class Product:
    """Something that is sold."""

    sku: str
    name: str
    unit_cents: int


def read_products(text: str) -> list[Product]:
    """Products from lines of ``SKU  name  cents``; other lines are left out."""
    products = []
    for line in text.splitlines():
        pattern = re.compile(r"^([A-Z]{3})\s+(.+?)\s+(\d+)$")
        found = pattern.match(line.strip())
        if found:
            products.append(Product(found.group(1), found.group(2), int(found.group(3))))
    return products


def prices(products: list[Product]) -> dict[str, int]:
    """Unit prices in cents, by SKU."""
    return dict([(product.sku, product.unit_cents) for product in products])


def names(products: list[Product]) -> list[str]:
    """The names, in the order of the catalogue."""
    found = []
    for product in products:
        found.append(product.name)
    return found


def search(products: list[Product], words: str) -> list[Product]:
    """Products whose name holds all words."""
    wanted = words.lower().split()
    return [product for product in products if all(word in product.name.lower() for word in wanted)]


def new_products(products: list[Product], before: list[Product]) -> list[Product]:
    """Products that were not there before."""
    known = [product.sku for product in before]
    fresh, seen = [], 0
    for product in products:
        if product.sku in known:
            seen += 1
        else:
            fresh.append(product)
    log.info("%d products are known", seen)
    return fresh


def substitutes(sku: str, table: dict[str, list[str]]) -> list[str]:
    """Products that can stand in for one, the nearest first; ``table`` names the direct ones."""
    found: list[str] = []
    queue = [sku]
    while queue:
        one = queue.pop(0)
        for other in table.get(one, []):
            if other != sku and other not in found:
                found.append(other)
                queue.append(other)
    return found


def shelf_label(sku: str, unit_cents: int, wide: bool = False) -> str:
    """What is printed on the shelf."""
    if unit_cents < 0:
        raise ValueError("a price is not negative")
    price = f"{unit_cents // 100}.{unit_cents % 100:02d}"
    if wide:
        return f"{sku} | {price}"
    return f"{sku} {price}"
