"""Extension points: a folder with ``base.py`` and one file per implementation; the file name is the name.

Nothing is imported until it is asked for by name. Third parties add implementations with an entry-point group of the
same name as the package (``bullpen.analysis.analysers``).
"""

import ast
import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from bullpen.domain.errors import Missing, NotFound
from bullpen.kernel.python_text import parse_module

T = TypeVar("T")


@dataclass(frozen=True)
class ExtensionPoint(Generic[T]):
    """The implementations in ``package``; each of their modules has one attribute called ``attribute``."""

    package: str
    attribute: str

    def names(self) -> tuple[str, ...]:
        """Names of all implementations, sorted; nothing is loaded."""
        return tuple(sorted({*self._built_in(), *self._foreign()}))

    def load(self, name: str) -> T:
        """The implementation called ``name``.

        Raises:
            NotFound: no such implementation; the message lists those there are.
            Missing: its vendor package is not installed; the message names it.
        """
        if name in self._built_in():
            return getattr(self._module(name), self.attribute)
        foreign = self._foreign().get(name)
        if foreign is not None:
            return foreign.load()
        raise NotFound(f"There is no {name!r} in {self.package}; there are: {', '.join(self.names())}.")

    def summary(self, name: str) -> str:
        """The first sentence of the implementation's file, read without loading it; empty for foreign ones."""
        if name not in self._built_in():
            return ""
        folder = Path(next(iter(importlib.import_module(self.package).__path__)))
        text = ast.get_docstring(parse_module((folder / f"{name}.py").read_text("utf-8"))) or ""
        return text.split("\n", 1)[0]

    def load_all(self) -> dict[str, T]:
        """Every implementation by name."""
        return {name: self.load(name) for name in self.names()}

    def _module(self, name: str) -> ModuleType:
        try:
            return importlib.import_module(f"{self.package}.{name}")
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("bullpen"):
                raise
            raise Missing(
                f"{self.package}.{name} needs the package {error.name!r}, which is not installed.",
                remedy=f"Install it: pip install {error.name}",
            ) from error

    def _built_in(self) -> tuple[str, ...]:
        folder = importlib.import_module(self.package).__path__
        found = (module.name for module in pkgutil.iter_modules(folder))
        return tuple(name for name in found if name != "base" and not name.startswith("_"))

    def _foreign(self) -> dict[str, EntryPoint]:
        return _entry_points(self.package)


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Reading the metadata of everything installed takes milliseconds, and it does not change while we run."""
    return {point.name: point for point in entry_points(group=group)}
