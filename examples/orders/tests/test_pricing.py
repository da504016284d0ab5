import pytest

from orders.models import Line, Order
from orders.pricing import line_price, price_order, quantity_discount, subtotal
from orders.promotions import PROMOTIONS, best_promotion, worth


def order(*lines):
    return Order("A1", "ada", list(lines))


@pytest.mark.parametrize(("quantity", "percent"), [(1, 0), (9, 0), (10, 5), (49, 5), (50, 10)])
def test_many_pieces_cost_less(quantity, percent):
    assert quantity_discount(quantity) == percent


def test_a_line_with_its_discount():
    assert line_price(Line("PEN", 10, 120)) == 1140


def test_the_subtotal_is_that_of_all_lines():
    assert subtotal(order(Line("PEN", 10, 120), Line("MUG", 1, 850))) == 1990


@pytest.mark.parametrize(
    ("lines", "country", "codes", "express", "cents"),
    [
        ([Line("MUG", 1, 850)], "DE", (), False, 1595),
        ([Line("MUG", 1, 850)], "DE", (), True, 2178),
        ([Line("MUG", 10, 850)], "NL", (), False, 9771),
        ([Line("TEE", 3, 1990)], "DE", ("FIVER",), False, 6509),
        ([Line("TEE", 3, 1990)], "FR", ("SPRING10",), True, 7036),
        ([Line("PEN", 60, 120)], "CH", (), False, 6480),
        ([Line("MUG", 2, 850)], "US", (), False, 2190),
        ([], "DE", (), False, 0),
    ],
)
def test_an_order_with_everything(lines, country, codes, express, cents):
    assert price_order(order(*lines), country, codes, express) == cents


def test_the_best_promotion_is_taken():
    one = order(Line("TEE", 3, 1990))
    assert best_promotion(one, ("SPRING10", "FIVER")).code == "SPRING10"
    assert best_promotion(one, ()) is None


def test_a_promotion_needs_a_smallest_value():
    assert worth(PROMOTIONS[1], 2499) == 0
    assert worth(PROMOTIONS[1], 2500) == 500
