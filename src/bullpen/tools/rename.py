"""Rename what a Python module defines at its top level, where scopes and imports prove that a name means it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import cast

import libcst as cst
from libcst import matchers
from libcst.helpers import get_absolute_module_for_import, get_full_name_for_node
from libcst.metadata import (
    Access,
    Assignment,
    BaseAssignment,
    ByteSpanPositionProvider,
    GlobalScope,
    MetadataWrapper,
    QualifiedName,
    QualifiedNameProvider,
    QualifiedNameSource,
    Scope,
    ScopeProvider,
)

from bullpen.domain.change import FileChange
from bullpen.domain.errors import Conflict, InvalidInput, NotFound


def rename_in_tree(sources: Mapping[str, bytes], path: str, old: str, new: str) -> list[FileChange]:
    """The changes that rename ``old``, defined at the top level of ``path``.

    Raises:
        NotFound: it is not defined there.
        Conflict: ``new`` is already a name where it would be used.
        InvalidInput: a file is not Python.
    """
    changes: list[FileChange] = []
    modules = _module_names(path)
    for one, source in sources.items():
        after = _own(one, source, old, new) if one == path else _other(one, source, modules, old, new)
        if after != source:
            changes.append(FileChange(one, source, after))
    return changes


def _module_names(path: str) -> frozenset[str]:
    """Names the module may be imported by: with and without the folders it may lie in."""
    parts = PurePosixPath(path).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    inner = parts[parts.index("src") + 1 :] if "src" in parts else parts
    return frozenset({".".join(parts), ".".join(inner)} - {""})


def _parsed(path: str, source: bytes) -> MetadataWrapper:
    try:
        return MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    except (cst.ParserSyntaxError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path!r} cannot be read as Python.") from error


def _own(path: str, source: bytes, old: str, new: str) -> bytes:
    wrapper = _parsed(path, source)
    scope = next(
        (scope for scope in wrapper.resolve(ScopeProvider).values() if isinstance(scope, GlobalScope)), None
    )
    assignments = [one for one in (scope[old] if scope else ()) if isinstance(one, Assignment)]
    if scope is None or not assignments:
        raise NotFound(f"{old!r} is not defined at the top level of {path!r}.")
    _require_free(path, new, [scope, *_scopes(assignments)])
    names = [name for one in assignments for name in (_defined(one), *map(_used, one.references))]
    return _spliced(wrapper, source, [*names, *_exported(wrapper.module, old)], old, new)


def _other(path: str, source: bytes, modules: frozenset[str], old: str, new: str) -> bytes:
    wrapper = _parsed(path, source)
    imports = list(_imported(wrapper.module, _here(path), modules, old))
    imported = [alias for _, alias in imports]
    wanted = {f"{module}.{old}" for module in modules} | {name for name, _ in imports}
    found = [
        _last(node)
        for node, names in wrapper.resolve(QualifiedNameProvider).items()
        if any(
            name.source is QualifiedNameSource.IMPORT and name.name in wanted for name in _evaluated(names)
        )
    ]
    if any(alias.asname is None for alias in imported):
        scopes = {scope for scope in wrapper.resolve(ScopeProvider).values() if scope is not None}
        _require_free(path, new, list(scopes))
    return _spliced(wrapper, source, [*found, *(alias.name for alias in imported)], old, new)


def _evaluated(names: object) -> Collection[QualifiedName]:
    """The provider may hand out a set or a function that makes it."""
    return cast("Collection[QualifiedName]", names() if callable(names) else names)


def _spliced(
    wrapper: MetadataWrapper, source: bytes, nodes: Iterable[cst.CSTNode], old: str, new: str
) -> bytes:
    """The source with ``old`` at each of these nodes replaced; nodes that are spelled otherwise are left."""
    spans = wrapper.resolve(ByteSpanPositionProvider)
    places = sorted({spans[node].start for node in nodes if node in spans}, reverse=True)
    sought = old.encode()
    for start in places:
        begin = start + 1 if source[start : start + 1] in (b"'", b'"') else start
        if source.startswith(sought, begin):
            source = source[:begin] + new.encode() + source[begin + len(sought) :]
    return source


def _exported(module: cst.Module, old: str) -> Iterator[cst.CSTNode]:
    """The entry in ``__all__``."""
    for assign in matchers.findall(module, matchers.Assign()):
        targets = [one.target for one in cst.ensure_type(assign, cst.Assign).targets]
        if any(isinstance(one, cst.Name) and one.value == "__all__" for one in targets):
            yield from (
                text
                for text in matchers.findall(assign, matchers.SimpleString())
                if cst.ensure_type(text, cst.SimpleString).evaluated_value == old
            )


def _require_free(path: str, new: str, scopes: Sequence[Scope]) -> None:
    if any(any(isinstance(one, Assignment) for one in scope[new]) for scope in scopes):
        raise Conflict(f"{new!r} is already a name in {path!r}.", remedy="Choose another name.")


def _scopes(assignments: Sequence[BaseAssignment]) -> list[Scope]:
    return [access.scope for one in assignments for access in one.references]


def _defined(assignment: Assignment) -> cst.CSTNode:
    node = assignment.node
    return node.name if isinstance(node, cst.FunctionDef | cst.ClassDef) else node


def _used(access: Access) -> cst.CSTNode:
    node = access.node
    while isinstance(node, cst.Attribute):
        node = node.value
    return node


def _last(node: cst.CSTNode) -> cst.CSTNode:
    return node.attr if isinstance(node, cst.Attribute) else node


def _here(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[parts.index("src") + 1 :] if "src" in parts else parts)


def _imported(
    module: cst.Module, here: str, modules: frozenset[str], old: str
) -> Iterator[tuple[str, cst.ImportAlias]]:
    """(the name as it is qualified there, the alias) of ``from module import old``, wherever it stands."""
    for node in matchers.findall(module, matchers.ImportFrom()):
        statement = cst.ensure_type(node, cst.ImportFrom)
        if get_absolute_module_for_import(here, statement) not in modules:
            continue
        source = get_full_name_for_node(statement.module) if statement.module else ""
        prefix = "." * len(statement.relative) + (f"{source}." if source else "")
        for alias in () if isinstance(statement.names, cst.ImportStar) else statement.names:
            if isinstance(alias.name, cst.Name) and alias.name.value == old:
                yield f"{prefix}{old}", alias
