"""Files of automations: what is wrong with them is said with its line and column before anything is believed."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import BullpenError, InvalidInput, NotFound
from bullpen.flow.automation.ceiling import Ceiling, held_to, read_ceiling
from bullpen.flow.automation.check import faults_of, job_inputs, read_automation
from bullpen.flow.automation.library import automation_in, from_template, home_sources, template_sources
from bullpen.flow.automation.model import Limits
from bullpen.flow.automation.triggers.base import TRIGGERS, Trigger, path_matches
from bullpen.flow.definitions.model import Source

pytestmark = pytest.mark.req("SES-07")

SOUND = """\
name: night
on:
  schedule: {cron: "0 3 * * *"}
do:
  improve: {max: 5}
limits: {budget: 2.5}
"""


def faults(text: str, *, in_repository: bool = True) -> list[str]:
    found = faults_of(Source("night", "night.yaml", text), in_repository=in_repository)
    return [str(one).removeprefix("night.yaml, ") for one in found]


def test_a_sound_file_has_no_faults() -> None:
    assert faults(SOUND) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "0 3 *",
            "0 99 *",
            "line 3, column 14: on.schedule.cron: '0 99 * * *' is no cron expression: bad hour.",
        ),
        ('* *"}', '* *", zone: Berlin}', "line 3, column 33: on.schedule.zone: 'Berlin' is no time zone"),
        ("schedule:", "shedule:", "line 3, column 3: there is no trigger 'shedule'."),
        ("improve:", "improv:", "line 5, column 3: there is no job 'improv'."),
        ("max: 5", "maxx: 5", "line 5, column 13: 'maxx' is not known here."),
        ("max: 5", "max: many", "line 5, column 13: do.improve.max: input should be a valid integer"),
        ("budget: 2.5", "budget: lots", "line 6, column 10: limits.budget: 'lots' is not an amount of money"),
        ("budget: 2.5", "late: 90d", "line 6, column 10: limits.late: input should be less than"),
        ("budget: 2.5", "concurrency: both", "line 6, column 10: limits.concurrency: input should be"),
        ("name: night", "name: Night Shift", "line 1, column 1: name: string should match"),
        (
            "do:\n  improve: {max: 5}",
            "do: {roast: {}}",
            "line 5, column 10: a budget cannot be held to by the job",
        ),
        ("do:\n", "do:\n  roast: {}\n", "line 4, column 1: do: value should have at most 1 item"),
        (
            "max: 5",
            'goal: "${{ trigger.title }}"',
            "line 5, column 13: trigger.title: no trigger of this file",
        ),
        ("max: 5", 'goal: "${{ env.HOME }}"', "line 5, column 13: there is no 'env'; there is: trigger."),
        ("max: 5", 'goal: "${{ trigger. }}"', "line 5, column 13:"),
        ("do:", "repo: /elsewhere\ndo:", "line 4, column 1: a file in a repository is about that repository"),
    ],
)
def test_a_fault_is_told_with_its_place(old: str, new: str, said: str) -> None:
    assert old in SOUND
    found = faults(SOUND.replace(old, new))
    assert [one for one in found if one.startswith(said)], found


def test_one_in_the_home_names_its_repository() -> None:
    assert faults(SOUND, in_repository=False) == ["line 1, column 1: 'repo' is missing."]
    assert faults(f"repo: /r\n{SOUND}", in_repository=False) == []


@pytest.mark.parametrize(
    "text", ["", "- a", "name: [", "a: b", "x: &a [*a]", "on: {push: 3}\nname: n\ndo: {roast:}"]
)
def test_whatever_else_it_holds_it_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput, match="line"):
        read_automation(Source("night", "night.yaml", text), in_repository=True)


@given(st.text(max_size=200))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    with suppress(BullpenError):
        read_automation(Source("night", "night.yaml", text), in_repository=True)


def test_a_file_is_called_as_its_automation() -> None:
    with pytest.raises(InvalidInput, match="names its automation 'night'"):
        automation_in(Source("day", "day.yaml", SOUND), in_repository=True)


def test_a_push_without_options_is_any_push() -> None:
    assert faults("name: night\non:\n  push:\ndo:\n  roast:\n") == []


# --- what a trigger tells a job ---------------------------------------------------------------------------------------


def test_a_job_is_given_what_the_trigger_told_and_nothing_of_it_is_taken_for_an_expression() -> None:
    text = 'name: night\non: {label: {labels: [x]}}\ndo: {improve: {goal: "Do ${{ trigger.title }}"}}\n'
    automation = read_automation(Source("night", "n", text), in_repository=True)
    title = "${{ trigger.number }} $(rm -rf /)"
    given_ = job_inputs(automation, Trigger("label", "k", "s", {"title": title}))
    assert given_.model_dump()["goal"] == f"Do {title}"


def test_what_does_not_fit_is_refused() -> None:
    text = "name: night\non: {alert: {}}\ndo: {workflow: {name: '${{ trigger.name }}'}}\n"
    automation = read_automation(Source("night", "n", text), in_repository=True)
    with pytest.raises(InvalidInput, match=r"does not fit workflow\.name"):
        job_inputs(automation, Trigger("alert", "k", "s", {"name": "../../etc"}))


# --- templates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [one.name for one in template_sources()])
def test_a_template_is_sound_at_home_and_in_a_repository(name: str) -> None:
    here = from_template(name, name="mine", repo='/a "strange" \\ folder')
    read = automation_in(Source("mine", "mine.yaml", here), in_repository=False)
    assert (read.name, read.repo) == ("mine", '/a "strange" \\ folder')
    assert read.title
    assert automation_in(Source(name, "x", from_template(name)), in_repository=True).name == name


def test_the_common_jobs_have_templates() -> None:
    names = {one.name for one in template_sources()}
    assert {"nightly-improve", "dependency-update", "triage", "release", "incident"} <= names
    with pytest.raises(NotFound, match="triage"):
        from_template("tirage")


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="name"):
        from_template("triage", name="x\nrepo: /elsewhere")


def test_a_file_at_home_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "automations").mkdir()
    (tmp_path / "automations" / "a.yaml").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match=r"a\.yaml cannot be read"):
        home_sources(tmp_path)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_repository_is_held_to_the_ceiling_of_the_home(tmp_path: Path) -> None:
    (tmp_path / "automation.yaml").write_text(
        "summaries: [file]\nceiling: {budget: 3, per_day: 5, time: 1h}\n"
    )
    ceiling = read_ceiling(tmp_path)
    asked = Limits.model_validate({"budget": "50", "per_day": 100, "time": "2d"})
    assert (held_to(asked, ceiling).budget, held_to(asked, ceiling).per_day) == ("3", 5)
    assert held_to(asked, ceiling).time == 3600.0
    assert held_to(Limits(), ceiling).budget == "3"
    assert held_to(Limits.model_validate({"budget": "1.5"}), ceiling).budget == "1.5"
    assert held_to(asked, Ceiling()).budget == "50"


@pytest.mark.parametrize(
    "text", ["ceiling: {budget: much}", "ceiling: {speed: 3}", "ceiling: [", "ceiling: 3"]
)
def test_a_ceiling_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "automation.yaml").write_text(text)
    with pytest.raises(InvalidInput, match="cannot be used"):
        read_ceiling(tmp_path)


# --- patterns of paths ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("src/", "src/a/b.py", True),
        ("src/", "src2/a.py", False),
        ("*.py", "a.py", True),
        ("*.py", "src/a.py", False),
        ("**/*.py", "src/a.py", True),
        ("**/*.py", "a.py", True),
        ("**/pyproject.toml", "pyproject.toml", True),
        ("docs/**", "docs/a/b.md", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
        ("[x]", "[x]", True),
        ("*.md", "odd\nname.md", True),
    ],
)
def test_patterns_of_paths(pattern: str, path: str, meant: bool) -> None:
    assert path_matches(pattern, path) is meant


def test_payloads_are_json() -> None:
    for name in TRIGGERS.names():
        assert json.loads(json.dumps(TRIGGERS.load(name).payload.model_json_schema()))
