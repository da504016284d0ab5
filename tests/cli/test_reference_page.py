"""The reference page says what the commands say."""

from pathlib import Path

import pytest

from bullpen.cli.main import COMMANDS
from bullpen.cli.reference import reference_page

ROOT = Path(__file__).parents[2]


@pytest.mark.req("DOC-01")
def test_the_reference_page_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "cli.md"
    assert page.read_text("utf-8") == reference_page(), "run: python -m bullpen.cli.reference"


def test_every_command_has_help_and_every_option_a_description() -> None:
    for name in COMMANDS.names():
        command = COMMANDS.load(name)
        assert command.help, name
        assert COMMANDS.summary(name).endswith("."), name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", ""), f"{name}: {parameter.name}"
