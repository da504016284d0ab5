from orders.catalogue import DEFAULT, Product, names, new_products, prices, read_products, search, substitutes


def test_products_are_read_from_lines():
    products = read_products(DEFAULT)
    assert [one.sku for one in products] == ["MUG", "TEE", "CAP", "PEN"]
    assert products[1] == Product("TEE", "T-shirt", 1990)


def test_other_lines_are_left_out():
    assert read_products("# a comment\n\nMUG  Coffee mug 850\n") == [Product("MUG", "Coffee mug", 850)]


def test_prices_by_sku():
    assert prices(read_products(DEFAULT))["PEN"] == 120


def test_names_in_order():
    assert names(read_products(DEFAULT))[0] == "Coffee mug"


def test_search_needs_all_words():
    products = read_products(DEFAULT)
    assert [one.sku for one in search(products, "coffee MUG")] == ["MUG"]
    assert search(products, "coffee pen") == []


def test_new_products_are_those_not_there_before():
    products = read_products(DEFAULT)
    assert new_products(products, products[1:]) == [products[0]]


def test_near_substitutes_come_first():
    table = {"MUG": ["CUP", "BOWL"], "CUP": ["GLASS", "MUG"]}
    assert substitutes("MUG", table) == ["CUP", "BOWL", "GLASS"]
