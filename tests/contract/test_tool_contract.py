"""What every tool of every family promises."""

import inspect

import jsonschema
import pytest

from bullpen.domain.errors import InvalidInput
from bullpen.tools.base import Risk, Tool
from bullpen.tools.toolbox import FAMILIES, every_tool

TOOLS = sorted(every_tool().items())


@pytest.mark.req("TOL-01")
@pytest.mark.parametrize(("name", "one"), TOOLS)
class TestTool:
    def test_is_an_async_function_with_its_own_name(self, name: str, one: Tool) -> None:
        assert inspect.iscoroutinefunction(one.function)
        assert one.name == name == one.spec.name
        assert isinstance(one.risk, Risk)

    def test_is_described_with_every_parameter(self, name: str, one: Tool) -> None:
        assert one.spec.description
        undescribed = [
            key for key, value in one.spec.schema["properties"].items() if "description" not in value
        ]
        assert undescribed == []

    def test_has_a_valid_closed_schema(self, name: str, one: Tool) -> None:
        jsonschema.Draft202012Validator.check_schema(one.spec.schema)
        assert one.spec.schema["additionalProperties"] is False

    def test_refuses_what_it_does_not_know(self, name: str, one: Tool) -> None:
        with pytest.raises(InvalidInput, match="surprise"):
            one.parse('{"surprise": 1}')


@pytest.mark.parametrize("family", FAMILIES.names())
def test_a_family_has_tools(family: str) -> None:
    assert all(isinstance(one, Tool) for one in FAMILIES.load(family))
    assert FAMILIES.load(family)


def test_one_tool_ends_a_run() -> None:
    assert [name for name, one in TOOLS if one.ends] == ["finish"]
