"""The summary of a session, for people."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bullpen.cli.outcome import Group, Outcome, Tested
from bullpen.cli.output import SEVERITY_STYLES, counted, duration, new_table, printable
from bullpen.domain.finding import Severity

_WORST_FIRST = tuple(reversed(Severity))
_MOST_WAYS = 4


def print_summary(console: Console, outcome: Outcome) -> None:
    """What was found, done and left, where it is, and what to do next."""
    _say(console, _headline(outcome), "bold")
    for note in outcome.notes:
        _say(console, f"  Note: {note}.", "dim")
    if outcome.is_clean or not outcome.findings_before:
        _print_unfinished(console, outcome)
        _print_next(console, outcome)
        return
    if outcome.dry_run:
        _print_plan(console, outcome)
    else:
        _print_findings(console, outcome)
        _print_items(console, outcome)
        _print_tests(console, outcome)
    _print_next(console, outcome)


def _headline(outcome: Outcome) -> str:
    name = printable(outcome.project.rstrip("/").rsplit("/", 1)[-1])
    if outcome.problem:
        return f"{name}: {printable(outcome.problem)}"
    if outcome.is_clean:
        return f"{name} is clean: no analyser found anything to improve. Nothing was changed."
    if outcome.dry_run:
        ready = sum(item.state == "ready" for item in outcome.plan)
        return f"{name}: {counted(ready, 'item')} would be worked on. Nothing was changed (dry run)."
    if outcome.paused:
        return f"{name}: paused after {counted(outcome.done.count, 'change')}."
    took = f"in {duration(outcome.seconds)}"
    if not outcome.done.count:
        return f"{name}: nothing could be changed with proof, {took}."
    first = outcome.first_change_seconds
    soon = f", the first after {duration(first)}" if first is not None else ""
    words = f"{counted(outcome.done.count, 'change')}, each proved, {took}{soon}"
    return f"{name}: {words}; models cost {outcome.cost_usd}."


def _print_findings(console: Console, outcome: Outcome) -> None:
    table = new_table("findings", ">before", ">after", ">change")
    for severity in _WORST_FIRST:
        name = severity.name.lower()
        before, after = outcome.findings_before[name], outcome.findings_after[name]
        if before or after:
            style = SEVERITY_STYLES[severity]
            table.add_row(Text(name, style), str(before), str(after), _change(before, after))
    before, after = sum(outcome.findings_before.values()), sum(outcome.findings_after.values())
    table.add_section()
    table.add_row("all", str(before), str(after), _change(before, after))
    console.print(table)


def _change(before: int, after: int) -> Text:
    if before == after:
        return Text("=", "dim")
    return Text(f"{after - before:+d}", "green" if after < before else "red")


def _print_items(console: Console, outcome: Outcome) -> None:
    table = new_table("items", ">count", "why")
    rows: Mapping[str, Group] = {
        "done": outcome.done,
        "failed": outcome.failed,
        "skipped": outcome.skipped,
        "waiting": outcome.waiting,
        "not started": outcome.left,
    }
    for name, group in rows.items():
        if group.count:
            table.add_row(name, str(group.count), _ways(group))
    console.print(table)


def _ways(group: Group) -> Text:
    ways = list(group.ways.items())
    words = [
        f"{count} × {printable(way)}" if len(ways) > 1 else printable(way) for way, count in ways[:_MOST_WAYS]
    ]
    if len(ways) > _MOST_WAYS:
        words.append(f"{sum(count for _, count in ways[_MOST_WAYS:])} × other reasons")
    return Text("\n".join(words))


def _print_tests(console: Console, outcome: Outcome) -> None:
    before, after = outcome.tests_before, outcome.tests_after or outcome.tests_before
    if before is None or after is None:
        return
    if before.end == "no-tests":
        _say(console, "tests     none found; only changes that keep behaviour by construction were made")
        return
    _say(console, f"tests     {_tests(before)} → {_tests(after)}")
    _print_unfinished(console, outcome)
    if before.coverage is not None and after.coverage is not None:
        _say(console, f"coverage  {before.coverage:.1%} → {after.coverage:.1%} of lines")


def _print_unfinished(console: Console, outcome: Outcome) -> None:
    notes = dict.fromkeys(run.note for run in (outcome.tests_before, outcome.tests_after) if run)
    for note in filter(None, notes):
        _say(console, f"          {printable(note)}", "yellow")


def _tests(run: Tested) -> str:
    words = f"{run.passed} pass, {run.failed} fail"
    return words if run.end == "finished" else f"{words} (the run ended: {run.end})"


def _print_plan(console: Console, outcome: Outcome) -> None:
    table = new_table(">priority", "state", "severity", "rule", "recipe", "item")
    for item in outcome.plan:
        severity = Text(item.severity, SEVERITY_STYLES[Severity[item.severity.upper()]])
        table.add_row(
            f"{item.priority:.1f}", item.state, severity, item.rule, item.recipe or "-", printable(item.title)
        )
    console.print(table)


def _print_next(console: Console, outcome: Outcome) -> None:
    steps = list(_next_steps(outcome))
    width = max((len(label) for label, _ in steps), default=0)
    for label, step in steps:
        console.print(Text(f"{label:<{width}}  ", "dim") + Text(printable(step)), soft_wrap=True)


def _next_steps(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Labels and commands that can be copied as they are."""
    repository = shlex.quote(outcome.project)
    if outcome.branch:
        there = f"git -C {shlex.quote(outcome.where)}"
        yield "look", f"{there} log -p {outcome.base[:12]}..{outcome.branch}"
        yield "take", f"{there} merge {outcome.branch}"
        yield "check", f"bullpen verify {outcome.commit[:12]}"
    if page := outcome.reports.get("html") or outcome.reports.get("markdown"):
        yield "report", page
    elif outcome.reports:
        yield "reports", str(Path(next(iter(outcome.reports.values()))).parent)
    if outcome.dry_run and any(item.state == "ready" for item in outcome.plan):
        yield "do it", f"bullpen improve {repository}"
    if outcome.approvable:
        rules = " ".join(f"--approve {shlex.quote(rule)}" for rule in list(outcome.approvable)[:6])
        waiting = counted(sum(outcome.approvable.values()), "waiting item")
        again = "" if outcome.dry_run else f"--resume --session {outcome.session} "
        yield "approve", f"bullpen improve {repository} {again}{rules}   # {waiting}"
    if outcome.problem and outcome.remedy:
        yield "remedy", outcome.remedy
    if outcome.problem or outcome.paused:
        yield "go on", f"bullpen improve {repository} --resume --session {outcome.session}"


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), soft_wrap=True)
