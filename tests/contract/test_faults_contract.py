"""What faults of every language promise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen.codegraph.faults.base import FAULTS, Faults, faults_of

ALL = [pytest.param(FAULTS.load(name), name, id=name) for name in FAULTS.names()]
# One small program, said in each language: a comment, a comparison with a result, a sum, a call, a flag.
SAMPLES = {
    "python": "# how dear\ndef dear(price):\n    if price > 5:\n        log(price)\n        return True\n    return price - 1\n",
    "javascript": "// how dear\nfunction dear(price) {\n    if (price > 5) {\n        log(price);\n        return true; }\n    return price - 1; }\n",
    "go": "// how dear\nfunc dear(price int) bool {\n    if price > 5 {\n        log(price)\n        return true }\n    return price - 1 == 0 }\n",
}


@pytest.mark.req("IMP-10")
@pytest.mark.parametrize(("faults", "name"), ALL)
def test_every_kind_of_line_gets_a_fault_of_its_own(faults: Faults, name: str) -> None:
    found = faults.put(SAMPLES[name], faults.suffixes[0], range(1, 7), 100)
    assert found is not None
    assert {one.line for one in found} == {3, 4, 5, 6}
    told = " | ".join(one.what for one in found)
    assert "5 became" in told or "(5 + 1)" in told or "6" in told
    before = SAMPLES[name].splitlines()
    for one in found:
        after = one.source.splitlines()
        assert [n for n, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]] == [
            one.line
        ]
    assert len({one.source for one in found}) == len(found)


@pytest.mark.parametrize(("faults", "name"), ALL)
def test_remarks_hold_nothing_that_runs(faults: Faults, name: str) -> None:
    assert faults.put(SAMPLES[name], faults.suffixes[0], [1], 100) == ()


@pytest.mark.parametrize(("faults", "name"), ALL)
def test_few_are_spread_over_the_lines(faults: Faults, name: str) -> None:
    found = faults.put(SAMPLES[name], faults.suffixes[0], range(1, 7), 4)
    assert found is not None
    assert [one.line for one in found] == [3, 4, 5, 6]


@pytest.mark.parametrize(("faults", "name"), ALL)
def test_the_function_around_a_line_is_told(faults: Faults, name: str) -> None:
    assert faults.around(SAMPLES[name], faults.suffixes[0], 4) == range(2, 7)
    assert faults.around(SAMPLES[name], faults.suffixes[0], 1) == range(1, 2)


@pytest.mark.parametrize(("faults", "name"), ALL)
def test_what_cannot_be_read_is_not_taken_for_idle(faults: Faults, name: str) -> None:
    assert faults.put("if ((( {{{ ]]] = = =\n", faults.suffixes[0], [1], 100) is None


@pytest.mark.parametrize(("faults", "name"), ALL)
@given(extra=st.text(max_size=40), lines=st.sets(st.integers(-2, 20)))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_or_left(faults: Faults, name: str, extra: str, lines: set[int]) -> None:
    source = f"{SAMPLES[name]}{extra}\udcff"
    for one in faults.put(source, faults.suffixes[0], lines, 20) or ():
        assert one.line in lines
        assert one.source != source


def test_a_suffix_belongs_to_one_language() -> None:
    every = [suffix for name in FAULTS.names() for suffix in FAULTS.load(name).suffixes]
    assert len(every) == len(set(every))
    assert faults_of("a/b.TSX") is FAULTS.load("javascript")
    assert faults_of("run.sh") is None
