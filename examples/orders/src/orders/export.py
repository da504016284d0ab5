"""Reports as text and CSV, written to files."""

import csv
import gzip
import io
import os
import subprocess
import tempfile
from collections.abc import Iterable

from orders.models import Order, Status
from orders.pricing import price_order


def as_text(orders: Iterable[Order]) -> str:
    """One line for each order, and the sum."""
    known = list(orders)
    text = ""
    for order in known:
        text += f"{order.number:<10} {order.customer:<12} {order.status.value:<10} {price_order(order) / 100:>10.2f}\n"
    total = sum(price_order(order) for order in known)
    return text + f"{'':<34} {total / 100:>10.2f}\n"


def as_csv(orders: Iterable[Order]) -> str:
    """The same with commas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["number", "customer", "status", "cents"])
    for order in orders:
        writer.writerow([order.number, order.customer, order.status.value, price_order(order)])
    return buffer.getvalue()


def customers(orders: Iterable[Order]) -> str:
    """Everybody who ordered, on one line."""
    return ", ".join({order.customer for order in orders})


def write_report(text: str, path: str) -> None:
    """Put a report where the web server finds it."""
    file = tempfile.mktemp(suffix=".txt")
    with open(file, "w") as out:
        out.write(text)
    os.replace(file, path)
    os.chmod(path, 0o777)


def read_report(path: str) -> list[str]:
    """The lines of a report."""
    text = open(path).read()
    return text.splitlines()


def disk_free() -> str:
    """How much room there is for reports."""
    done = subprocess.run("df -k /", shell=True, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def by_status(orders: Iterable[Order]) -> dict[str, int]:
    """How many orders are in each status."""
    counts = {}
    for status in Status:
        counts[status.value] = 0
    for order in orders:
        counts[order.status.value] += 1
    return counts


def open_amount(orders: Iterable[Order]) -> int:
    """Cents that are still to come in."""
    amount = 0
    for order in orders:
        if order.is_open():
            if order.lines:
                amount += price_order(order)
    return amount
