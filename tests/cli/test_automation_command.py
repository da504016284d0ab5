"""The automation commands as people use them: nothing begins by surprise, and a killed process loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.req("SES-07")]
PIPELINE = "name: checks\n{repo}on: {{label: {{labels: [run]}}}}\ndo: {{pipeline: {{own: true}}}}\nlimits: {limits}\n"
LABELLED = {"repository": "o/r", "number": 1, "label": "run"}


@dataclass(frozen=True, slots=True)
class Desk:
    """A repository with a Makefile, a home, and the command."""

    repo: Path
    home: Path
    url: str = ""

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        environment = {**os.environ, "BULLPEN_HOME": str(self.home), "PYTHONPATH": os.pathsep.join(sys.path)}
        environment["BULLPEN_DATABASE_URL"] = self.url
        return subprocess.Popen(
            [sys.executable, "-m", "bullpen.cli.main", *map(str, arguments)],
            cwd=self.repo,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, status: int = 0) -> str:
        """What a command says, stdout and stderr."""
        process = self.start("automation", *arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == status, out + err
        return out + err

    def ask(self, *arguments: object, status: int = 0) -> Any:
        """What a command says as JSON."""
        process = self.start("automation", *arguments, "--json")
        out, err = process.communicate(timeout=240)
        assert process.returncode == status, out + err
        return json.loads(out)

    def commit(self, name: str, text: str) -> None:
        (self.repo / name).parent.mkdir(parents=True, exist_ok=True)
        (self.repo / name).write_text(text)
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        for arguments in (("add", "-A"), (*who, "commit", "-qm", name)):
            subprocess.run(("git", *arguments), cwd=self.repo, check=True)

    def at_home(self, name: str, text: str) -> None:
        (self.home / "automations").mkdir(parents=True, exist_ok=True)
        (self.home / "automations" / f"{name}.yaml").write_text(text)

    def states(self) -> list[str]:
        """Of all runs, the oldest first."""
        return [one["run"]["state"] for one in reversed(self.ask("history"))]

    def ready(self) -> subprocess.Popen[str]:
        """A process that does what is due."""
        process = self.start("automation", "run")
        assert process.stderr is not None
        assert process.stderr.readline() == "bullpen automation: ready\n"
        return process

    def stands(self, run: str) -> str:
        """How a run of a workflow stands."""
        out, _ = self.start("workflows", "runs", "--json").communicate(timeout=120)
        return next(one["stands"] for one in json.loads(out) if one["run"] == run)

    def until(self, held: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait for something the process does; if it ends before, that is told."""
        end = time.monotonic() + 120
        while not held():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.5)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path / "repo", tmp_path / "home")
    found.repo.mkdir()
    subprocess.run(("git", "init", "-q", "-b", "main"), cwd=found.repo, check=True)
    found.commit("Makefile", "test:\n\techo tested\n")
    return found


def test_from_a_template_to_a_run_and_its_history(desk: Desk) -> None:
    assert "nightly-improve" in desk.ask("templates")
    added = desk.ask("add", "triage", "--name", "mine")
    assert Path(added["path"]).is_file()
    desk.run("add", "triage", "--name", "mine", status=4)
    (listed,) = desk.ask("list")
    assert (listed["name"], listed["state"], listed["on"]) == ("mine", "not enabled", ["label"])
    desk.at_home(
        "mine", PIPELINE.format(repo=f'repo: "{desk.repo}"\n', limits="{}").replace("checks", "mine")
    )
    refused = desk.run("fire", "mine", status=2)
    assert "was enabled yet" in refused
    assert desk.ask("enable", "mine")["enabled"] is True
    (fired,) = desk.ask("fire", "mine", "--note", "please")
    assert fired["state"] == "queued"
    lines = [json.loads(one) for one in desk.run("run", "--once", "--json").splitlines()]
    assert [(one["state"], one.get("words")) for one in lines] == [
        ("ready", None),
        ("running", "it was asked for: please"),
        ("done", "1 passed"),
    ]
    (run,) = desk.ask("history", "mine")
    assert (run["automation"], run["run"]["state"]) == ("mine", "done")
    shown = desk.ask("show", "mine")
    assert (shown["shown"]["state"], shown["limits"]["per_day"], len(shown["runs"])) == ("enabled", 24, 1)
    words = desk.run("show", "mine") + desk.run("list") + desk.run("history")
    assert "it was asked for: please" in words.replace("\n", " ") or "please" in words
    assert desk.ask("disable", "mine")["enabled"] is False
    assert "is disabled" in desk.run("fire", "mine", status=4)


