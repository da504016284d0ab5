"""The whole main job with its records, its events and its journal on PostgreSQL."""

from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.needs("postgresql")]


@pytest.mark.req("IMP-01", "IMP-08", "STO-01")
def test_improve_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    ground = Ground(tmp_path, {"BULLPEN_DATABASE_URL": postgres_url})
    path = ground.repository("repository", SAMPLE)
    answer = ground.improve(path, "--session", "there")
    assert answer.status == 0, answer.said
    assert answer.result["done"]["count"] == 1
    assert "import os" not in ground.git(path, "show", "bullpen/there:sums.py")
    again = ground.improve(path, "--session", "there", "--resume")
    assert again.status == 0, again.said
    assert again.result["commit"] == answer.result["commit"]
    checked = ground.run("verify", answer.result["commit"])
    assert checked.status == 0, checked.said
    assert list(ground.home.glob("*.db")) == []
