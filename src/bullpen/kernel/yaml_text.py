"""Reading YAML: plain data only, by libyaml where it is there (ten times as fast)."""

from typing import Any, cast

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 100  # libyaml composes by recursion: a hundred thousand brackets would end the process


def read_yaml(text: str) -> Any:
    """The data of one document; ``yaml.YAMLError`` as PyYAML raises it, also where it is nested too deep."""
    _require_shallow(text)
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both loaders build plain data only


def _require_shallow(text: str) -> None:
    """Parsing alone recurses nowhere, and it is ended at once where it gets too deep."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                problem = f"nested deeper than {DEEPEST} levels"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=cast("Any", event.start_mark))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
