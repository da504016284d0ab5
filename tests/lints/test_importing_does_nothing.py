"""The lint for what happens on import, on the source and on itself."""

from pathlib import Path

import pytest
from tests.lints.importing_does_nothing import side_effects
from tests.lints.tables_are_private import modules

import bullpen

ROOT = Path(bullpen.__file__).parent.parent
RUN_BY_OTHERS = ("bullpen.kernel.storage.migrations.", ".inside.")  # scripts that another program runs


def test_importing_a_module_only_defines_names() -> None:
    found = {
        module: list(side_effects(source))
        for module, source in modules(ROOT)
        if not any(part in module for part in RUN_BY_OTHERS)
    }
    assert {module: lines for module, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "import os\nos.makedirs('x')",
        "for a in b: pass",
        "with open('x') as f: x = f.read()",
        "x = open('x').read()",
        "import os\nHOME = os.environ['HOME']",
        "try:\n    connect()\nexcept E: pass",
        "if x:\n    run()",
        "import sys\nsys.path += ['x']",
    ],
)
def test_it_sees(source: str) -> None:
    assert list(side_effects(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""Words."""\nimport os\nX = 1\nY: int = f(2)\ndef f(): print(1)\nclass A: x = 1',
        "if TYPE_CHECKING:\n    import x",
        "if __name__ == '__main__':\n    main()",
        "try:\n    import x\nexcept ImportError:\n    x = None",
        "f = lambda: open('x')",
    ],
)
def test_it_lets_pass(source: str) -> None:
    assert list(side_effects(source)) == []
