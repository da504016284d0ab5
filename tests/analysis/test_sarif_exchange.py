"""SARIF out and in, and baselines."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.analysis.baseline import baseline_states, new_since, read_baseline
from bullpen.analysis.sarif import Suppression, read_findings, read_sarif, to_sarif
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Concern, Finding, Place, Severity

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
names = st.binary(min_size=1, max_size=12).map(lambda raw: raw.replace(b"\0", b"x").replace(b"/", b"x"))
paths = (
    st.lists(names.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=3)
    .map(b"/".join)
    .map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
places = st.builds(
    Place, paths, st.integers(1, 9999), st.integers(1, 500), st.integers(0, 99), st.integers(0, 99), words
)
findings = st.builds(
    Finding,
    words.map("fnd-{}".format),
    words.map("ruff:{}".format),
    words,
    st.sampled_from(Severity),
    st.sampled_from(Concern),
    places,
    st.lists(words, min_size=1, max_size=2).map(tuple),
    st.lists(words, max_size=2).map(tuple),
    words,
    words,
)


def one(rule="ruff:S506", path="a.py", line=3, symbol="f", snippet="yaml.load(x)", number=0) -> Finding:
    place = Place(path, line, 5, symbol=symbol)
    return Finding(
        f"fnd-{number:04}",
        rule,
        "Unsafe.",
        Severity.HIGH,
        Concern.SECURITY,
        place,
        ("ruff",),
        snippet=snippet,
    )


@pytest.mark.req("ROA-04")
@given(st.lists(findings, max_size=5))
def test_findings_come_back_as_they_went(written):
    read = read_findings(to_sarif(written, "1.0"))
    assert read == written
    assert [each.snippet for each in read] == [each.snippet for each in written]


@pytest.mark.req("ROA-04")
@given(st.lists(findings, max_size=5))
def test_the_log_has_the_shape_the_standard_asks_for(written):
    log = json.loads(to_sarif(written, "1.0", failures=["shell: gone"]))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert run["invocations"][0]["executionSuccessful"] is False
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        physical = result["locations"][0]["physicalLocation"]
        assert physical["artifactLocation"]["uri"].isascii()
        assert not physical["artifactLocation"]["uri"].startswith("/")
        assert all(value >= 1 for key, value in physical["region"].items() if key != "snippet")


@pytest.mark.req("ROA-04")
def test_states_and_suppressions_are_written_and_suppressed_results_are_not_read():
    kept, quiet = one(number=1), one(number=2, line=9)
    log = to_sarif(
        [kept, quiet],
        "1.0",
        states={kept.fingerprint: "unchanged"},
        suppressions={quiet.fingerprint: Suppression("external", "accepted risk")},
    )
    results = json.loads(log)["runs"][0]["results"]
    assert results[0]["baselineState"] == "unchanged"
    assert results[1]["suppressions"] == [{"kind": "external", "justification": "accepted risk"}]
    assert [each.place.line for each in read_sarif(log)] == [3]


def foreign(**result: object) -> bytes:
    location = {"physicalLocation": {"artifactLocation": {"uri": "src/a%20b.c"}, "region": {"startLine": 7}}}
    entry = {"ruleId": "X1", "message": {"text": "bad"}, "locations": [location], **result}
    rules = [{"id": "X1", "helpUri": "https://example.org", "defaultConfiguration": {"level": "error"}}]
    driver = {"name": "Some Tool", "rules": rules}
    return json.dumps(
        {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": [entry]}]}
    ).encode()


@pytest.mark.req("ROA-04")
def test_another_tools_log_is_read():
    (seen,) = read_sarif(b"\xef\xbb\xbf" + foreign())
    assert (seen.rule, seen.analyser, str(seen.place)) == ("some-tool:X1", "some-tool", "src/a b.c:7")
    assert (seen.severity, seen.url, seen.message) == (Severity.HIGH, "https://example.org", "bad")
    assert read_sarif(foreign(level="note"))[0].severity is Severity.LOW
    assert read_sarif(foreign(kind="pass")) == []
    assert read_sarif(foreign(baselineState="absent")) == []
    assert read_sarif(foreign(locations=[])) == []


def at(uri: str) -> bytes:
    return foreign(locations=[{"physicalLocation": {"artifactLocation": {"uri": uri}}}])


def test_absolute_paths_need_the_root_they_start_from():
    assert read_sarif(at("file:///home/x/repo/a.c"), Path("/home/x/repo"))[0].place.path == "a.c"
    with pytest.raises(InvalidInput, match=r"runs\[0\]\.results\[0\].*not in the tree"):
        read_sarif(at("file:///etc/passwd"), Path("/home/x/repo"))


@pytest.mark.parametrize(
    "uri", ["../x", "a/%2e%2e/%2e%2e/x", "/etc/passwd", "https://example.org/x", "a%00b", ""]
)
def test_a_result_outside_the_tree_is_refused(uri):
    with pytest.raises(InvalidInput, match=r"runs\[0\]\.results\[0\]"):
        read_sarif(at(uri))


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "its top"),
        (b'{"version": "2.0.0", "runs": []}', "version"),
        (b'{"version": "2.1.0", "runs": [{}]}', r"runs\[0\]\.tool"),
        (foreign(level="awful"), r"runs\[0\]\.results\[0\]\.level"),
    ],
)
def test_a_log_that_is_wrong_is_refused_with_the_place(raw, what):
    with pytest.raises(InvalidInput, match=what):
        read_sarif(raw)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(raw):
    for read in (read_sarif, read_baseline):
        with suppress(InvalidInput):
            read(raw)


@pytest.mark.req("ROA-04")
def test_only_what_is_new_since_a_baseline_counts():
    old = [one(number=1), one("ruff:F401", line=1, symbol="", snippet="os", number=2)]
    moved = replace(old[0], fingerprint="fnd-9999", place=Place("a.py", 40, 5, symbol="f"))
    fresh = one("ruff:B006", line=8, snippet="def g(a=[])", number=3)
    by_log = read_baseline(to_sarif(old, "1.0"))
    assert new_since(by_log, [moved, fresh]) == [fresh]
    by_list = read_baseline(b"# known\nfnd-0001\n\nfnd-0002  # later\n")
    assert new_since(by_list, [old[0], fresh]) == [fresh]
    assert baseline_states(by_list, [old[0], fresh]) == {"fnd-0001": "unchanged", "fnd-0003": "new"}


def test_a_baseline_with_something_else_in_it_is_refused():
    with pytest.raises(InvalidInput, match="Line 2"):
        read_baseline(b"fnd-0001\nwhat is this\n")
