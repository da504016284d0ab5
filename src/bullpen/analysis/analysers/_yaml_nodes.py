"""YAML of strangers as nodes that know their line: no objects are built, no alias is copied, depth and size are bounded.

Made from events, because composing a document recurses in native code and deep nesting ends the process.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

MOST_CHARACTERS = 512 * 1024  # people write none that long
_MOST_NESTED = 60  # the parser's time grows with the square of it
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNDECODABLE = re.compile("[\ud800-\udfff]")
_TRUE = frozenset({"true", "yes", "on"})


@dataclass(slots=True, eq=False)
class Node:
    """A scalar (``text``), a sequence (``items``) or a mapping (``pairs``), with the line and column it starts at."""

    line: int
    column: int
    text: str = ""
    plain: bool = False  # a scalar without quotes, which may be a number or a truth value
    items: list["Node"] = field(default_factory=list["Node"])
    pairs: list[tuple["Node", "Node"]] = field(default_factory=list[tuple["Node", "Node"]])

    def get(self, *keys: str) -> "Node | None":
        """What a chain of keys leads to, merge keys followed; None where it ends early."""
        node: Node | None = self
        for key in keys:
            node = node.entry(key) if node else None
        return node

    def entry(self, key: str) -> "Node | None":
        """The value of a key; its own before what it merges in."""
        seen: set[int] = set()
        waiting = [self]
        while waiting:
            node = waiting.pop()
            seen.add(id(node))
            if (found := next((value for name, value in node.pairs if name.text == key), None)) is not None:
                return found
            merged = [
                each for name, value in node.pairs if name.text == "<<" for each in (value, *value.items)
            ]
            waiting += [each for each in reversed(merged) if id(each) not in seen]
        return None

    def each(self, key: str) -> list["Node"]:
        """The items of the sequence a key has; none if it has none."""
        found = self.entry(key)
        return found.items if found else []

    def word(self, key: str) -> str:
        """The scalar of a key, or an empty string."""
        found = self.entry(key)
        return found.text if found else ""

    def says_yes(self, key: str) -> "Node | None":
        """The value of a key if it is a plain true."""
        found = self.entry(key)
        return found if found and found.plain and found.text.lower() in _TRUE else None

    def says_no(self, key: str) -> "Node | None":
        """The value of a key if it is a plain false."""
        found = self.entry(key)
        return found if found and found.plain and found.text.lower() in ("false", "no", "off") else None


def read_documents(text: str) -> list[Node]:
    """The documents of a file; none at all if it is not YAML, or larger or deeper than anything people write."""
    if len(text) > MOST_CHARACTERS:
        return []
    try:
        events = yaml.parse(_UNDECODABLE.sub("\ufffd", text), Loader=_LOADER)
        return list(_documents(events)) or []
    except (yaml.YAMLError, _TooDeep):
        return []


class _TooDeep(Exception):
    """More nesting than anybody writes."""


@dataclass(slots=True)
class _Open:
    """A collection that has not ended; ``key`` waits for its value."""

    node: Node
    is_mapping: bool
    key: Node | None = None

    def take(self, child: Node) -> None:
        if not self.is_mapping:
            self.node.items.append(child)
        elif self.key is None:
            self.key = child
        else:
            self.node.pairs.append((self.key, child))
            self.key = None


def _documents(events: Iterator[yaml.Event]) -> Iterator[Node]:
    anchors: dict[str, Node] = {}
    stack: list[_Open] = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            anchors, stack = {}, []
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = stack.pop()
            if not stack:
                yield ended.node
        elif isinstance(event, yaml.NodeEvent):
            _add(event, anchors, stack)


def _add(event: yaml.NodeEvent, anchors: dict[str, Node], stack: list[_Open]) -> None:
    node = _node(event, anchors)
    if stack:
        stack[-1].take(node)
    if isinstance(event, yaml.CollectionStartEvent):
        if len(stack) >= _MOST_NESTED:
            raise _TooDeep
        stack.append(_Open(node, isinstance(event, yaml.MappingStartEvent)))


def _node(event: yaml.NodeEvent, anchors: dict[str, Node]) -> Node:
    mark = event.start_mark
    node = Node(mark.line + 1, mark.column + 1) if mark else Node(1, 1)
    if isinstance(event, yaml.AliasEvent):
        return anchors.get(event.anchor or "", node)
    if isinstance(event, yaml.ScalarEvent):
        node.text, node.plain = event.value, bool(event.implicit[0])
    if event.anchor:
        anchors[event.anchor] = node
    return node
