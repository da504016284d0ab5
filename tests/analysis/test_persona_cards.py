"""Personas: cards that read, and sentences that inform."""

import pytest

from bullpen.analysis.persona_cards import choose_personas, load_personas, read_card, remarks, speak
from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.finding import Concern, Finding, Place, Severity

CARD = """---
name: x
title: X
concern: qa
analysers: [ruff]
voice:
  default: "Look: $fault, $where."
---
Text for a model.
"""


def finding(rule="ruff:F821", severity=Severity.HIGH, symbol="f", message="Undefined name `a`."):
    return Finding("fnd-1", rule, message, severity, Concern.QA, Place("m.py", 3, symbol=symbol))


@pytest.mark.req("ROA-01")
def test_the_cards_that_come_with_the_package_cover_every_concern():
    personas = load_personas()
    assert {persona.name for persona in personas} == {concern.value for concern in Concern}
    assert all(persona.name == persona.concern for persona in personas)
    assert all(persona.analysers and persona.instructions for persona in personas)


@pytest.mark.req("ROA-01")
@pytest.mark.parametrize("persona", load_personas(), ids=lambda persona: persona.name)
@pytest.mark.parametrize("severity", list(Severity))
def test_a_sentence_names_fault_and_place(persona, severity):
    sentence = speak(persona, finding(severity=severity))
    assert "Undefined name `a`" in sentence
    assert "in f (m.py:3)" in sentence
    assert sentence.endswith(".")
    assert "$" not in sentence


def test_the_longest_matching_rule_decides_the_words():
    card = CARD.replace(
        "---\nText", '  "ruff:F": "F: $fault."\n  "ruff:F8": "F8: $fault."\n  high: "H: $fault."\n---\nText'
    )
    persona = read_card("x.md", card)
    assert speak(persona, finding()) == "F8: Undefined name `a`."
    assert speak(persona, finding("ruff:F401")) == "F: Undefined name `a`."
    assert speak(persona, finding("ruff:B006")) == "H: Undefined name `a`."
    assert speak(persona, finding("ruff:B006", Severity.LOW)) == "Look: Undefined name `a`, in f (m.py:3)."


def test_a_message_is_never_taken_for_a_template():
    assert "$where" in speak(read_card("x.md", CARD), finding(message="strange $where {x}"))


@pytest.mark.req("ROA-01")
def test_each_finding_is_said_by_the_persona_of_its_concern():
    said = remarks(load_personas(), [finding()])
    assert [remark.persona for remark in said] == ["qa"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda card: card.replace("---\nname", "name"), "front matter"),
        (lambda card: card.replace("concern: qa", "concern: qua"), "concern"),
        (lambda card: card.replace("$where", "$here"), "unknown words here"),
        (lambda card: card.replace("default", "high"), "default"),
        (lambda card: card.replace("name: x", "name: y"), "'y'"),
        (lambda card: card.replace("title: X", "title: [X"), "not YAML"),
        (lambda card: card.replace("title: X", "titel: X"), "titel|title"),
        (lambda card: card.replace("$fault", "$ fault"), "not a template"),
    ],
)
def test_a_card_with_a_mistake_is_refused_with_the_place(change, what):
    with pytest.raises(InvalidInput, match=what) as caught:
        read_card("x.md", change(CARD))
    assert "x.md" in str(caught.value)


def test_an_unknown_persona_is_refused_with_those_there_are():
    with pytest.raises(NotFound, match="security"):
        choose_personas(["nobody"], load_personas())
