from orders.rates import batch_rates, describe, rate


def test_the_carrier_is_asked_once_for_each_country():
    asked = []

    def fetch(country):
        asked.append(country)
        return 490

    assert rate("IS", fetch) == 490
    assert rate("IS", fetch) == 490
    assert asked == ["IS"]


def test_rates_of_several_countries():
    assert batch_rates(["DE", "FR"], len) == {"DE": 2, "FR": 2}


def test_a_status_in_words():
    assert [describe(status) for status in (200, 202, 404, 500)] == ["delivered", "on its way", "unknown", "in error"]
