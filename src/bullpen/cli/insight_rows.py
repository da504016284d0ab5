"""How what was learned is shown: a row for each agent, pattern and setting, with its interval drawn."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import click

from bullpen.cli.output import counted, duration, new_table, open_console, printable
from bullpen.domain.tuning import Tuned
from bullpen.insights.adapt import DEFAULT_LIMITS
from bullpen.insights.intervals import Share
from bullpen.insights.named import meaning_of, values_of
from bullpen.insights.patterns import LEAST_RUNS, find_patterns
from bullpen.insights.performance import performance
from bullpen.insights.queries import Change, Tuning
from bullpen.insights.runs import DEVELOPER, Factor, FinishedRun

BAR = 16  # columns of a drawn interval


@dataclass(frozen=True, slots=True)
class Known:
    """What the records say: finished runs, where the settings stand, and their changes, the newest first."""

    runs: Sequence[FinishedRun]
    tuning: Tuning | None
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class AgentRow:
    """Figures of one agent (or model, role, recipe, …). ``low`` and ``high`` bound the true share of successes at 95 %;
    costs are in millionths of a dollar, ``cost_of_success`` None before the first success.
    """

    name: str
    successes: int
    runs: int
    low: float
    high: float
    median_seconds: float
    slowest_seconds: float
    cost_micro_usd: int
    cost_of_success: int | None
    rework: float
    trend: str


@dataclass(frozen=True, slots=True)
class PatternRow:
    """A value with which runs of a kind go better, or worse. ``chance`` is that of so large a difference by luck."""

    kind: str
    factor: str
    value: str
    better: bool
    successes: int
    runs: int
    other_successes: int
    other_runs: int
    chance: float
    sentence: str


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting that may be adapted. ``state`` is set, adapted, on trial or pinned; ``set`` is what the person has set."""

    name: str
    value: str
    set: str
    state: str
    meaning: str
    since: float | None
    reason: str


def agent_rows(runs: Sequence[FinishedRun], by: str) -> list[AgentRow]:
    """Figures by agent, or by another factor, those surest to do well first.

    What is a matter of the change (its recipe, rule, size, plan) is told of those alone who made one.
    """
    asked = runs if by in ("agent", "role", "model") else [one for one in runs if one.role == DEVELOPER]
    return [
        AgentRow(
            one.name,
            one.success.successes,
            one.success.tries,
            one.success.low,
            one.success.high,
            one.median_seconds,
            one.slowest_seconds,
            one.cost.micro_usd,
            one.cost_of_success.micro_usd if one.cost_of_success is not None else None,
            one.rework,
            one.trend.value,
        )
        for one in performance(asked, Factor(by))
    ]


def pattern_rows(runs: Sequence[FinishedRun]) -> list[PatternRow]:
    """Patterns that stand out, the surest first."""
    return [
        PatternRow(
            one.kind,
            one.factor.value,
            one.value,
            one.better,
            one.share.successes,
            one.share.tries,
            one.others.successes,
            one.others.tries,
            one.chance,
            one.sentence,
        )
        for one in find_patterns(runs)
    ]


def setting_rows(known: Known, plain: Tuned) -> list[SettingRow]:
    """Every setting that may be adapted, as it holds."""
    settings = known.tuning.settings if known.tuning else plain
    was_set = values_of(plain)
    return [
        _setting_row(known, name, value, was_set.get(name, "")) for name, value in values_of(settings).items()
    ]


def _setting_row(known: Known, name: str, value: str, was_set: str) -> SettingRow:
    last = next((one for one in known.changes if one.name == name), None)
    state = _state(known.tuning, name, value, was_set)
    why = last.reason if last and state != "set" else ""
    since = last.at if last and state != "set" else None
    return SettingRow(name, value, was_set, state, meaning_of(name), since, why)


def _state(tuning: Tuning | None, name: str, value: str, was_set: str) -> str:
    if tuning is None:
        return "set"
    if name in tuning.pinned:
        return "pinned"
    trial = tuning.trial
    if trial and values_of(trial.settings).get(name) != values_of(trial.before).get(name):
        return "on trial"
    return "adapted" if value != was_set else "set"


def print_agents(rows: Sequence[AgentRow], by: str) -> None:
    """A table with the interval of each drawn; in words where there is nothing yet."""
    if not rows:
        click.echo(f"Nothing is known of any {by} yet. Run `bullpen improve PATH` first.", err=True)
        return
    table = new_table(by, "success", ">share", ">runs", ">median", ">a success", ">sent back", "trend")
    for one in rows:
        share = Share(one.successes, one.runs, one.low, one.high)
        cost = "-" if one.cost_of_success is None else f"${one.cost_of_success / 1_000_000:.2f}"
        table.add_row(
            printable(one.name),
            drawn(share),
            f"{share.rate:.0%} ({one.low:.0%}–{one.high:.0%})",
            f"{one.successes}/{one.runs}",
            duration(one.median_seconds),
            cost,
            f"{one.rework:.1f}",
            one.trend,
        )
    open_console().print(table)


def drawn(share: Share) -> str:
    """The interval as a thick part of a line from 0 to 1, with a dot at the share: ``───━━●━──``."""
    low, high = (min(BAR - 1, int(edge * BAR)) for edge in (share.low, share.high))
    dot = min(BAR - 1, int(share.rate * BAR))
    marks = ["━" if low <= place <= high else "─" for place in range(BAR)]
    marks[dot] = "●"
    return "".join(marks)


def print_patterns(rows: Sequence[PatternRow], runs: Sequence[FinishedRun]) -> None:
    """One sentence for each; where nothing stands out, what it would need."""
    for one in rows:
        mark = "+" if one.better else "-"
        click.echo(f"{mark} {printable(one.sentence)} By luck: {one.chance:.2g}.")
    if not rows:
        known = counted(len(runs), "finished run")
        click.echo(
            f"No pattern stands out in {known}. One needs {LEAST_RUNS} runs with it and {LEAST_RUNS} without, of the"
            " same kind, and a difference that is hardly luck.",
            err=True,
        )


def print_settings(rows: Sequence[SettingRow], *, adapting: bool) -> None:
    """A table, with the reason below what is not as it was set."""
    table = new_table("setting", ">value", ">set to", "state", "since", "what it is, and why")
    for one in rows:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.since)) if one.since else ""
        words = f"{one.meaning}: {one.reason}" if one.reason else one.meaning
        table.add_row(
            printable(one.name), printable(one.value), printable(one.set), one.state, since, printable(words)
        )
    open_console().print(table)
    if not adapting:
        click.echo(
            "Adapting is off. Set BULLPEN_ADAPT=true to let settings follow, from "
            f"{DEFAULT_LIMITS.least} runs on.",
            err=True,
        )
