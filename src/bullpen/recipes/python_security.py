"""Safer calls: the dangerous default is replaced by the one that was meant."""

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import Patch, argument, has_star, replace, rewriting, without_argument
from bullpen.recipes._python_file import PythonFile
from bullpen.recipes.base import Codemod

UNSAFE_LOADERS = frozenset(
    {"yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "yaml.CLoader", "yaml.CUnsafeLoader"}
)


def _load_safely(file: PythonFile, call: cst.Call) -> Patch | None:
    """``yaml.load(x, Loader=…)`` written as an attribute of the module becomes ``safe_load``."""
    if file.name(call) not in {"yaml.load", "yaml.load_all"} or not isinstance(call.func, cst.Attribute):
        return None
    loader = argument(call, "Loader", 1)
    if has_star(call) or len(call.args) != (2 if loader else 1):
        return None
    if loader is not None and file.name(loader.value) not in UNSAFE_LOADERS:
        return None
    renamed = replace(file, call.func.attr, f"safe_{call.func.attr.value}")
    return Patch((renamed, *((without_argument(file, call, loader),) if loader else ())))


RECIPES = (
    Codemod(
        name="yaml-safe-load",
        fixes=("ruff:S506", "ast-grep:py-yaml-unsafe-load"),
        applicability=Applicability.UNSAFE,
        summary="Read YAML with safe_load.",
        why="yaml.load builds any Python object the document names, so a document can run code; safe_load builds plain data only.",
        source="https://docs.astral.sh/ruff/rules/unsafe-yaml-load/",
        rewrite=rewriting(cst.Call, _load_safely),
    ),
)
