"""What every job of an automation must do: know its shape, refuse another one, and say whether it can be held to a budget."""

import pytest
import yaml
from pydantic import BaseModel

from bullpen.flow.automation.check import faults_of
from bullpen.flow.automation.jobs.base import JOBS, Job
from bullpen.flow.definitions.model import Source

pytestmark = pytest.mark.req("SES-07")
EXAMPLES: dict[str, dict[str, object]] = {
    "improve": {"goal": "g", "only": ["security"], "max": 3},
    "pipeline": {"jobs": ["test"], "own": True},
    "roast": {"fail_over": 0},
    "team": {"folder": "team"},
    "workflow": {"name": "default", "params": {"goal": "g"}},
}
every_job = pytest.mark.parametrize("name", JOBS.names())


def faults(name: str, given: object, **limits: object) -> list[str]:
    text = yaml.safe_dump({"name": "x", "on": {"manual": {}}, "do": {name: given}, "limits": limits})
    return [one.sentence for one in faults_of(Source("x", "x.yaml", text), in_repository=True)]


@every_job
def test_it_is_a_job_with_strict_inputs(name: str) -> None:
    job = JOBS.load(name)
    assert isinstance(job, Job)
    assert issubclass(job.inputs, BaseModel)
    assert job.inputs.model_config.get("extra") == "forbid"
    assert job.inputs.__doc__
    assert JOBS.summary(name)


@every_job
def test_its_example_is_sound_and_an_unknown_input_is_not(name: str) -> None:
    assert faults(name, EXAMPLES[name]) == []
    assert [one for one in faults(name, {**EXAMPLES[name], "nonsense": 1}) if "'nonsense'" in one]


@every_job
def test_a_budget_is_refused_where_it_cannot_be_held_to(name: str) -> None:
    assert bool(faults(name, EXAMPLES[name], budget="1")) is not JOBS.load(name).spends


@every_job
@pytest.mark.parametrize("more", ["repo", "source", "network", "approve", "session_id", "budget"])
def test_no_file_can_say_where_it_runs_or_allow_itself_more(name: str, more: str) -> None:
    assert [
        one for one in faults(name, {**EXAMPLES[name], more: "x"}) if f"{more!r} is not known here" in one
    ]
