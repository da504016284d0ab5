"""A fleet whose processes and database are killed at random: nothing is lost, and what is repeated is on record."""

import pytest
from bench import fleet_chaos, fleet_improve

pytestmark = [pytest.mark.slow, pytest.mark.needs("postgresql"), pytest.mark.req("SCH-03")]


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_no_repeat_is_unmarked(capsys: pytest.CaptureFixture[str]) -> None:
    status = fleet_chaos.main(["--kills", "12"])
    assert status == 0, capsys.readouterr().out


@pytest.mark.timeout(900)
def test_machines_that_cannot_see_each_other_wait_for_leases(capsys: pytest.CaptureFixture[str]) -> None:
    status = fleet_chaos.main(["--kills", "4", "--far"])
    assert status == 0, capsys.readouterr().out


@pytest.mark.timeout(1200)
def test_workers_of_other_homes_that_are_killed_come_to_the_same_commit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = fleet_improve.main(["--kills", "4"])
    assert status == 0, capsys.readouterr().out