def test_what_a_repository_keeps_begins_only_as_it_was_allowed(desk: Desk) -> None:
    kept = PIPELINE.format(repo="", limits="{per_day: 3}")
    desk.commit(".bullpen/automations/checks.yaml", kept)
    assert desk.run("check", desk.repo / ".bullpen/automations/checks.yaml").endswith("is sound.\n")
    assert "There is no automation" in desk.run("run", "--once") + desk.run("list")
    (listed,) = desk.ask("list", "--repo", ".")
    assert listed["state"] == "not enabled"
    desk.run("enable", "checks", "--repo", ".")
    more = kept.replace("per_day: 3", "per_day: 1000").replace("own: true", "own: true, fresh: true")
    desk.commit(".bullpen/automations/checks.yaml", more)
    (listed,) = desk.ask("list", "--repo", ".")
    assert listed["state"] == "enabled; the file was changed since"
    shown = desk.ask("show", "checks")
    assert (shown["limits"]["per_day"], shown["text"]) == (3, kept)
    (desk.home / "automation.yaml").write_text("ceiling: {per_day: 2}\n")
    assert desk.ask("show", "checks")["limits"]["per_day"] == 2
    desk.run("enable", "checks", "--repo", ".")
    shown = desk.ask("show", "checks")
    assert (shown["limits"]["per_day"], shown["text"]) == (2, more)


def test_a_faulty_file_is_refused_with_the_place(desk: Desk) -> None:
    desk.at_home("bad", "name: bad\nrepo: /r\non:\n  schedule: {cron: often}\ndo: {roast: {}}\n")
    said = desk.run("enable", "bad", status=2)
    assert "line 4, column 14: on.schedule.cron: 'often' does not have five fields" in said
    assert "line 4, column 14" in desk.run("check", desk.home / "automations" / "bad.yaml", status=2)
    (listed,) = desk.ask("list")
    assert (listed["state"], "five fields" in listed["problem"]) == ("faulty", True)


def test_a_payload_is_told_from_a_file_and_a_stranger_s_text_stays_text(desk: Desk, tmp_path: Path) -> None:
    desk.at_home("checks", PIPELINE.format(repo=f'repo: "{desk.repo}"\n', limits="{}"))
    desk.run("enable", "checks")
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({**LABELLED, "title": "$(touch /tmp/x) \x1b[31m"}))
    (fired,) = desk.ask("fire", "checks", "--payload", payload)
    assert (fired["state"], fired["reason"]) == ("queued", "")
    (again,) = desk.ask("fire", "checks", "--payload", payload, status=1)
    assert again["reason"] == "this was told before, and began a run then"
    payload.write_text(json.dumps({**LABELLED, "label": "walk"}))
    assert "is not meant" in desk.run("fire", "checks", "--payload", payload, status=1)
    payload.write_text("[1, 2")
    assert "neither JSON nor YAML" in desk.run("fire", "checks", "--payload", payload, status=2)


def test_the_hook_is_a_line_that_looks_at_once(desk: Desk) -> None:
    text = PIPELINE.format(repo=f'repo: "{desk.repo}"\n', limits="{}")
    desk.at_home("checks", text.replace("label: {labels: [run]}", "push: {every: 1h}"))
    desk.run("enable", "checks")
    line = desk.run("hook", "checks").splitlines()[-1]
    assert line.startswith(f"BULLPEN_HOME={desk.home} bullpen automation fire aut-")
    assert desk.ask("fire", "checks", "--look") == []
    desk.commit("a.txt", "a")
    (fired,) = desk.ask("fire", "checks", "--look")
    assert fired["state"] == "queued"


