"""Which Python file imports which, and when: on loading, later inside a function, or for type checkers only."""

import ast
from collections import ChainMap, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from bullpen.kernel.python_text import parse_module

_SOURCE_FOLDERS = ("src", "lib")


class Moment(StrEnum):
    """When an import runs."""

    LOAD = "load"  # when the importing module is loaded
    CALL = "call"  # when a function of it is called
    TYPING = "typing"  # never: only type checkers read it


@dataclass(frozen=True, slots=True)
class Import:
    """One file importing another; ``line`` is the first that does so at this moment."""

    importer: str
    imported: str
    line: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """Imports between the files of one tree. Paths are relative to its root."""

    modules: Mapping[str, str]  # dotted name to path
    imports: tuple[Import, ...]
    unreadable: frozenset[str] = field(
        default=frozenset()
    )  # files that are not Python this interpreter can read

    def imported_by(self, path: str, moments: Collection[Moment] = tuple(Moment)) -> frozenset[str]:
        """What the file imports."""
        return frozenset(
            each.imported for each in self.imports if each.importer == path and each.moment in moments
        )

    def importers_of(self, path: str, moments: Collection[Moment] = tuple(Moment)) -> frozenset[str]:
        """What imports the file."""
        return frozenset(
            each.importer for each in self.imports if each.imported == path and each.moment in moments
        )

    def edges(self, moments: Collection[Moment]) -> dict[str, list[str]]:
        """From each file that imports at one of these moments to what it imports, both sorted."""
        targets: defaultdict[str, set[str]] = defaultdict(set)
        for each in self.imports:
            if each.moment in moments:
                targets[each.importer].add(each.imported)
        return {path: sorted(targets[path]) for path in sorted(targets)}

    def cycles(self, moments: Collection[Moment] = (Moment.LOAD,)) -> tuple[tuple[str, ...], ...]:
        """Groups of files each of which reaches every other (strongly connected components of two and more)."""
        return tuple(sorted(_components(self.edges(moments))))

    def shortest_cycle(
        self, group: Collection[str], moments: Collection[Moment] = (Moment.LOAD,)
    ) -> tuple[str, ...]:
        """The shortest way round within a group, from its first file back to just before it."""
        edges = {path: [to for to in targets if to in group] for path, targets in self.edges(moments).items()}
        rounds = (_way_back(edges, start) for start in sorted(group))
        return min((each for each in rounds if each), key=len, default=())

    def reach(self, moments: Collection[Moment] = (Moment.LOAD, Moment.CALL)) -> dict[str, int]:
        """For each file, how many others depend on it, directly or through others: what breaks if it breaks."""
        back: defaultdict[str, list[str]] = defaultdict(list)
        for path, targets in self.edges(moments).items():
            for target in targets:
                back[target].append(path)
        return {path: len(_reachable(back, path) - {path}) for path in sorted(set(self.modules.values()))}

    def line_of(self, importer: str, imported: str, moments: Collection[Moment] = tuple(Moment)) -> int:
        """The first line of an import, or 1 where there is none."""
        lines = (
            each.line
            for each in self.imports
            if each.importer == importer and each.imported == imported and each.moment in moments
        )
        return min(lines, default=1)


def module_graph(root: Path, files: Iterable[str]) -> ImportGraph:
    """The import graph of the Python files among ``files``; other files and imports from outside are left out.

    Imports of a package by way of its submodule (``import a.b`` also loads ``a``) are not counted: they make no cycle
    that could be mended.
    """
    paths = sorted(path for path in files if path.endswith(".py"))
    present = frozenset(paths)
    modules = _modules(paths, present)
    siblings = _siblings(paths, present)
    found: dict[tuple[str, str, Moment], Import] = {}
    unreadable: set[str] = set()
    for path in paths:
        tree = _parse(root / path)
        if tree is None:
            unreadable.add(path)
            continue
        package = _package_of(path, present)
        known = ChainMap(siblings.get(_folder(path), {}), modules)
        for node, moment in _import_nodes(tree):
            for target in _targets(node, package, known):
                if target != path:
                    found.setdefault((path, target, moment), Import(path, target, node.lineno, moment))
    return ImportGraph(modules, tuple(found.values()), frozenset(unreadable))


def module_name(path: str, present: Collection[str]) -> str:
    """The dotted name of a file, counted from the outermost folder with an ``__init__.py`` around it."""
    parts = PurePosixPath(path).with_suffix("").parts
    top = _package_depth(parts[:-1], present)
    named = parts[top:-1] if parts[-1] == "__init__" else parts[top:]
    return ".".join(named)


def _modules(paths: Iterable[str], present: frozenset[str]) -> dict[str, str]:
    """By dotted name, the path; a name several files could have belongs to none of them."""
    sure: defaultdict[str, list[str]] = defaultdict(list)
    aliases: dict[str, str] = {}
    for path in paths:
        sure[module_name(path, present)].append(path)
        for alias in _aliases(path):
            aliases.setdefault(alias, path)
    named = {name: claims[0] for name, claims in sure.items() if name and len(claims) == 1}
    return {**aliases, **named}


