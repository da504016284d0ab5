import pytest

from orders.models import Line, Order, OrderError, Status, parse_line


def order(*lines):
    return Order("A1", "ada", list(lines))


def test_the_total_is_that_of_all_lines():
    assert order(Line("MUG", 2, 850), Line("PEN", 3, 120)).total() == 2060


def test_a_line_is_added():
    one = order()
    one.add(Line("MUG", 1, 850))
    assert len(one.lines) == 1


def test_an_order_that_is_paid_takes_no_more_lines():
    one = order()
    one.move(Status.PAID)
    with pytest.raises(OrderError):
        one.add(Line("MUG", 1, 850))


def test_an_order_goes_from_new_to_paid_to_shipped():
    one = order()
    one.move(Status.PAID)
    one.move(Status.SHIPPED)
    assert one.status == Status.SHIPPED


def test_a_shipped_order_cannot_be_cancelled():
    one = order()
    one.move(Status.PAID)
    one.move(Status.SHIPPED)
    try:
        one.move(Status.CANCELLED)
        assert False, "a shipped order was cancelled"
    except OrderError:
        pass


def test_an_order_is_open_until_it_is_shipped_or_cancelled():
    one = order()
    assert one.is_open()
    one.move(Status.CANCELLED)
    assert not one.is_open()


def test_a_note_of_blanks_is_no_note():
    one = order()
    assert one.note == None
    assert not one.has_note()
    one.note = "  "
    assert not one.has_note()
    one.note = "ring twice"
    assert one.has_note()


def test_a_line_is_read_from_text():
    assert parse_line("MUG:3", {"MUG": 850}) == Line("MUG", 3, 850)
    assert parse_line("MUG", {"MUG": 850}).quantity == 1


@pytest.mark.parametrize("text", ["MUG:many", "HAT:1"])
def test_a_line_that_cannot_be_read_is_refused(text):
    with pytest.raises(OrderError):
        parse_line(text, {"MUG": 850})
