from datetime import datetime

import pytest

from orders.models import Line, Order, OrderError
from orders.storage import Storage


@pytest.fixture
def storage():
    with_orders = Storage()
    with_orders.save(Order("A1", "ada", [Line("MUG", 2, 850)], placed_at=datetime(2024, 5, 1, 9, 30)))
    with_orders.save(Order("B2", "ben", [], note="ring twice"))
    yield with_orders
    with_orders.close()


def test_an_order_comes_back_as_it_was_saved(storage):
    order = storage.load("A1")
    assert order.lines == [Line("MUG", 2, 850)]
    assert order.placed_at == datetime(2024, 5, 1, 9, 30)
    assert storage.load("B2").note == "ring twice"


def test_saving_again_replaces(storage):
    order = storage.load("A1")
    order.add(Line("TEE", 1, 1990))
    storage.save(order)
    assert len(storage.load("A1").lines) == 2


def test_an_unknown_order_is_an_error(storage):
    with pytest.raises(OrderError):
        storage.load("Z9")


def test_the_orders_of_a_customer(storage):
    assert storage.numbers("ada") == ["A1"]
    assert storage.numbers("nobody") == []


def test_an_order_is_forgotten(storage):
    assert storage.delete("A1")
    assert not storage.delete("A1")
    assert [order.number for order in storage.all()] == ["B2"]
