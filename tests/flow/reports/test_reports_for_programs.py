"""SARIF and JSON reports can be read by programs, and tell the same numbers."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

from bullpen.analysis.sarif import read_findings
from bullpen.flow.reports.formats import json as as_json
from bullpen.flow.reports.formats import sarif

pytestmark = pytest.mark.req("IMP-03")


def test_sarif_holds_before_and_after(made: SimpleNamespace) -> None:
    report = made.run_report()
    log = json.loads(sarif.FORMAT.render(report))
    states = Counter(result["baselineState"] for result in log["runs"][0]["results"])
    assert states == {"new": 1, "unchanged": 9, "absent": 3}
    before = [one for one in log["runs"][0]["results"] if one["baselineState"] != "new"]
    prints = {one["partialFingerprints"]["bullpen/v1"] for one in before}
    assert prints == {one.fingerprint for one in report.before}


def test_sarif_can_be_read_back_as_the_findings_that_are_left(made: SimpleNamespace) -> None:
    report = made.run_report(made.HOSTILE)
    read = read_findings(sarif.FORMAT.render(report))
    assert [one.fingerprint for one in read] == [one.fingerprint for one in report.after]


def test_sarif_names_analysers_that_did_not_finish(made: SimpleNamespace) -> None:
    (run,) = json.loads(sarif.FORMAT.render(made.run_report("bandit: timed out")))["runs"]
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "bandit: timed out"


@pytest.mark.parametrize("text", ["CALM", "HOSTILE"])
def test_json_keeps_to_its_schema(made: SimpleNamespace, text: str) -> None:
    schema = as_json.schema()
    Draft202012Validator.check_schema(schema)
    document = json.loads(as_json.FORMAT.render(made.run_report(getattr(made, text))))
    Draft202012Validator({**schema, "additionalProperties": False}).validate(document)


def test_json_adds_up(made: SimpleNamespace) -> None:
    document = json.loads(as_json.FORMAT.render(made.run_report()))
    assert document["version"] == 1
    assert sum(document["counts"].values()) == len(document["items"]) == 16
    assert len(document["branch"]["commits"]) == document["counts"]["landed"] == 3
    found = document["findings"]
    assert len(found["before"]) - len(found["gone"]) + len(found["new"]) == len(found["after"])
    assert document["cost_micro_usd"] == 1_250_000