def _aliases(path: str) -> Iterator[str]:
    """Names by way of folders without ``__init__.py``, as seen from the root or a source folder."""
    parts = PurePosixPath(path).with_suffix("").parts
    named = parts[:-1] if parts[-1] == "__init__" else parts
    for start in (0, 1 if named and named[0] in _SOURCE_FOLDERS else 0):
        if named[start:]:
            yield ".".join(named[start:])


def _siblings(paths: Iterable[str], present: frozenset[str]) -> dict[str, dict[str, str]]:
    """By folder that is no package, its modules: a script finds what lies beside it first."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        folder = _folder(path)
        if f"{folder}/__init__.py".lstrip("/") not in present:
            found[folder][PurePosixPath(path).stem] = path
    return found


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _package_depth(folders: tuple[str, ...], present: Collection[str]) -> int:
    depth = len(folders)
    while depth > 0 and "/".join((*folders[:depth], "__init__.py")) in present:
        depth -= 1
    return depth


def _package_of(path: str, present: frozenset[str]) -> tuple[str, ...]:
    """The package relative imports start from."""
    name = module_name(path, present)
    parts = tuple(name.split(".")) if name else ()
    return parts if path.endswith("/__init__.py") else parts[:-1]


def _parse(file: Path) -> ast.Module | None:
    try:
        return parse_module(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


_Statement = ast.Import | ast.ImportFrom


def _import_nodes(tree: ast.Module) -> Iterator[tuple[_Statement, Moment]]:
    waiting: list[tuple[ast.AST, Moment]] = [(tree, Moment.LOAD)]
    while waiting:
        node, moment = waiting.pop()
        if isinstance(node, _Statement):
            yield node, moment
        elif isinstance(node, ast.If) and _is_typing_only(node.test):
            waiting += [(child, Moment.TYPING) for child in node.body]
            waiting += [(child, moment) for child in node.orelse]
        else:
            waiting += [(child, _moment_inside(node, moment)) for child in ast.iter_child_nodes(node)]


def _moment_inside(node: ast.AST, moment: Moment) -> Moment:
    deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    return Moment.CALL if deferred and moment is Moment.LOAD else moment


def _is_typing_only(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _targets(node: _Statement, package: tuple[str, ...], modules: Mapping[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (found for alias in node.names if (found := _longest(alias.name, modules)))
        return
    base = _base(node, package)
    if base is None:
        return
    for alias in node.names:
        found = modules.get(f"{base}.{alias.name}" if base else alias.name) or modules.get(base)
        if found:
            yield found


def _base(node: ast.ImportFrom, package: tuple[str, ...]) -> str | None:
    if node.level == 0:
        return node.module or ""
    kept = len(package) - (node.level - 1)
    if kept < 0:
        return None
    return ".".join((*package[:kept], *((node.module,) if node.module else ())))


def _longest(name: str, modules: Mapping[str, str]) -> str | None:
    while name:
        if name in modules:
            return modules[name]
        name = name.rpartition(".")[0]
    return None


def _components(edges: Mapping[str, list[str]]) -> list[tuple[str, ...]]:
    """Kosaraju and Sharir: what is reached going back, in the order in which going forward ended."""
    back: defaultdict[str, list[str]] = defaultdict(list)
    for path, targets in edges.items():
        for target in targets:
            back[target].append(path)
    placed: set[str] = set()
    groups: list[tuple[str, ...]] = []
    for start in reversed(_finished(edges)):
        if start not in placed:
            group = _reachable(back, start, placed)
            placed |= group
            groups.append(tuple(sorted(group)))
    return [group for group in groups if len(group) > 1]


def _finished(edges: Mapping[str, list[str]]) -> list[str]:
    """All files in the order in which a depth-first walk leaves them."""
    seen: set[str] = set()
    order: list[str] = []
    for root in edges:
        work = [] if root in seen else [(root, iter(edges[root]))]
        seen.add(root)
        while work:
            _, targets = work[-1]
            target = next((each for each in targets if each not in seen), None)
            if target is None:
                order.append(work.pop()[0])
            else:
                seen.add(target)
                work.append((target, iter(edges.get(target, ()))))
    return order


def _way_back(edges: Mapping[str, list[str]], start: str) -> tuple[str, ...]:
    """Breadth first: the shortest path from ``start`` to a file that imports it."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in edges.get(node, ()):
            if target == start:
                return _path(came_from, start, node)
            if target not in came_from:
                came_from[target] = node
                queue.append(target)
    return ()


def _path(came_from: Mapping[str, str], start: str, end: str) -> tuple[str, ...]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))


def _reachable(edges: Mapping[str, list[str]], start: str, without: Collection[str] = ()) -> set[str]:
    seen = {start}
    queue = deque([start])
    while queue:
        for target in edges.get(queue.popleft(), ()):
            if target not in seen and target not in without:
                seen.add(target)
                queue.append(target)
    return seen