def test_one_process_of_a_home_does_what_is_due_and_sigterm_ends_it(desk: Desk) -> None:
    process = desk.ready()
    assert "Another `bullpen automation run` works in this home." in desk.run("run", status=4)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in out + err) == (0, False)


def test_a_killed_process_loses_nothing_and_repeats_nothing(desk: Desk) -> None:
    """One job has ended, the other is under way when the process is killed; the next process goes on there."""
    desk.commit("Makefile", "test:\n\techo tested\nlint:\n\tsleep 4\n")
    desk.at_home("checks", PIPELINE.format(repo=f'repo: "{desk.repo}"\n', limits="{}"))
    desk.run("enable", "checks")
    desk.run("fire", "checks")
    process = desk.ready()

    def results() -> dict[Path, int]:
        found = desk.home.glob("sessions/*/pipeline/results/*.json")
        return {one: one.stat().st_mtime_ns for one in found}

    desk.until(lambda: len(results()) == 1, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    first = results()
    desk.run("run", "--once")
    (run,) = desk.ask("history")
    assert (run["run"]["state"], run["run"]["reason"], run["run"]["attempts"]) == ("done", "2 passed", 2)
    assert len(results()) == 2
    assert first.items() <= results().items()


def test_a_workflow_that_sleeps_goes_on_by_itself_and_one_that_was_killed_too(desk: Desk) -> None:
    """Nobody calls `workflows wake`: the process does, also for a run whose own process was killed in a step."""
    nap = "name: nap\nversion: 1\nsteps:\n  - {id: rest, kind: sleep, with: {for: 1s}}\n  - {id: end, kind: note, needs: [rest], with: {text: up}}\n"
    work = "name: work\nversion: 1\nsteps:\n  - {id: a, kind: command, with: {run: echo a >> log; touch begun}}\n  - {id: b, kind: command, needs: [a], with: {run: touch under-way; sleep 5; echo b >> log}}\n"
    desk.commit(".bullpen/workflows/nap.yaml", nap)
    desk.commit(".bullpen/workflows/work.yaml", work)
    slept = desk.start("workflows", "run", "nap", "--session", "ses-nap", "--json")
    out, err = slept.communicate(timeout=120)
    assert json.loads(out)["outcome"] == "waiting", err
    killed = desk.start("workflows", "run", "work", "--session", "ses-work", "--json")
    desk.until(lambda: bool(list(desk.home.glob("sessions/ses-work/worktrees/*/wt-*/under-way"))), killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    process = desk.ready()
    for name in ("ses-nap", "ses-work"):
        desk.until(lambda name=name: desk.stands(name) == "done", process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    (log,) = desk.home.glob("sessions/ses-work/worktrees/*/wt-*/log")
    assert log.read_text() == "a\nb\n"


@pytest.mark.req("WFL-03")
@pytest.mark.needs("postgresql")
def test_workers_of_a_shared_database_do_what_is_due_once_and_wake_what_sleeps(
    desk: Desk, postgres_url: str
) -> None:
    shared = replace(desk, url=postgres_url)
    nap = "name: nap\nversion: 1\nsteps:\n  - {id: rest, kind: sleep, with: {for: 1s}}\n  - {id: end, kind: note, needs: [rest], with: {text: up}}\n"
    shared.commit(".bullpen/workflows/nap.yaml", nap)
    text = PIPELINE.format(repo=f'repo: "{shared.repo}"\n', limits="{}")
    shared.at_home("checks", text.replace("pipeline: {own: true}", "workflow: {name: nap}"))
    shared.run("enable", "checks")
    shared.run("fire", "checks")
    workers = [shared.start("worker", "--json") for _ in range(2)]
    shared.until(lambda: shared.states() == ["done"], workers[0])
    for one in workers:
        one.send_signal(signal.SIGTERM)
        assert one.wait(120) == 0
    (run,) = shared.ask("history")
    assert (run["run"]["attempts"], run["run"]["reason"]) == (1, "its session is done")
