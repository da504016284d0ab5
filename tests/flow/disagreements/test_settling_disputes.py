"""Findings that are at odds: which they are, who votes how, and what decides where a vote cannot tell."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen.analysis.base import Persona, Value
from bullpen.analysis.persona_cards import load_personas
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Concern, Finding, Place, Severity
from bullpen.domain.test_report import Coverage, FileCoverage
from bullpen.flow.consensus.base import Standing
from bullpen.flow.disagreements.base import EvidenceKind, load_contradictions
from bullpen.flow.disagreements.evidence import Ground
from bullpen.flow.disagreements.find import Dispute, find_disputes, may_disagree
from bullpen.flow.disagreements.settle import Basis, Ruling, settle
from bullpen.flow.disagreements.vote import electorate, hold_vote, position

pytestmark = pytest.mark.req("COL-03", "COL-04")
KNOWN = load_contradictions()
PERSONAS = load_personas()
SWALLOW = "try:\n    go()\nexcept Exception:\n    pass\n"
DEAD = "def f(x):\n    return x\n    y = '{}'.format(x)\n    return y\n\n\ndef g():\n    return 1\n"


def finding(rule: str, line: int, concern: Concern = Concern.MAINTAINABILITY, **more: object) -> Finding:
    analyser = rule.partition(":")[0].replace("ast-grep", "ast_grep")
    path, symbol = str(more.get("path", "a.py")), str(more.get("symbol", ""))
    return Finding(
        f"{rule}@{path}:{line}",
        rule,
        str(more.get("message", "Bad.")),
        Severity(int(str(more.get("severity", 0)))),
        concern,
        Place(path, line, end_line=int(str(more.get("last", line))), symbol=symbol),
        (analyser,),
    )


def texts(**files: str) -> Ground:
    return Ground(lambda path: files.get(path.removesuffix(".py"), ""))


def rule_all(findings: Sequence[Finding], ground: Ground, **more: object) -> list[Ruling]:
    return settle(findings, KNOWN, replace(Basis(PERSONAS, ground), **more))  # pyright: ignore[reportArgumentType]


SIM105 = finding("ruff:SIM105", 1, last=4)
S110 = finding("ruff:S110", 3, Concern.QA, severity=2)


def test_every_contradiction_is_read_and_names_rules_of_analysers_there_are() -> None:
    analysers = {"ruff", "vulture", "ast-grep", "import-cycles", "detect-secrets", "*"}
    assert len(KNOWN) >= 13
    for one in KNOWN:
        rules = [rule for card in one.sides.values() for rule in (*card.rules, *card.unless)]
        assert {rule.partition(":")[0] for rule in rules} <= analysers
        assert one.question.endswith("?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question: Why?\nsides: {a: {wants: x, rules: [r], serves: []}}\n", "has two sides"),
        (
            "question: Why?\nevidence: {run-by-a-test: c}\nsides: {a: {wants: x, rules: [r], serves: []}, b: {wants: y, rules: [s], serves: []}}\n",
            "speaks for 'c'",
        ),
        ("question: Why?\nsides: {a: {wants: x, rules: [r], serves: [fame]}, b: 1}\n", "serves"),
        ("a: [", "not YAML"),
    ],
)
def test_a_contradiction_that_makes_no_sense_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(InvalidInput, match="The contradiction odd cannot be used") as refused:
        load_contradictions(tmp_path)
    assert said in refused.value.sentence


def test_findings_meet_by_the_code_they_speak_of_and_not_by_their_line_alone() -> None:
    far = finding("ruff:SIM105", 10, last=13)
    (dispute,) = find_disputes([SIM105, S110, far], KNOWN, lambda _path: SWALLOW)
    assert dispute.subject == "swallowed-error at a.py:1"
    assert dispute.findings("handle") == (S110,)
    assert dispute.findings("suppress") == (SIM105,)
    assert not may_disagree([S110, finding("ruff:SIM105", 1, path="b.py")], KNOWN)


def test_a_file_without_both_sides_is_not_read() -> None:
    def unread(path: str) -> str:
        raise AssertionError(path)

    assert find_disputes([S110, finding("ruff:F401", 1)], KNOWN, unread) == []


def test_personas_vote_by_what_they_saw_and_what_they_care_for() -> None:
    (ruling,) = rule_all([SIM105, S110], texts(a=SWALLOW))
    assert (ruling.by, ruling.winner, ruling.lost) == ("vote", "handle", (SIM105,))
    assert ruling.reason == (
        "the error is named and handled, rather than that it is passed over with contextlib.suppress: "
        "3 of 4 personas are for it (operations, qa, security; against it: maintainability)"
    )
    assert ruling.decision
    assert ruling.decision.silent == ("documentation", "performance")


def test_a_better_record_can_turn_a_vote() -> None:
    weights = dict.fromkeys(("operations", "qa", "security"), 0.1) | {"maintainability": 0.95}
    (dispute,) = find_disputes([SIM105, S110], KNOWN, lambda _path: SWALLOW)
    assert hold_vote(dispute, PERSONAS, {}).decision.choice == "handle"
    three = [one for one in PERSONAS if one.name in ("maintainability", "qa", "operations")]
    decided = hold_vote(dispute, three, {"maintainability": 0.9, "qa": 0.2, "operations": 0.2}).decision
    assert decided.standing is Standing.DECIDED
    assert decided.choice == "handle", "nobody outweighs all others together"
    four = hold_vote(dispute, PERSONAS, {**weights, "qa": 0.3}).decision
    assert sum(four.tally.values()) == pytest.approx(1.4, abs=0.1)


def test_too_few_with_a_position_decide_nothing_and_code_after_a_jump_is_dead() -> None:
    dead, polish = finding("vulture:unreachable-code", 3, severity=1), finding("ruff:UP032", 3)
    alive = finding("ruff:UP032", 8)
    (ruling,) = rule_all([dead, polish, alive], texts(a=DEAD))
    assert (ruling.by, ruling.winner, ruling.lost) == ("evidence", "delete", (polish,))
    assert "a.py:3 always leaves the block" in ruling.reason


def test_code_that_a_test_runs_or_another_file_uses_is_not_dead() -> None:
    text = "def old(x):\n    return x\n"
    dead = finding("vulture:unused-function", 1, symbol="old", severity=1)
    gap = finding("test-gaps:never-run", 1, Concern.QA, symbol="old", severity=1)
    (asked,) = rule_all([dead, gap], texts(a=text))
    assert (asked.by, asked.winner, asked.lost) == ("person", "", ())
    assert "so a person decides" in asked.reason
    ran = Coverage({"a.py": FileCoverage(frozenset({1, 2}), frozenset())})
    (covered,) = rule_all([dead, gap], replace(texts(a=text), coverage=ran))
    assert (covered.by, covered.winner) == ("evidence", "improve")
    loaded = Coverage({"a.py": FileCoverage(frozenset({1}), frozenset({2}))})
    (unsure,) = rule_all([dead, gap], replace(texts(a=text), coverage=loaded))
    assert unsure.by == "person", "the line of a definition runs when its module is loaded"
    used = replace(texts(a=text, b="from a import old\n"), imports={"b.py": ["a.py"]})
    (imported,) = rule_all([dead, gap], used)
    assert imported.winner == "improve"
    assert "b.py imports it and names old" in imported.reason


def test_a_persons_word_and_what_is_under_way_come_before_any_vote() -> None:
    (word,) = rule_all([SIM105, S110], texts(a=SWALLOW), approved=lambda one: one.rule == "ruff:SIM105")
    assert (word.by, word.winner, word.decision) == ("person", "suppress", None)
    (both,) = rule_all([SIM105, S110], texts(a=SWALLOW), approved=lambda _one: True)
    assert both.by == "vote", "who says yes to both has not chosen"
    (begun,) = rule_all([SIM105, S110], texts(a=SWALLOW), under_way={SIM105.fingerprint})
    assert (begun.by, begun.winner) == ("rule", "suppress")


def test_what_lost_once_takes_part_in_nothing_further() -> None:
    loop = "for x in y:\n" + "".join(f"    {line}\n" for line in SWALLOW.splitlines())
    slow = finding("ruff:PERF203", 4, Concern.PERFORMANCE)
    short, quiet = (
        replace(SIM105, place=Place("a.py", 2, end_line=5)),
        finding("ruff:S110", 4, Concern.QA, severity=2),
    )
    rulings = rule_all([slow, short, quiet], texts(a=loop))
    assert {one.dispute.contradiction.name: one.lost for one in rulings} == {
        "swallowed-error": (short,),
        "try-in-a-loop": (slow,),
    }
    second = next(one for one in rulings if one.dispute.contradiction.name == "try-in-a-loop")
    assert short not in second.dispute.everything


@pytest.mark.parametrize(
    ("first", "then", "name", "text"),
    [
        (
            finding("ruff:F841", 3, message="Local variable `e` is assigned to but never used."),
            finding("ruff:B904", 4, Concern.QA),
            "caught-name",
            "try:\n    go()\nexcept KeyError as e:\n    raise ValueError\n",
        ),
        (
            finding("ruff:E731", 1),
            finding("ruff:PLW0108", 1, Concern.QA),
            "named-lambda",
            "f = lambda x: g(x)\n",
        ),
        (
            finding("import-cycles:load-time", 3, Concern.ARCHITECTURE),
            finding("ruff:E402", 3),
            "late-import",
            "x = 1\n\nimport b\n",
        ),
        (
            finding("ruff:S608", 1, Concern.SECURITY, severity=3),
            finding("ruff:UP031", 1),
            "query-text",
            "q = 'select %s' % x\n",
        ),
        (
            finding("ruff:F811", 5, Concern.QA, message="Redefinition of unused `f` from line 1."),
            finding("test-gaps:never-run", 1, Concern.QA, symbol="f"),
            "redefined-code",
            "def f():\n    return 1\n\n\ndef f():\n    return 2\n",
        ),
        (
            finding("ruff:PT015", 2, Concern.QA, path="test_a.py"),
            finding("ruff:B011", 2, Concern.QA, path="test_a.py"),
            "failing-on-purpose",
            "def test():\n    assert False\n",
        ),
        (
            finding("vulture:unused-variable", 1, symbol="f", message="Unused variable 'x'."),
            finding(
                "ruff:D417", 1, Concern.DOCUMENTATION, symbol="f", message="Missing description for `f`: `x`."
            ),
            "unused-parameter",
            'def f(x):\n    """Go."""\n',
        ),
        (
            finding("ruff:F841", 2, path="test_a.py"),
            finding("ast-grep:py-test-without-assertion", 1, Concern.QA, path="test_a.py", symbol="test"),
            "result-in-a-test",
            "def test():\n    x = go()\n",
        ),
    ],
)
def test_what_meets_in_real_repositories_is_found(
    first: Finding, then: Finding, name: str, text: str
) -> None:
    found = find_disputes([then, first], KNOWN, lambda _path: text)
    assert [one.contradiction.name for one in found] == [name]
    assert set(found[0].everything) == {first, then}


RULES = sorted(
    {rule for one in KNOWN for card in one.sides.values() for rule in card.rules if "*" not in rule}
)


@st.composite
def drawn_findings(draw: st.DrawFn) -> list[Finding]:
    found = [
        finding(
            draw(st.sampled_from(RULES)),
            line := draw(st.integers(1, 8)),
            draw(st.sampled_from(list(Concern))),
            severity=draw(st.integers(0, 4)),
            last=line + draw(st.integers(0, 3)),
            symbol=draw(st.sampled_from(["", "f", "g"])),
        )
        for _ in range(draw(st.integers(0, 14)))
    ]
    return list({one.fingerprint: one for one in found}.values())


@settings(deadline=None)
@given(
    drawn_findings(), st.randoms(use_true_random=False), st.sampled_from([DEAD, SWALLOW, "no python (", ""])
)
def test_rulings_do_not_depend_on_the_order_and_leave_no_two_sides(
    found: list[Finding], random: "st.random.Random", text: str
) -> None:
    rulings = rule_all(found, texts(a=text))
    shuffled = list(found)
    random.shuffle(shuffled)
    assert rule_all(shuffled, texts(a=text)) == rulings
    lost = {one.fingerprint for ruling in rulings for one in ruling.lost}
    undecided = {
        one.fingerprint for ruling in rulings if not ruling.winner for one in ruling.dispute.everything
    }
    for dispute in find_disputes(found, KNOWN, lambda _path: text):
        standing = [
            [one for one in dispute.findings(side) if one.fingerprint not in lost | undecided]
            for side in dispute.sides
        ]
        assert not all(standing), dispute.subject
    assert all(ruling.reason for ruling in rulings)


@given(drawn_findings())
def test_a_vote_counts_only_who_listens_and_each_once(found: list[Finding]) -> None:
    for dispute in find_disputes(found, KNOWN, lambda _path: DEAD):
        vote = hold_vote(dispute, PERSONAS, {})
        voters = [one.name for one in electorate(dispute, PERSONAS)]
        assert list(vote.ballots) == [name for name in voters if name in vote.ballots]
        assert hold_vote(dispute, list(reversed(PERSONAS)), {}) == vote
        assert vote.decision.choice in ("", *dispute.sides)


VALUES = st.lists(st.sampled_from(list(Value)), unique=True, max_size=8)


@given(VALUES, st.integers(0, 4))
def test_who_sees_and_values_nothing_of_it_has_no_position(values: list[Value], severity: int) -> None:
    dispute = _plain_dispute(severity)
    serves = {one for card in dispute.contradiction.sides.values() for one in card.serves}
    stranger = Persona("x", "X", "accessibility", ("ruff",), {}, "", tuple(values))
    assert bool(position(stranger, dispute)) <= bool(serves & set(values))


def _plain_dispute(severity: int) -> Dispute:
    loud = replace(S110, severity=Severity(severity))
    (dispute,) = find_disputes([SIM105, loud], KNOWN, lambda _path: SWALLOW)
    return dispute


def test_evidence_is_only_asked_for_sides_there_are() -> None:
    evidence: Mapping[EvidenceKind, str] = {
        kind: side for one in KNOWN for kind, side in one.evidence.items()
    }
    assert set(evidence) == set(EvidenceKind)
