"""JavaScript and TypeScript, by tree-sitter."""

import posixpath
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping

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
_LOADING = frozenset({"require", "import"})
_LONGEST_NAME = 200
_LONGEST_LINE = 2000


class JavaScript:
    """See ``Language``."""

    suffixes = (".js", ".jsx", ".mjs", ".cjs", *_GRAMMARS)

    def read(self, content: bytes, suffix: str) -> FileFacts | None:
        """See ``Language.read``. What does not parse is read around, as the parser recovers; what a program has put on
        one long line is left alone.
        """
        if (
            max(map(len, content.splitlines()), default=0) > _LONGEST_LINE
        ):  # a place's column is counted each time
            return None
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return None
        grammar = _GRAMMARS.get(suffix, "tsx" if suffix == ".jsx" else "javascript")
        root = SgRoot(text, grammar).root()
        kinds = _KINDS if grammar == "javascript" else _KINDS | _TYPED_KINDS
        scopes = _Scopes(root, _SCOPES & kinds.keys())
        return FileFacts(
            tuple(sorted(_definitions(root, kinds, scopes), key=lambda one: one.line)),
            tuple(sorted(_calls(root, scopes), key=lambda one: one.line)),
            tuple(sorted(_imports(root, scopes), key=lambda one: one.line)),
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


class _Scopes:
    """Which symbol a place is in. Looked up by position: to climb from each node would be quadratic in hostile text."""

    def __init__(self, root: SgNode, kinds: Collection[str]) -> None:
        found = [scope for kind in kinds for node in root.find_all(kind=kind) for scope in _scope(node, node)]
        for node in root.find_all(kind="variable_declarator"):
            value = node.field("value")
            if value and value.kind() in _FUNCTIONS:
                found += _scope(node, value)
        self._starts: list[int] = []
        self._inside: list[tuple[str, bool]] = []
        self._sweep(sorted(found))

    def around(self, node: SgNode) -> str:
        """Names of the symbols around a node, outermost first; empty at the top."""
        return self._at(node)[0]

    def is_deferred(self, node: SgNode) -> bool:
        """Whether the node only runs when a function with a name is called."""
        return self._at(node)[1]

    def _at(self, node: SgNode) -> tuple[str, bool]:
        index = bisect_left(self._starts, node.range().start.index)
        return self._inside[index - 1] if index else ("", False)

    def _sweep(self, scopes: list[tuple[int, int, str, bool]]) -> None:
        """From where to where one is in which symbols: each start and each end begins a new stretch."""
        open_ones: list[tuple[int, str, bool]] = []
        for start, end, name, deferred in scopes:
            self._close(open_ones, start)
            outer, late = open_ones[-1][1:] if open_ones else ("", False)
            full = f"{outer}.{name}"[-_LONGEST_NAME:].lstrip(".")
            open_ones.append((end, full, late or deferred))
            self._stretch(start, full, late or deferred)
        self._close(open_ones, None)

    def _close(self, open_ones: list[tuple[int, str, bool]], until: int | None) -> None:
        while open_ones and (until is None or open_ones[-1][0] <= until):
            end, _, _ = open_ones.pop()
            self._stretch(end - 1, *(open_ones[-1][1:] if open_ones else ("", False)))

    def _stretch(self, start: int, name: str, deferred: bool) -> None:
        self._starts.append(start)
        self._inside.append((name, deferred))


def _scope(node: SgNode, body: SgNode) -> Iterator[tuple[int, int, str, bool]]:
    """(start, end, name, whether its body waits for a call); nothing starts in it but what stands after its start."""
    name = node.field("name")
    if name:
        place = body.range()
        yield place.start.index, place.end.index, name.text()[:_LONGEST_NAME], body.kind() in _DEFERRED


def _definitions(root: SgNode, kinds: Mapping[str, str], scopes: _Scopes) -> Iterator[Definition]:
    for node_kind, kind in kinds.items():
        for node in root.find_all(kind=node_kind):
            yield from _definition(node, kind, scopes)
    for node in root.find_all(kind="variable_declarator"):
        value = node.field("value")
        if value and value.kind() in _FUNCTIONS:
            yield from _definition(node, "function", scopes)
        elif not scopes.around(node):
            yield from _definition(node, "variable", scopes)


def _definition(node: SgNode, kind: str, scopes: _Scopes) -> Iterator[Definition]:
    name = node.field("name")
    if name and name.kind() not in {"object_pattern", "array_pattern"}:
        around, own = scopes.around(node), name.text()[:_LONGEST_NAME]
        full = f"{around}.{own}" if around else own
        yield Definition(full, kind, node.range().start.line + 1, node.range().end.line + 1)


def _calls(root: SgNode, scopes: _Scopes) -> Iterator[Call]:
    for kind, field in (("call_expression", "function"), ("new_expression", "constructor")):
        for node in root.find_all(kind=kind):
            called = node.field(field)
            if called and (named := _named(called)):
                yield Call(*named, node.range().start.line + 1, scopes.around(node))


def _named(called: SgNode) -> tuple[str, str] | None:
    """(last part of the name, as it is written); None for what has no name."""
    if called.kind() == "identifier":
        return called.text(), called.text()
    last, owner = called.field("property"), called.field("object")
    if called.kind() != "member_expression" or not last or not owner:
        return None
    short = owner.range().end.index - owner.range().start.index <= _LONGEST_NAME
    before = " ".join(owner.text().split()) if short else "…"
    return last.text().lstrip("#"), f"{before}.{last.text()}"


def _imports(root: SgNode, scopes: _Scopes) -> Iterator[ImportWords]:
    for kind in ("import_statement", "export_statement"):
        for node in root.find_all(kind=kind):
            source = node.field("source")
            if source:
                typed = [child.kind() for child in node.children()[1:2]] == ["type"]
                yield _words(source, Moment.TYPING if typed else Moment.LOAD)
    for node in root.find_all(kind="call_expression"):
        called, words = node.field("function"), node.field("arguments")
        if called and words and called.kind() in {"identifier", "import"} and called.text() in _LOADING:
            deferred = called.text() == "import" or scopes.is_deferred(node)
            for word in (each for each in words.children()[1:2] if each.kind() == "string"):
                yield _words(word, Moment.CALL if deferred else Moment.LOAD)


def _words(source: SgNode, moment: Moment) -> ImportWords:
    return ImportWords(source.text().strip("'\"`"), (), 0, source.range().start.line + 1, moment)


def _target(path: str, specifier: str, files: Mapping[str, object]) -> str | None:
    if not specifier.startswith("."):
        return None
    base = posixpath.normpath(posixpath.join(posixpath.dirname(path), specifier))
    stem, ending = posixpath.splitext(base)
    written = (f"{stem}{one}" for one in _WRITTEN_FOR.get(ending, ()))
    candidates = (base, *written, *(f"{base}{one}" for one in (*_ENDINGS, *_INDEXES)))
    return next((one for one in candidates if one in files), None)


language = JavaScript()
