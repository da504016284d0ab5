import pytest

from orders.inventory import Inventory, count_slowly, fill_waiting
from orders.models import Line, OutOfStock


def test_reserved_pieces_are_not_free():
    stock = Inventory({"MUG": 5})
    stock.reserve(Line("MUG", 2, 850))
    assert stock.free("MUG") == 3


def test_more_than_there_is_cannot_be_reserved():
    with pytest.raises(OutOfStock):
        Inventory({"MUG": 1}).reserve(Line("MUG", 2, 850))


def test_a_promise_can_be_taken_back():
    stock = Inventory({"MUG": 5})
    stock.reserve(Line("MUG", 2, 850))
    stock.release("MUG", 2)
    stock.release("TEE", 1)
    assert stock.free("MUG") == 5


def test_a_snapshot_stays_as_it_was():
    stock = Inventory({"MUG": 5})
    before = stock.snapshot()
    stock.pieces["MUG"] = 1
    assert before == {"MUG": 5}


def test_waiting_lines_are_filled_in_their_order():
    stock = Inventory({"MUG": 3})
    waiting = [Line("MUG", 2, 850), Line("MUG", 2, 850), Line("MUG", 1, 850)]
    assert fill_waiting(stock, waiting) == [waiting[1]]
    assert len(waiting) == 3


def test_counting_gives_all_pieces():
    total, took = count_slowly(Inventory({"MUG": 3, "TEE": 4}))
    assert total == 7
    assert took >= 0
