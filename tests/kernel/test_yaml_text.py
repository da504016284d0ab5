"""YAML of strangers ends in data or in an error, never in the end of the process."""

import pytest
import yaml

from bullpen.kernel.yaml_text import DEEPEST, read_yaml


@pytest.mark.req("IMP-05")
@pytest.mark.parametrize("opened", ["[", "{a: ", "- ", "? "])
def test_what_is_nested_too_deep_is_refused_with_its_place(opened: str) -> None:
    with pytest.raises(yaml.YAMLError, match=f"nested deeper than {DEEPEST} levels") as refused:
        read_yaml("first: 1\nsecond:\n  " + opened * 100_000)
    assert "line 3" in str(refused.value)


def test_what_people_nest_is_read() -> None:
    text = "[" * DEEPEST + "]" * DEEPEST
    data = read_yaml(text)
    for _level in range(DEEPEST - 1):
        (data,) = data
    assert data == []
