"""Workflows run by the real command in the real sandbox: killed, paused, retried, taken back, sent back."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.flow.definitions.conftest import Desk

pytestmark = [pytest.mark.slow, pytest.mark.req("WFL-02", "WFL-03")]
Steps = Callable[[str], dict[str, str]]


def workflow(name: str, steps: str, head: str = "") -> str:
    return f"name: {name}\nversion: 1\n{head}steps:\n{steps}"


def test_the_default_workflow_runs_from_initialize_to_validation(desk: Desk, steps_of: Steps) -> None:
    (desk.repo / "test_one.py").write_text("def test_one():\n    assert 1 + 1 == 2\n")
    desk.write("other", workflow("other", "  - {id: a, kind: note, with: {text: a}}\n"))
    assert desk.ask("workflows", "run", "default", "--session", "d")["outcome"] == "done"
    assert list(steps_of("d").values()) == ["done"] * 7
    assert desk.ask("workflows", "show", "d")["steps"]["testing"]["measured"]["tests_passed"] == 1


def test_killed_in_the_middle_it_goes_on_after_the_last_stored_step(desk: Desk, steps_of: Steps) -> None:
    desk.write(
        "long",
        workflow(
            "long",
            "  - {id: one, kind: command, with: {run: echo one >> done}}\n"
            "  - {id: two, kind: command, needs: [one], with: {run: 'echo two >> begun; test -e go || sleep 100'}}\n"
            "  - {id: three, kind: command, needs: [two], with: {run: echo three >> done}}\n",
        ),
    )
    process = desk.start("workflows", "run", "long", "--session", "k")
    deadline = time.monotonic() + 120
    while "two" not in desk.file("k", "begun"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    edited = workflow("long", "  - {id: other, kind: note, with: {text: edited}}\n")
    desk.write("long", edited)  # a running one keeps its version
    (folder,) = {one.parent for one in (desk.home / "sessions" / "k").rglob("begun")}
    (folder / "go").touch()
    (woken,) = desk.ask("workflows", "wake")
    assert woken["outcome"] == "done"
    assert desk.file("k", "done") == "one\nthree\n"
    assert desk.file("k", "begun") == "two\ntwo\n"  # a step that had not ended is run again
    assert list(steps_of("k")) == ["one", "two", "three"]


def test_a_step_is_tried_again_until_it_passes_or_the_tries_are_used_up(desk: Desk) -> None:
    count = "echo x >> tries-$N; test $(wc -l < tries-$N) -ge 3"
    steps = "".join(
        f"  - {{id: {name}, kind: command, with: {{run: '{count}', env: {{N: {name}}}}}, "
        f"retry: {{tries: {tries}, pause: 1ms, backoff: 1.5}}, when: always()}}\n"
        for name, tries in (("enough", 5), ("few", 2))
    )
    desk.write("flaky", workflow("flaky", steps))
    ended = desk.ask("workflows", "run", "flaky", "--session", "f", status=1)
    shown = desk.ask("workflows", "show", "f")["steps"]
    assert (shown["enough"]["state"], shown["enough"]["tries"]) == ("done", 3)
    assert (shown["few"]["state"], shown["few"]["tries"]) == ("failed", 2)
    assert ended["reason"].startswith("The step few failed: it exited with status 1")


def test_finished_steps_are_taken_back_in_reverse_order(desk: Desk) -> None:
    steps = "".join(
        f"  - {{id: {name}, kind: command, needs: [{need}], with: {{run: echo {name} >> log}}, "
        f"on_failure: [{{kind: command, with: {{run: echo undo-{name} >> log}}}}]}}\n"
        for name, need in (("a", ""), ("b", "a"), ("c", "b"))
    )
    steps += (
        "  - {id: bad, kind: command, needs: [c], with: {run: exit 7}, timeout: 5s,"
        " on_failure: [{kind: command, with: {run: echo never >> log}}]}\n"
        "  - {id: later, kind: command, needs: [bad], with: {run: echo later >> log}}\n"
        "  - {id: told, kind: note, needs: [bad], when: failure(), with: {text: '${{ steps.bad.reason }}'}}\n"
    )
    desk.write("saga", workflow("saga", steps))
    ended = desk.ask("workflows", "run", "saga", "--session", "s", status=1)
    assert ended["undone"] == ["c", "b", "a"]
    assert desk.file("s", "log").split() == ["a", "b", "c", "undo-c", "undo-b", "undo-a"]
    shown = desk.ask("workflows", "show", "s")["steps"]
    assert shown["later"]["state"] == "skipped"
    assert shown["told"]["output"] == "it exited with status 7"


def test_a_step_that_takes_too_long_fails(desk: Desk) -> None:
    steps = "  - {id: slow, kind: command, timeout: 300ms, with: {argv: [sleep, '100']}}\n"
    desk.write("slow", workflow("slow", steps))
    ended = desk.ask("workflows", "run", "slow", status=1)
    assert "timeout" in ended["reason"]


@pytest.mark.parametrize(("answer", "outcome"), [("approve", "done"), ("deny", "failed")])
def test_it_waits_for_a_person_and_goes_on_with_the_answer(desk: Desk, answer: str, outcome: str) -> None:
    steps = (
        "  - {id: ask, kind: approval, with: {question: 'Publish?', by: the owner}}\n"
        "  - {id: publish, kind: command, needs: [ask], with: {run: echo published >> log}}\n"
    )
    desk.write("release", workflow("release", steps))
    ended = desk.ask("workflows", "run", "release", "--session", "r")
    assert ended["outcome"] == "waiting"
    assert desk.ask("workflows", "wake") == []
    (asked,) = desk.ask("approvals")
    assert asked["reason"] == "Publish? (for the owner)"
    subprocess.run(desk.argv(answer, asked["id"]), env=desk.environment, check=True, capture_output=True)
    (woken,) = desk.ask("workflows", "wake")
    assert woken["outcome"] == outcome
    assert desk.file("r", "log") == ("published\n" if outcome == "done" else "")
    assert desk.ask("workflows", "wake") == []


def test_it_sleeps_for_days_without_running(desk: Desk, steps_of: Steps) -> None:
    steps = (
        "  - {id: long, kind: sleep, with: {for: 9d}}\n  - {id: past, kind: sleep, with: {until: 2020-01-01}}\n"
        "  - {id: after, kind: note, needs: [long], with: {text: done}}\n"
    )
    desk.write("nap", workflow("nap", steps))
    ended = desk.ask("workflows", "run", "nap", "--session", "n")
    assert ended["outcome"] == "waiting"
    assert ended["waits"][0]["until"] > time.time() + 8 * 86_400
    assert steps_of("n") == {"long": "waiting", "past": "done", "after": "open"}
    assert desk.ask("workflows", "wake") == []
    later = {**desk.environment, "SOURCE_DATE_EPOCH": str(int(time.time() + 10 * 86_400))}
    done = subprocess.run(desk.argv("workflows", "wake"), env=later, capture_output=True, text=True)
    assert done.stdout.strip() == "n: done", done.stderr
    assert steps_of("n")["after"] == "done"


def test_a_gate_sends_the_work_back_with_what_is_missing(desk: Desk) -> None:
    steps = (
        "  - {id: analyse, kind: command, with: {run: 'echo \"$M\" >> log; wc -l < log | sed s/^/::measure\\ rounds=/',"
        " env: {M: '${{ missing }}'}}}\n"
        "  - {id: build, kind: command, needs: [analyse], with: {run: echo built >> log2}}\n"
        "  - {id: validate, kind: gate, needs: [build], gate: {rounds: '>=3'}, send_back: {to: analyse, most: 5}}\n"
    )
    desk.write("loop", workflow("loop", steps))
    assert desk.ask("workflows", "run", "loop", "--session", "l")["outcome"] == "done"
    assert desk.file("l", "log") == "\nrounds: 1 misses >= 3\nrounds: 2 misses >= 3\n"
    assert desk.file("l", "log2") == "built\n" * 3


def test_a_child_waits_and_its_parent_with_it(desk: Desk, steps_of: Steps) -> None:
    desk.write(
        "child",
        workflow(
            "child",
            "  - {id: ask, kind: approval, with: {question: 'Go ${{ params.who }}?'}}\n"
            "  - {id: do, kind: command, needs: [ask], with: {run: echo child >> log}}\n",
            "params: {who: nobody}\n",
        ),
    )
    desk.write(
        "parent",
        workflow(
            "parent",
            "  - {id: call, kind: workflow, with: {name: child, params: {who: Ada}}}\n"
            "  - {id: after, kind: command, needs: [call], with: {run: echo parent >> log}}\n",
        ),
    )
    ended = desk.ask("workflows", "run", "parent", "--session", "p")
    assert [one["step"] for one in ended["waits"]] == ["call/ask"]
    (asked,) = desk.ask("approvals")
    assert asked["reason"].startswith("Go Ada?")
    approve = desk.argv("approve", asked["id"])
    said = subprocess.run(approve, env=desk.environment, check=True, capture_output=True, text=True).stdout
    assert "bullpen workflows wake" in said
    (woken,) = desk.ask("workflows", "wake")
    assert woken["outcome"] == "done"
    assert desk.file("p", "log") == "child\nparent\n"
    assert set(steps_of("p").values()) == {"done"}


def test_a_failed_run_taken_up_again_does_only_what_is_left(desk: Desk) -> None:
    steps = (
        "  - {id: one, kind: command, with: {run: echo one >> log}}\n"
        "  - {id: two, kind: command, needs: [one], with: {run: 'test -e log2 || { touch log2; exit 1; }'}}\n"
        "  - {id: three, kind: command, needs: [two], with: {run: echo three >> log}}\n"
    )
    desk.write("again", workflow("again", steps))
    assert desk.ask("workflows", "run", "again", "--session", "a", status=1)["outcome"] == "failed"
    assert desk.ask("workflows", "resume", "a")["outcome"] == "done"
    assert desk.file("a", "log") == "one\nthree\n"
    assert desk.ask("workflows", "resume", "a", status=4)["error"] == "conflict"


def test_values_never_become_part_of_a_shell_text(desk: Desk) -> None:
    steps = (
        "  - {id: say, kind: command, with: {argv: [printf, '%s', \"${{ params.text }}\"]}}\n"
        "  - {id: env, kind: command, with: {run: 'printf \"%s\" \"$T\"', env: {T: '${{ params.text }}'}}}\n"
    )
    desk.write("quote", workflow("quote", steps, "params: {text: ''}\n"))
    hostile = "$(touch /work/owned); `id` ' \" ${{ x }}"
    ran = desk.ask("workflows", "run", "quote", "--param", f"text={hostile}", "--session", "q")
    assert ran["outcome"] == "done"
    shown = desk.ask("workflows", "show", "q")["steps"]
    assert shown["say"]["output"] == shown["env"]["output"] == hostile


def test_faults_of_a_file_are_said_with_line_and_column(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(workflow("x", "  - {id: a, kind: comand}\n"))
    found = desk.ask("workflows", "check", file, status=2)["faults"]
    assert [(one["line"], one["column"], one["sentence"]) for one in found] == [
        (4, 13, "there is no kind of step 'comand'.")
    ]
    desk.write("bad", "name: bad\nversion: 1\nsteps: [}\n")
    told = desk.ask("workflows", "run", "bad", status=2)
    assert ".bullpen/workflows/bad.yaml, line 3, column 9" in told["sentence"]
    listed = {one["name"]: one["sound"] for one in desk.ask("workflows", "list")}
    assert listed == {"bad": False, "default": True, "incident": True, "release": True}
