"""A project's settings for mypy, without what would run its code, write files, or depend on what is not installed here."""

import configparser
import io
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

FILES = ("mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg")  # in the order in which mypy looks
# What may be said. Left out among others: plugins, python_executable, cache_dir, *_report, and all that warns about imports.
_ALLOWED = frozenset(
    {
        *(
            "allow_redefinition",
            "allow_untyped_globals",
            "check_untyped_defs",
            "disable_error_code",
            "disallow_any_decorated",
        ),
        *("disallow_any_explicit", "disallow_any_expr", "disallow_any_generics", "disallow_incomplete_defs"),
        *(
            "disallow_untyped_calls",
            "disallow_untyped_defs",
            "enable_error_code",
            "exclude",
            "explicit_package_bases",
        ),
        *(
            "extra_checks",
            "ignore_errors",
            "implicit_optional",
            "implicit_reexport",
            "local_partial_types",
            "module",
        ),
        *("namespace_packages", "no_implicit_optional", "no_implicit_reexport", "platform", "strict_bytes"),
        *(
            "strict_concatenate",
            "strict_equality",
            "strict_optional",
            "warn_no_return",
            "warn_redundant_casts",
        ),
        *(
            "warn_unreachable",
            "mypy_path",
            "files",
            "packages",
            "plugins",
            "python_version",
            "follow_imports",
        ),
    }
)
_STRICT = (
    "check_untyped_defs",
    "disallow_incomplete_defs",
    "disallow_untyped_defs",
    "strict_equality",
    "extra_checks",
)
_INSIDE = re.compile(r"[\w./*:\s,-]+", re.ASCII)
_PATHS = frozenset({"mypy_path", "files"})
_TARGETS = frozenset({"files", "packages", "plugins"})
_HERE = "$MYPY_CONFIG_FILE_DIR/"
_MOST_SECTIONS = 500

Settings = Mapping[str, Mapping[str, str]]  # by section: ``mypy``, and ``mypy-MODULES`` for some modules


def read_settings(file: str, text: str) -> Settings | None:
    """What one of ``FILES`` says; None if mypy would not take its settings from it, or could not."""
    sections = _toml(text) if file.endswith(".toml") else _ini(text)
    if "mypy" not in sections:
        return None
    kept = list(sections.items())[:_MOST_SECTIONS]
    return {name: dict(_kept(values)) for name, values in kept}


def as_file(settings: Settings, targets: Sequence[str]) -> str:
    """The same as mypy reads it, to be asked about ``targets``; without plugins, whose code is not ours to run."""
    parser = configparser.ConfigParser(interpolation=None)
    for name, values in settings.items():
        parser[name] = {key: value for key, value in values.items() if key not in _TARGETS}
    parser["mypy"]["files"] = ", ".join(targets)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def listed(settings: Settings, key: str) -> list[str]:
    """The words of a setting that is a list."""
    words = re.split(r"[,\n]", settings["mypy"].get(key, ""))
    return [word.strip() for word in words if word.strip()]


def _kept(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    words = {key.strip().lower().replace("-", "_"): value for key, value in values.items()}
    if str(words.get("strict")).lower() in ("true", "1", "yes", "on"):
        yield from ((key, "True") for key in _STRICT if key not in words)
    for key, value in words.items():
        text = _text(key, value)
        if key in _ALLOWED and (key not in _PATHS or _stays_inside(text)):
            yield key, text


def _text(key: str, value: object) -> str:
    if not isinstance(value, list):
        return str(value).replace(_HERE, "")
    items = [str(item).strip().replace(_HERE, "") for item in cast("list[object]", value)]
    return "|".join(f"(?:{item})" for item in items) if key == "exclude" else ", ".join(items)


def _stays_inside(paths: str) -> bool:
    """Relative paths of the tree, without variables that mypy would fill in."""
    plain = _INSIDE.fullmatch(paths) is not None and ".." not in paths
    return plain and not any(path.strip().startswith("/") for path in re.split(r"[,:\n]", paths))


def _ini(text: str) -> Mapping[str, Mapping[str, object]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    return {
        name: dict(parser[name]) for name in parser.sections() if name == "mypy" or name.startswith("mypy-")
    }


def _toml(text: str) -> Mapping[str, Mapping[str, object]]:
    try:
        own = _table(_table(tomllib.loads(text).get("tool")).get("mypy"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    if not own:
        return {}
    overrides = own.get("overrides")
    found: dict[str, Mapping[str, object]] = {
        "mypy": {key: each for key, each in own.items() if key != "overrides"}
    }
    for each in map(_table, cast("list[object]", overrides) if isinstance(overrides, list) else []):
        modules = each.get("module")
        for module in cast("list[object]", modules) if isinstance(modules, list) else [modules]:
            if isinstance(module, str) and re.fullmatch(r"[\w.*]+", module):
                found[f"mypy-{module}"] = {key: value for key, value in each.items() if key != "module"}
    return found


def _table(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
