"""Namespaces: parts of one repository that have their own agents, settings and limits.

A folder is a namespace where it holds ``.bullpen/agents/`` or ``.bullpen/namespace.yaml``:

    limits: {seconds: 600, memory_mb: 256}
    opt_in: [report-3]

The nearest one above a file is its namespace; its limits are never higher than those of the ones around it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bullpen.agents.discovery import Source
from bullpen.agents.manifest import DEFAULT_LIMITS, AgentLimits, LimitsForm, limits_of, lower_limits
from bullpen.agents.registry import OVERRIDES, Quarantined
from bullpen.domain.errors import BullpenError, InvalidInput, NotFound
from bullpen.kernel.yaml_text import read_yaml
from bullpen.tools.workspace import read_bytes

SETTINGS = ".bullpen/namespace.yaml"
_MOST = 1_000
_DEEPEST = 8
_SKIPPED = frozenset({"node_modules", "vendor", "target", "dist", "build", "__pycache__", "venv"})


@dataclass(frozen=True, slots=True)
class Namespace:
    """One part of a repository. ``path`` is relative to its root, empty for the whole.

    ``opt_in`` names the breaking changes of Bullpen that this part has agreed to, at its own pace.
    """

    path: str
    limits: AgentLimits = DEFAULT_LIMITS
    opt_in: tuple[str, ...] = ()


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limits: LimitsForm = Field(default_factory=LimitsForm)
    opt_in: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")], ...] = ()


def find_namespaces(root: Path) -> tuple[tuple[Namespace, ...], tuple[Quarantined, ...]]:
    """The namespaces of a repository, outer before inner, and the settings that were set aside.

    A part whose settings are faulty keeps the limits of the one around it. Links are not followed.
    """
    found: list[Namespace] = []
    refused: list[Quarantined] = []
    for path in _places(root):
        around = namespace_of(found, path).limits if found else DEFAULT_LIMITS
        settings = _Settings()
        try:
            settings = _read(root, path)
        except BullpenError as error:
            refused.append(Quarantined(_joined(path, SETTINGS), f"{error.sentence} {error.remedy}".strip()))
        found.append(Namespace(path, lower_limits(limits_of(settings.limits), around), settings.opt_in))
    return tuple(found), tuple(refused)


def namespace_of(namespaces: Sequence[Namespace], path: str) -> Namespace:
    """The innermost namespace that holds ``path``; the whole repository where there is none."""
    holding = [one for one in namespaces if not one.path or PurePosixPath(path).is_relative_to(one.path)]
    return max(holding, key=lambda one: len(PurePosixPath(one.path).parts), default=Namespace(""))


def sources_of(root: Path, namespaces: Sequence[Namespace]) -> tuple[Source, ...]:
    """Where agents of a repository are looked for; none of them is trusted."""
    return tuple(
        Source(folder, trusted=False, namespace=one.path, limits=one.limits)
        for one in namespaces
        if _real_folder(root, _joined(one.path, OVERRIDES)) and (folder := root / one.path / OVERRIDES)
    )


def _places(root: Path) -> Iterator[str]:
    """Folders with namespaces in them, outer before inner."""
    count = 0
    for here, folders, _ in os.walk(root):
        path = Path(here).relative_to(root).as_posix()
        path = "" if path == "." else path
        if not path or (".bullpen" in folders and not Path(here, ".bullpen").is_symlink()):
            yield path
            count += 1
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        if count >= _MOST or len(PurePosixPath(path).parts) >= _DEEPEST:
            folders.clear()


def _read(root: Path, path: str) -> _Settings:
    source = _joined(path, SETTINGS)
    try:
        data: Any = read_yaml(read_bytes(root, source).decode("utf-8"))
    except NotFound:
        return _Settings()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{source}: not YAML.") from error
    try:
        return _Settings.model_validate(data)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()]
        raise InvalidInput(f"{source}: {'; '.join(faults)}.") from error


def _real_folder(root: Path, path: str) -> bool:
    """Whether it is a folder, reached without a link."""
    here = root
    for part in PurePosixPath(path).parts:
        here /= part
        if here.is_symlink() or not here.is_dir():
            return False
    return True


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
