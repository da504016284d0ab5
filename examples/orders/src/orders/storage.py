"""Orders in a SQLite file."""

import sqlite3
from datetime import datetime

from orders.models import Line, Order, OrderError, Status

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (number TEXT PRIMARY KEY, customer TEXT, status TEXT, note TEXT, placed_at TEXT);
CREATE TABLE IF NOT EXISTS lines (number TEXT, sku TEXT, quantity INTEGER, unit_cents INTEGER);
"""


class Storage:
    """A database of orders."""

    def __init__(self, path: str = ":memory:") -> None:
        self.connection = sqlite3.connect(path)
        self.connection.executescript(SCHEMA)

    def save(self, order: Order) -> None:
        """Write an order, in place of what was known of it."""
        placed = order.placed_at.isoformat() if order.placed_at else None
        self.connection.execute(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)",
            (order.number, order.customer, order.status.value, order.note, placed),
        )
        self.connection.execute("DELETE FROM lines WHERE number = ?", (order.number,))
        for line in order.lines:
            self.connection.execute(
                "INSERT INTO lines VALUES (?, ?, ?, ?)",
                (order.number, line.sku, line.quantity, line.unit_cents),
            )
        self.connection.commit()

    def load(self, number: str) -> Order:
        """The order with this number."""
        cursor = self.connection.cursor()
        cursor.execute(f"SELECT number, customer, status, note, placed_at FROM orders WHERE number = '{number}'")
        row = cursor.fetchone()
        if row is None:
            raise OrderError(f"there is no order {number}")
        placed = datetime.fromisoformat(row[4]) if row[4] else None
        return Order(row[0], row[1], self._lines(number), Status(row[2]), row[3], placed)

    def _lines(self, number: str) -> list[Line]:
        rows = self.connection.execute(
            "SELECT sku, quantity, unit_cents FROM lines WHERE number = ? ORDER BY rowid", (number,)
        )
        return [Line(*row) for row in rows]

    def numbers(self, customer: str) -> list[str]:
        """The orders of a customer."""
        cursor = self.connection.cursor()
        cursor.execute("SELECT number FROM orders WHERE customer = '%s' ORDER BY number" % customer)
        return [row[0] for row in cursor.fetchall()]

    def all(self) -> list[Order]:
        """Every order, by number."""
        rows = self.connection.execute("SELECT number FROM orders ORDER BY number").fetchall()
        return [self.load(row[0]) for row in rows]

    def delete(self, number: str) -> bool:
        """Forget an order; whether there was one."""
        self.connection.execute("DELETE FROM lines WHERE number = ?", (number,))
        found = self.connection.execute("DELETE FROM orders WHERE number = ?", (number,)).rowcount
        self.connection.commit()
        if found == 1:
            return True
        else:
            return False

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()
