"""A package's tables are imported only by its own queries and actions (and by its migrations' metadata)."""

import ast
from collections.abc import Iterator
from pathlib import Path

ALLOWED = ("queries", "actions", "tables")


def table_imports(module: str, source: str) -> Iterator[str]:
    """Lines of a module (``bullpen.work.tree``) that import tables they may not."""
    for node in ast.walk(ast.parse(source)):
        for imported in _imported(node):
            if _is_foreign(module, imported):
                yield f"{module}:{getattr(node, 'lineno', 0)} imports {imported}"


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name == "tables")


def _is_foreign(module: str, imported: str) -> bool:
    parts = imported.split(".")
    if "tables" not in parts or parts[0] != "bullpen":
        return False
    owner = parts[: parts.index("tables")]
    own = module.split(".")
    return own[: len(owner)] != owner or not may_use(own[len(owner) :])


def may_use(rest: list[str]) -> bool:
    """Whether a module, named below its package, may use the package's tables."""
    return bool(rest) and rest[0] in ALLOWED


def modules(root: Path) -> Iterator[tuple[str, str]]:
    """Every module below ``src`` with its text."""
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), file.read_text("utf-8")
