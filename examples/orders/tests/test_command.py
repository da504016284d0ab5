from orders.cli import main
from orders.mail import confirmation
from orders.models import Line, Order
from orders.server import health


def test_an_order_is_placed_and_reported(tmp_path, capsys):
    database = str(tmp_path / "shop.db")
    assert main(["--database", database, "place", "--customer", "ada", "--line", "MUG:2"]) == 0
    assert capsys.readouterr().out.split()[1] == "26.06"
    assert main(["--database", database, "report", "--format", "csv"]) == 0
    assert "ada" in capsys.readouterr().out


def test_a_product_that_is_not_there_is_an_error(capsys):
    assert main(["place", "--customer", "ada", "--line", "HAT"]) == 1
    assert "HAT" in capsys.readouterr().err


def test_a_mail_names_the_order():
    message = confirmation(Order("A1", "ada", [Line("MUG", 2, 850)]), "ada@example.org")
    assert message["Subject"] == "Your order A1"
    assert "2 x MUG" in message.get_content()


def test_the_desk_is_well_until_much_waits():
    unused = health(0)["at"]
    assert health(0)["state"] == "well"
    assert health(101)["state"] == "busy"
