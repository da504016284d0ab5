"""The lint for tables, on the source and on itself."""

from pathlib import Path

import pytest
from tests.lints.tables_are_private import modules, table_imports

import bullpen

ROOT = Path(bullpen.__file__).parent.parent
# Moving a session to another machine means all its rows, whichever package owns them: it reads them by the metadata.
# The scratchpad is queries and actions in one file.
# So is the event log, and a backend of the bus.
EXCEPTIONS = (
    "bullpen.sessions.transfer",
    "bullpen.sessions.scratchpad",
    "bullpen.kernel.bus.log",
    "bullpen.kernel.bus.backends.database",
)


def test_no_package_reaches_into_anothers_tables() -> None:
    found = [
        line
        for module, source in modules(ROOT)
        if module not in EXCEPTIONS
        for line in table_imports(module, source)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bullpen.flow.start", "from bullpen.work import tables"),
        ("bullpen.flow.start", "from bullpen.work.tables import task"),
        ("bullpen.flow.start", "import bullpen.work.tables"),
        ("bullpen.flow.start", "def f():\n    from bullpen.sessions.tables import session"),
        ("bullpen.work.tree", "from bullpen.work import tables"),
        ("bullpen.kernel.clock", "from bullpen.kernel.bus import tables"),
    ],
)
def test_it_sees(module: str, source: str) -> None:
    assert list(table_imports(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bullpen.work.queries", "from bullpen.work import tables"),
        ("bullpen.work.actions.items", "from bullpen.work.tables import task"),
        ("bullpen.flow.start", "from bullpen.work.queries import list_items"),
        ("bullpen.flow.start", "from rich import tables"),
    ],
)
def test_it_lets_pass(module: str, source: str) -> None:
    assert list(table_imports(module, source)) == []
