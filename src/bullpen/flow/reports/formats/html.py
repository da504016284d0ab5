"""A report to read in a browser: one file, no script, nothing loaded from anywhere."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from bullpen import __version__
from bullpen.flow.reports import changes, story
from bullpen.flow.reports.base import RunReport
from bullpen.flow.reports.plain import one_line, shorten, visible, web_address
from bullpen.flow.reports.timeline import timeline

MOST_OF_A_GROUP = 60  # items that did not land, listed one by one
MOST_PRIORITIES = 12
MOST_NAMES = 200  # tests or files listed one by one
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Html:
    """See ``ReportFormat``."""

    name: str = "html"
    file_name: str = "report.html"

    def render(self, report: RunReport) -> bytes:
        """See ``ReportFormat.render``."""
        style = _text("report.css")
        page = (
            _environment()
            .from_string(_text("report.html"))
            .render(
                report=report,
                story=story,
                version=__version__,
                style=Markup(style),  # noqa: S704 - our own file, no value goes into it
                policy=_policy(style),
                headline=story.headline(report),
                landed=changes.landed_changes(report),
                undone=story.undone_groups(report),
                groups=story.by_outcome(report),
                left=story.findings_left(report),
                line=timeline(report),
                tests=(story.tally(report.tests_before), story.tally(report.tests_after)),
                cover=story.coverage_shares(report),
                most=MOST_OF_A_GROUP,
                most_names=MOST_NAMES,
                priorities=_by_priority(report),
                most_priorities=MOST_PRIORITIES,
            )
        )
        return page.encode("utf-8", "backslashreplace")


FORMAT = Html()


def _policy(style: str) -> str:
    """A Content-Security-Policy (W3C, CSP 3) that allows this one style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _by_priority(report: RunReport) -> Sequence[tuple[Any, story.Outcome]]:
    items = sorted((one.item for one in report.stories), key=lambda item: (-item.priority.score, item.id))
    return [(item, story.outcome_of(item)) for item in items]


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, finalize=_finalize, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Any] = {
        "prose": _prose,
        "cut": shorten,
        "one_line": one_line,
        "web": web_address,
        "number": _number,
        "signed": _signed,
        "percent": _percent,
        "duration": duration,
        "moment": _moment,
        "plural": story.plural,
        "gate_words": changes.gate_words,
        "per_cent_of": _per_cent_of,
    }
    environment.filters.update(filters)
    return environment


def _finalize(value: object) -> object:
    """Every text that reaches the page is made visible first; then it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _prose(text: str) -> Markup:
    """Text with its `code` set as such."""
    parts = _CODE.split(visible(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _signed(value: float) -> str:
    """``+2``, ``−2`` with a true minus sign, ``0``."""
    return f"{value:+,}".replace("-", "−") if value else "0"


def _percent(share: float | None, digits: int = 1) -> str:
    return "not measured" if share is None else f"{share:.{digits}%}"


def _per_cent_of(value: float, whole: float) -> str:
    """A length inside a chart; what is there can be seen, however small."""
    if value <= 0 or whole <= 0:
        return "0"
    return f"{max(100 * value / whole, 0.4):.2f}%"


def duration(seconds: float) -> str:
    """``4.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _moment(at: float) -> str:
    day = datetime.fromtimestamp(at, UTC)
    return f"{day.day} {day:%B %Y, %H:%M} UTC"


def _text(name: str) -> str:
    return files("bullpen.flow.reports").joinpath("templates", name).read_text("utf-8")
