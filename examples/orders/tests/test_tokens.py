import time

from orders.numbers import order_number
from orders.tokens import cache_key, etag, may_see, spread, tracking_token


def test_an_order_number_follows_from_its_seed():
    assert order_number(7) == order_number(7)
    assert order_number(1) == "IEQH524Y"
    assert len(order_number(8)) == 8


def test_tokens_differ():
    first = tracking_token()
    time.sleep(0.01)
    assert tracking_token() != first
    assert len(first) == 24


def test_a_pause_is_spread():
    assert 8 <= spread(10) <= 12


def test_only_the_right_token_opens():
    assert may_see("abc", "abc")
    assert not may_see("abd", "abc")


def test_a_key_depends_on_all_parts():
    assert cache_key("a", "b") == cache_key("a", "b")
    assert cache_key("a", "b") != cache_key("ab")


def test_an_etag_is_quoted():
    assert etag(b"page").startswith('"')
