"""JavaScript and TypeScript, by tree-sitter."""

import posixpath
from collections.abc import Iterator, Mapping

from ast_grep_py import SgNode, SgRoot

from bullpen.codegraph.base import Call, Definition, FileFacts, Import, ImportWords, Moment

_GRAMMARS = {".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx"}
_ENDINGS = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_INDEXES = tuple(f"/index{ending}" for ending in _ENDINGS)
_WRITTEN_FOR = {".js": (".ts", ".tsx"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}
_KINDS = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "class_declaration": "class",
    "method_definition": "method",
}
_TYPED_KINDS = {
    "abstract_class_declaration": "class",
    "interface_declaration": "interface",
    "type_alias_declaration": "type",
    "enum_declaration": "enum",
}
_SCOPES = frozenset({*_KINDS, "abstract_class_declaration"})
_FUNCTIONS = frozenset({"arrow_function", "function_expression", "generator_function"})
_DEFERRED = frozenset(
    {*_FUNCTIONS, "function_declaration", "generator_function_declaration", "method_definition"}
)
_NAMES = frozenset({"identifier", "member_expression"})


class JavaScript:
    """See ``Language``."""

    suffixes = (".js", ".jsx", ".mjs", ".cjs", *_GRAMMARS)

    def read(self, content: bytes, suffix: str) -> FileFacts | None:
        """See ``Language.read``. What does not parse is read around, as the parser recovers."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return None
        grammar = _GRAMMARS.get(suffix, "tsx" if suffix == ".jsx" else "javascript")
        root = SgRoot(text, grammar).root()
        kinds = _KINDS if grammar == "javascript" else _KINDS | _TYPED_KINDS
        return FileFacts(
            tuple(sorted(_definitions(root, kinds), key=lambda one: one.line)),
            tuple(sorted(_calls(root), key=lambda one: one.line)),
            tuple(sorted(_imports(root), key=lambda one: one.line)),
        )

    def link(self, files: Mapping[str, FileFacts | None]) -> tuple[Import, ...]:
        """See ``Language.link``: relative specifiers only, found as Node and TypeScript find them."""
        found: dict[tuple[str, str, Moment], Import] = {}
        for path, facts in files.items():
            for words in facts.imports if facts else ():
                target = _target(path, words.module, files)
                if target and target != path:
                    key = (path, target, words.moment)
                    found.setdefault(key, Import(path, target, words.line, words.moment))
        return tuple(found.values())


def _definitions(root: SgNode, kinds: Mapping[str, str]) -> Iterator[Definition]:
    for node_kind, kind in kinds.items():
        for node in root.find_all(kind=node_kind):
            yield from _definition(node, kind)
    for node in root.find_all(kind="variable_declarator"):
        value = node.field("value")
        if value and value.kind() in _FUNCTIONS:
            yield from _definition(node, "function")
        elif not _inside(node):
            yield from _definition(node, "variable")


def _definition(node: SgNode, kind: str) -> Iterator[Definition]:
    name = node.field("name")
    if name and name.kind() not in {"object_pattern", "array_pattern"}:
        around = _inside(node)
        full = f"{around}.{name.text()}" if around else name.text()
        yield Definition(full, kind, node.range().start.line + 1, node.range().end.line + 1)


def _calls(root: SgNode) -> Iterator[Call]:
    for kind, field in (("call_expression", "function"), ("new_expression", "constructor")):
        for node in root.find_all(kind=kind):
            called = node.field(field)
            if called and called.kind() in _NAMES:
                written = " ".join(called.text().split())[-200:]
                name = written.rpartition(".")[2].lstrip("#?")
                yield Call(name, written, node.range().start.line + 1, _inside(node))


def _imports(root: SgNode) -> Iterator[ImportWords]:
    for kind in ("import_statement", "export_statement"):
        for node in root.find_all(kind=kind):
            source = node.field("source")
            if source:
                typed = node.text().split(None, 2)[1:2] == ["type"]
                yield _words(source, Moment.TYPING if typed else Moment.LOAD)
    for node in root.find_all(kind="call_expression"):
        called, words = node.field("function"), node.field("arguments")
        if called and words and called.text() in {"require", "import"}:
            deferred = called.text() == "import" or any(one.kind() in _DEFERRED for one in node.ancestors())
            for word in (each for each in words.children() if each.kind() == "string"):
                yield _words(word, Moment.CALL if deferred else Moment.LOAD)


def _words(source: SgNode, moment: Moment) -> ImportWords:
    return ImportWords(source.text().strip("'\"`"), (), 0, source.range().start.line + 1, moment)


def _inside(node: SgNode) -> str:
    """Names of the symbols around a node, outermost first."""
    names: list[str] = []
    for one in node.ancestors():
        holds = one.kind() in _SCOPES
        if one.kind() == "variable_declarator":
            value = one.field("value")
            holds = value is not None and value.kind() in _FUNCTIONS
        name = one.field("name") if holds else None
        if name:
            names.append(name.text())
    return ".".join(reversed(names))


def _target(path: str, specifier: str, files: Mapping[str, object]) -> str | None:
    if not specifier.startswith("."):
        return None
    base = posixpath.normpath(posixpath.join(posixpath.dirname(path), specifier))
    stem, ending = posixpath.splitext(base)
    written = (f"{stem}{one}" for one in _WRITTEN_FOR.get(ending, ()))
    candidates = (base, *written, *(f"{base}{one}" for one in (*_ENDINGS, *_INDEXES)))
    return next((one for one in candidates if one in files), None)


language = JavaScript()
