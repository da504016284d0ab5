"""Settings of formatters and linters in a project's own files. Data only: nothing of the project is run here."""

import configparser
import json
import tomllib
from pathlib import Path
from typing import Any, cast

LARGEST = 256 * 1024  # bytes; no configuration is larger


def read_setting(root: Path, name: str) -> str | None:
    """The text of a file at the top of a project; None for a link, for one that is too large, or is no text."""
    path = root / name
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return None
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def toml_table(root: Path, name: str, *keys: str) -> dict[str, Any] | None:
    """A table of a TOML file, by the keys that lead to it; None where it is not there."""
    try:
        found: object = tomllib.loads(read_setting(root, name) or "")
    except tomllib.TOMLDecodeError:
        return None
    for key in keys:
        found = cast("dict[str, object]", found).get(key) if isinstance(found, dict) else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def ini_section(root: Path, name: str, section: str) -> dict[str, str] | None:
    """A section of an INI file; None where it is not there."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_setting(root, name) or "")
    except configparser.Error:
        return None
    return dict(parser.items(section)) if parser.has_section(section) else None


def json_table(root: Path, name: str) -> dict[str, Any]:
    """What a JSON file holds; empty where it holds no table."""
    try:
        found: object = json.loads(read_setting(root, name) or "{}")
    except (json.JSONDecodeError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def number_of(value: object) -> int | None:
    """A whole number, also where it is written as text."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
