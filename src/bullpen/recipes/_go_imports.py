"""The import declarations of a Go file."""

import re
from collections.abc import Sequence

from ast_grep_py import SgNode

from bullpen.recipes._syntax import read, spliced


def import_names(root: SgNode) -> frozenset[str]:
    """The names under which packages are known in a file."""
    return frozenset(_name(spec) for spec in root.find_all(kind="import_spec"))


def _name(spec: SgNode) -> str:
    alias = spec.field("name")
    return alias.text() if alias else _path(spec).rpartition("/")[2]


def _path(spec: SgNode) -> str:
    path = spec.field("path")
    return path.text().strip('"`') if path else ""


def is_shadowed(root: SgNode, name: str) -> bool:
    """Whether a file uses a name otherwise than as a package of that path's last part."""
    for node in root.find_all(kind="identifier"):
        parent = node.parent()
        if node.text() == name and (
            parent is None or parent.kind() not in {"selector_expression", "qualified_type"}
        ):
            return True
    specs = root.find_all(kind="import_spec")
    return any(_name(spec) == name and _path(spec) not in {name, f"io/{name}"} for spec in specs)


def with_imports(text: str, add: Sequence[str], drop: Sequence[str]) -> str | None:
    """The text with packages of the standard library added and dropped; None where that is not plain."""
    root = read(text, "go")
    if root is None:
        return None
    specs = root.find_all(kind="import_spec")
    single = [one for one in specs if (above := one.parent()) and above.kind() == "import_declaration"]
    if not add and not drop:
        return text
    if len(specs) == len(single):
        return _from_single(root, text, specs, add, drop)
    if single or len(root.find_all(kind="import_declaration")) != 1:
        return None
    return _in_group(text, specs, add, drop)


def _from_single(
    root: SgNode, text: str, specs: Sequence[SgNode], add: Sequence[str], drop: Sequence[str]
) -> str | None:
    """One ``import "x"``: it becomes another one, or a group."""
    if len(specs) != 1 or specs[0].field("name") is not None or '"C"' in text:
        return None
    kept = sorted({_path(specs[0]), *add} - set(drop))
    declaration = root.find(kind="import_declaration")
    newline = "\r\n" if "\r\n" in text else "\n"
    if declaration is None or not kept:
        return None
    group = "".join(f'\t"{path}"{newline}' for path in kept)
    new = f'import "{kept[0]}"' if len(kept) == 1 else f"import ({newline}{group})"
    return spliced(text, [(declaration, new)])


def _in_group(text: str, specs: Sequence[SgNode], add: Sequence[str], drop: Sequence[str]) -> str | None:
    lines = text.splitlines(keepends=True)
    places = {spec.range().start.line: spec for spec in specs}
    if any(not re.fullmatch(r'\s*([\w.]+\s+)?"[^"]+"\s*(//.*)?', lines[number]) for number in places):
        return None
    standard = [number for number, spec in places.items() if "." not in _path(spec).partition("/")[0]]
    if add and not standard:
        return None
    dropped = {
        number for number, spec in places.items() if _path(spec) in drop and spec.field("name") is None
    }
    first = lines[min(places)]
    indent, ending = first[: len(first) - len(first.lstrip())], "\r\n" if first.endswith("\r\n") else "\n"
    added: dict[int, str] = {}
    for path in sorted(add):
        later = [number for number in standard if _path(places[number]) > path]
        number = min(later, default=max(standard) + 1)
        added[number] = added.get(number, "") + f'{indent}"{path}"{ending}'
    kept = [added.get(n, "") + ("" if n in dropped else line) for n, line in enumerate(lines)]
    return "".join(kept)
