"""The scheduler in a simulated team with drifting skills, beside other policies: counts, not times."""

from dataclasses import replace

import pytest
from bench.scheduler import POLICIES, Setting, fluid_bound, throughput

SMALL = Setting("small", agents=16, days=4.0)


@pytest.mark.slow
@pytest.mark.req("SCH-04")
def test_ours_comes_near_the_oracle_and_before_those_that_do_not_measure() -> None:
    share = {name: throughput(SMALL, kind, 3) for name, kind in POLICIES.items()}
    assert share["bullpen"] >= 0.95 * share["oracle"]
    assert share["bullpen"] > 1.1 * max(share[name] for name in ("random", "round-robin", "least-loaded"))


@pytest.mark.slow
@pytest.mark.req("SCH-04")
def test_no_policy_passes_the_bound_and_the_simulation_can_be_repeated() -> None:
    short = replace(SMALL, days=1.0, wander=0.0, jump=1e9)
    assert throughput(short, POLICIES["oracle"], 3) <= 1.1 * fluid_bound(short, 3)  # luck of a finite stream
    assert throughput(short, POLICIES["bullpen"], 4) == throughput(short, POLICIES["bullpen"], 4)
