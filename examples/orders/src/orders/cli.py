"""The ``orders`` command."""

import argparse
import sys

from orders.catalogue import DEFAULT, prices, read_products
from orders.export import as_csv, as_text
from orders.models import Order, OrderError, parse_line
from orders.numbers import order_number
from orders.pricing import price_order
from orders.server import make_server
from orders.storage import Storage


def parser() -> argparse.ArgumentParser:
    """What the command understands."""
    top = argparse.ArgumentParser(prog="orders")
    top.add_argument("--database", default=":memory:")
    commands = top.add_subparsers(dest="command", required=True)
    place = commands.add_parser("place")
    place.add_argument("--customer", required=True)
    place.add_argument("--line", action="append", default=[])
    report = commands.add_parser("report")
    report.add_argument("--format", choices=["text", "csv"], default="text")
    commands.add_parser("serve")
    return top


def place(storage: Storage, customer: str, texts: list[str]) -> Order:
    """Take an order."""
    known = prices(read_products(DEFAULT))
    order = Order(order_number(len(storage.all())), customer)
    for text in texts:
        order.add(parse_line(text, known))
    storage.save(order)
    return order


def main(argv: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    options = parser().parse_args(argv)
    storage = Storage(options.database)
    try:
        if options.command == "place":
            order = place(storage, options.customer, options.line)
            print(f"{order.number} {price_order(order) / 100:.2f}")
        elif options.command == "report":
            orders = storage.all()
            print((as_csv if options.format == "csv" else as_text)(orders), end="")
        else:
            make_server().serve_forever()
    except OrderError as error:
        print(f"orders: {error}", file=sys.stderr)
        return 1
    finally:
        storage.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
