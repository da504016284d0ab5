"""The page of analysers and personas names each that is there, and no other."""

import re
from pathlib import Path

import pytest

from bullpen.analysis.persona_cards import load_personas
from bullpen.analysis.roast import ANALYSERS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "analysers.md"


@pytest.mark.req("ROA-01", "ROA-02")
def test_every_analyser_and_persona_has_its_row():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    personas = {persona.name for persona in load_personas()}
    built_in = {
        name for name in ANALYSERS.names() if type(ANALYSERS.load(name)).__module__.startswith("bullpen.")
    }
    assert sorted(rows) == sorted([*built_in, *personas])


def test_every_analyser_is_listened_to_by_a_persona_and_none_is_made_up():
    listened = {name for persona in load_personas() for name in persona.analysers}
    assert listened == set(ANALYSERS.names())
