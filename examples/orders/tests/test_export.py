import os

from orders.export import as_csv, as_text, by_status, customers, disk_free, open_amount, read_report, write_report
from orders.models import Line, Order, Status

ORDERS = [
    Order("A1", "ada", [Line("MUG", 1, 850)]),
    Order("B2", "ben", [Line("TEE", 1, 1990)], Status.SHIPPED),
]


def test_a_report_as_text():
    lines = as_text(ORDERS).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["A1", "ada", "new", "15.95"]
    assert lines[-1].split() == ["45.46"]


def test_a_report_as_csv():
    assert as_csv(ORDERS).splitlines()[1] == "A1,ada,new,1595"


def test_everybody_who_ordered():
    assert sorted(customers(ORDERS).split(", ")) == ["ada", "ben"]


def test_a_report_is_written_and_read(tmp_path):
    path = tmp_path / "report.txt"
    write_report("one\ntwo\n", str(path))
    result = read_report(str(path))
    assert result == ["one", "two"]
    assert os.access(path, os.R_OK)


def test_there_is_room():
    assert "/" in disk_free()


def test_orders_by_status():
    assert by_status(ORDERS) == {"new": 1, "paid": 0, "shipped": 1, "cancelled": 0}


def test_what_is_still_to_come_in():
    assert open_amount(ORDERS) == 1595
