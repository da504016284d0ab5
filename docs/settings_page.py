"""Writes docs/reference/settings.md from the settings themselves: ``python docs/settings_page.py``."""

from pathlib import Path

from pydantic.fields import FieldInfo

from bullpen.kernel.settings import Settings

PAGE = Path(__file__).parent / "reference" / "settings.md"
HEAD = """\
# Settings

Each can be set in three places; the first that has it wins: an option of the command where there is one, the environment
variable, `config.toml` in Bullpen's home (`$BULLPEN_HOME`, else `~/.local/state/bullpen`). Files of a repository never set
any.

```toml
# config.toml
parallel = 4
test_seconds = 1200
```

| setting | environment | default | what it is |
| --- | --- | --- | --- |
"""
FOOT = "\nThis page is made from the code: `.venv/bin/python docs/settings_page.py`.\n"


def page() -> str:
    """The whole page, as Markdown."""
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items()) + FOOT


def _row(name: str, field: FieldInfo) -> str:
    default = "found" if field.default_factory else str(field.default) or "empty"
    return f"| `{name}` | `BULLPEN_{name.upper()}` | {default} | {field.description} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
