"""Names of files, folders and tests that are no UTF-8: the whole way, to reports and a resumed session."""

import os

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.req("IMP-01")]
ODD = os.fsdecode(b"odd\xff")


def test_names_of_any_bytes(ground: Ground) -> None:
    tests = f"tests/test_{ODD}.py"
    path = ground.repository(
        ODD, {**SAMPLE, f"{ODD}.py": "import sys\n", tests: SAMPLE["tests/test_sums.py"]}
    )
    answer = ground.improve(path, "--session", "odd")
    assert answer.status == 0, answer.said
    assert answer.result["done"]["count"] == 1
    assert answer.result["tests_before"]["passed"] == 2
    again = ground.improve(path, "--session", "odd", "--resume")
    assert again.status == 0, again.said
    assert "test_" in ground.reports()
    assert ground.run("report", "odd").status == 0
