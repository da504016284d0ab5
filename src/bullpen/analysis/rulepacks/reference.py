"""Writes the reference page of Bullpen's own rules: ``python -m bullpen.analysis.rulepacks.reference [FILE]``."""

import sys
from collections.abc import Iterable
from pathlib import Path

from bullpen.analysis.rulepacks import PREFIXES, Example, PackRule, Where, load_rules

PAGE = Path("docs/reference/rules.md")
_TITLES = {"python": "Python", "javascript": "JavaScript and TypeScript", "go": "Go", "html": "HTML"}
_FENCES = {"python": "python", "javascript": "jsx", "go": "go", "html": "html"}
_WHERE = {Where.ANYWHERE: "", Where.TESTS: " · in tests", Where.OUTSIDE_TESTS: " · outside tests"}
_HEAD = """\
# Bullpen's own rules

These are faults that the other analysers miss. Each finding carries the rule as `ast-grep:` and its id.

A comment on the same line, or alone on the line above, says that a place is meant as it is:
`# bullpen: ignore[py-home-path]` in Python, `// bullpen: ignore[js-eval-dynamic]` in JavaScript, TypeScript and Go,
`<!-- bullpen: ignore[html-img-without-alt] -->` in HTML.
Several ids are separated by commas.

This page is made from the rule files: `python -m bullpen.analysis.rulepacks.reference`.
"""


def reference_page() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD]
    for folder, prefix in PREFIXES.items():
        rules = [rule for rule in load_rules() if rule.id.startswith(prefix)]
        parts += [
            f"## {_TITLES[folder]}: {len(rules)} rules\n",
            *(_section(rule, _FENCES[folder]) for rule in rules),
        ]
    return "\n".join(parts)


def _section(rule: PackRule, fence: str) -> str:
    lines = [
        f"### `{rule.id}`\n",
        f"{rule.message}\n",
        f"{rule.why} [Source]({rule.url})\n",
        f"{rule.concern.value.capitalize()} · {rule.severity.name.lower()}{_WHERE[rule.where]}{_same(rule.same_as)}\n",
        "Found:\n",
        *_blocks(rule.positive, fence),
        "Left alone:\n",
        *_blocks(rule.negative, fence),
    ]
    return "\n".join(lines)


def _same(others: Iterable[str]) -> str:
    return "".join(f" · same as `{other}`" for other in others)


def _blocks(examples: Iterable[Example], fence: str) -> list[str]:
    return [f"```{fence}\n{example.code.rstrip()}\n```\n" for example in examples]


def main(arguments: list[str]) -> None:
    """Write the page to the named file, or to its place in the repository at hand."""
    page = Path(arguments[0]) if arguments else PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(reference_page(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
