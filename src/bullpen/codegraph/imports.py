"""Which Python file imports which, and when: on loading, later inside a function, or for type checkers only."""

from collections import ChainMap, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bullpen.codegraph.base import LANGUAGES, Import, ImportWords, Moment

_SOURCE_FOLDERS = ("src", "lib")


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

    def dependents(
        self, path: str, moments: Collection[Moment] = (Moment.LOAD, Moment.CALL)
    ) -> dict[str, int]:
        """What depends on the file, directly (1) or through so many steps: what may break if it breaks. Nearest first."""
        back: defaultdict[str, list[str]] = defaultdict(list)
        for importer, targets in self.edges(moments).items():
            for target in targets:
                back[target].append(importer)
        steps = {path: 0}
        queue = deque([path])
        while queue:
            here = queue.popleft()
            for importer in back[here]:
                if importer not in steps:
                    steps[importer] = steps[here] + 1
                    queue.append(importer)
        return {each: count for each, count in steps.items() if each != path}

    def shortest_path(
        self, start: str, end: str, moments: Collection[Moment] = (Moment.LOAD, Moment.CALL)
    ) -> tuple[str, ...]:
        """From one file by way of what it imports to another, both included; empty if none leads there."""
        if start == end:
            return (start,)
        edges, came_from, queue = self.edges(moments), {start: ""}, deque([start])
        while queue and end not in came_from:
            here = queue.popleft()
            for target in edges.get(here, ()):
                if target not in came_from:
                    came_from[target] = here
                    queue.append(target)
        return _path(came_from, start, end) if end in came_from else ()

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
    python = LANGUAGES.load("python")
    read = ((path, python.read((root / path).read_bytes(), ".py")) for path in files if path.endswith(".py"))
    return link_modules({path: facts.imports if facts else None for path, facts in read})


def link_modules(files: Mapping[str, Collection[ImportWords] | None]) -> ImportGraph:
    """The import graph of Python files by path, from what they say; None for one that cannot be read."""
    paths = sorted(files)
    present = frozenset(paths)
    modules = _modules(paths, present)
    siblings = _siblings(paths, present)
    found: dict[tuple[str, str, Moment], Import] = {}
    for path in paths:
        package = _package_of(path, present)
        known = ChainMap(siblings.get(_folder(path), {}), modules)
        for words in files[path] or ():
            for target in _targets(words, package, known):
                if target != path:
                    key = (path, target, words.moment)
                    found.setdefault(key, Import(path, target, words.line, words.moment))
    unreadable = frozenset(path for path in paths if files[path] is None)
    return ImportGraph(modules, tuple(found.values()), unreadable)


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


def _targets(words: ImportWords, package: tuple[str, ...], modules: Mapping[str, str]) -> Iterator[str]:
    if not words.names:
        found = _longest(words.module, modules)
        yield from (found,) if found else ()
        return
    base = _base(words, package)
    if base is None:
        return
    for name in words.names:
        found = modules.get(f"{base}.{name}" if base else name) or modules.get(base)
        if found:
            yield found


def _base(words: ImportWords, package: tuple[str, ...]) -> str | None:
    if words.level == 0:
        return words.module
    kept = len(package) - (words.level - 1)
    if kept < 0:
        return None
    return ".".join((*package[:kept], *((words.module,) if words.module else ())))


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
