"""Folders of agents: what is found, what is set aside and why, what is read again."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agents.script_agents import write_agent, write_good, write_program

from bullpen.agents.discovery import Discovery, Source, discover, watch
from bullpen.agents.manifest import AgentLimits, parse_embedded, parse_manifest
from bullpen.agents.namespaces import find_namespaces, namespace_of, sources_of
from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.money import Money
from bullpen.sandbox.base import MEBIBYTE

HEAD = "name: {}\nversion: 1.0.0\npurpose: Is found in a folder.\n"


def names(found: Discovery) -> list[str]:
    return [name for _, name in found.agents]


def reasons(found: Discovery) -> dict[str, str]:
    return {Path(one.source).name: one.reason for one in found.quarantined}


@pytest.mark.req("AGT-05")
def test_all_ways_to_write_an_agent_are_found(tmp_path: Path) -> None:
    write_good(tmp_path, "embedded")
    write_program(tmp_path, "beside.sh", "#!/bin/sh\n")
    (tmp_path / "beside.yaml").write_text(HEAD.format("beside"))
    write_program(tmp_path, "other-program", "#!/bin/sh\n")
    (tmp_path / "named.toml").write_text(
        'name = "named"\nversion = "2.1"\npurpose = "Names its program."\ncommand = ["./other-program", "-v"]\n'
    )
    write_program(tmp_path / "whole", "run", "#!/bin/sh\n")
    (tmp_path / "whole" / "agent.yaml").write_text(HEAD.format("whole") + "command: [./run]\n")
    (tmp_path / "far.yaml").write_text(HEAD.format("far") + "kind: remote\nurl: https://agents.example/one\n")
    (tmp_path / "notes.txt").write_text("no agent")
    (tmp_path / "role.md").write_text("no agent either")
    found = discover([Source(tmp_path)])
    assert names(found) == ["beside", "embedded", "far", "named", "whole"]
    assert found.quarantined == ()
    assert found.agents["", "beside"].entry == "beside.sh"
    assert found.agents["", "whole"].entry == ""


@pytest.mark.req("AGT-05")
def test_what_is_faulty_is_set_aside_and_the_others_load(tmp_path: Path) -> None:
    write_good(tmp_path, "a-good")
    write_program(tmp_path, "b-bare", "#!/bin/sh\n")
    (tmp_path / "c-nothing.yaml").write_text(HEAD.format("c-nothing"))
    (tmp_path / "d-broken.yaml").write_text("name: [\n")
    (tmp_path / "e-bytes.yaml").write_bytes(b"name: \xff\n")
    (tmp_path / "f-plain.sh").write_text("#!/bin/sh\n")
    (tmp_path / "f-plain.yaml").write_text(HEAD.format("f-plain"))
    write_agent(tmp_path, "g-limits", "true", limits="{memory_mb: -1}")
    (tmp_path / "h-folder").mkdir()
    (tmp_path / "i-up.yaml").write_text(HEAD.format("i-up") + "command: [./../../bin/sh]\n")
    (tmp_path / "j-link").symlink_to("/bin/sh")
    os.mkfifo(tmp_path / "k-pipe.yaml")
    (tmp_path / "l-long.yaml").write_text("# " + "x" * 70_000)
    (tmp_path / "m-kind.yaml").write_text(HEAD.format("m-kind") + "kind: magic\n")
    (tmp_path / "n-far.yaml").write_text(HEAD.format("n-far") + "kind: remote\nurl: http://user:key@host/\n")
    found = discover([Source(tmp_path)])
    assert names(found) == ["a-good"]
    why = reasons(found)
    assert set(why) == {path.name for path in tmp_path.iterdir()} - {"a-good", "j-link", "f-plain.sh"}
    assert why["b-bare"].startswith("b-bare: an executable without a manifest.")
    assert why["f-plain.yaml"] == "f-plain.sh: not executable. chmod +x f-plain.sh"
    assert "limits.memory_mb" in why["g-limits"]
    assert "not UTF-8 at byte 6" in why["e-bytes.yaml"]


@pytest.mark.req("AGT-05")
def test_one_that_registers_twice_is_set_aside(tmp_path: Path) -> None:
    write_good(tmp_path / "one", "counter")
    write_good(tmp_path / "two", "counter")
    found = discover([Source(tmp_path / "one"), Source(tmp_path / "two")], taken=("developer",))
    assert found.agents["", "counter"].folder == tmp_path / "one"
    assert reasons(found)["counter"] == (
        f"The name 'counter' is registered already, by {tmp_path / 'one' / 'counter'}."
    )


def test_no_script_takes_the_name_of_a_role(tmp_path: Path) -> None:
    write_good(tmp_path, "developer")
    found = discover([Source(tmp_path)], taken=("developer",))
    assert names(found) == []
    assert "belongs to a role" in reasons(found)["developer"]


@pytest.mark.req("AGT-05")
def test_a_change_is_a_new_generation_and_nothing_else_is_read_again(tmp_path: Path) -> None:
    write_good(tmp_path, "same")
    program = write_good(tmp_path, "changing")
    first = discover([Source(tmp_path)])
    program.write_text(program.read_text().replace("version: 1.0.0", "version: 1.1.0"))
    second = discover([Source(tmp_path)], first)
    assert second.agents["", "same"] is first.agents["", "same"]
    changed = second.agents["", "changing"]
    assert (changed.manifest.version, changed.generation) == ("1.1.0", 2)
    assert changed.revision != first.agents["", "changing"].revision
    program.unlink()
    assert names(discover([Source(tmp_path)], second)) == ["same"]


def test_the_program_beside_a_manifest_is_watched_too(tmp_path: Path) -> None:
    program = write_program(tmp_path, "beside.sh", "#!/bin/sh\n")
    (tmp_path / "beside.yaml").write_text(HEAD.format("beside"))
    first = discover([Source(tmp_path)])
    program.write_text("#!/bin/sh\necho more\n")
    assert discover([Source(tmp_path)], first).agents["", "beside"].generation == 2


def test_what_was_set_aside_is_looked_at_again_once_it_changes(tmp_path: Path) -> None:
    (tmp_path / "late.yaml").write_text(HEAD.format("late"))
    first = discover([Source(tmp_path)])
    assert names(first) == []
    write_program(tmp_path, "late.sh", "#!/bin/sh\n")
    assert names(discover([Source(tmp_path)], first)) == ["late"]


@pytest.mark.req("AGT-05")
async def test_a_watched_folder_tells_of_changes(tmp_path: Path) -> None:
    changes = watch([tmp_path])
    waiting = asyncio.create_task(anext(changes))
    for number in range(100):  # one of them is made after the watch has begun
        write_good(tmp_path, f"new-{number}")
        if (await asyncio.wait({waiting}, timeout=0.3))[0]:
            break
    assert waiting.done()
    await changes.aclose()
    assert "new-0" in names(discover([Source(tmp_path)]))


async def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await anext(watch([tmp_path / "none"]))


def test_a_repository_brings_scripts_alone_with_limits_no_higher(tmp_path: Path) -> None:
    write_agent(tmp_path, "a-greedy", "true", limits="{memory_mb: 9999, seconds: 9, concurrency: 50}")
    (tmp_path / "b-far.yaml").write_text(HEAD.format("b-far") + "kind: remote\nurl: https://evil.example/\n")
    (tmp_path / "c-cli.yaml").write_text(
        HEAD.format("c-cli") + "kind: coding_cli\nadapter: codex\nsecret: KEY\n"
    )
    (tmp_path / "d-host.yaml").write_text(HEAD.format("d-host") + "command: [python3, -c, 'print(1)']\n")
    found = discover([Source(tmp_path, trusted=False)])
    assert names(found) == ["a-greedy"]
    limits = found.agents["", "a-greedy"].manifest.limits
    assert (limits.memory_bytes, limits.seconds, limits.concurrency) == (512 * MEBIBYTE, 9, 1)


@pytest.mark.req("AGT-11")
def test_parts_of_a_repository_have_agents_and_limits_of_their_own(tmp_path: Path) -> None:
    for part in ("", "services/api", "services/api/deep"):
        write_agent(tmp_path / part / ".bullpen" / "agents", "counter", "true", limits="{seconds: 900}")
    (tmp_path / ".bullpen" / "namespace.yaml").write_text("limits: {seconds: 600, cost: '1.5'}\n")
    (tmp_path / "services" / "api" / ".bullpen" / "namespace.yaml").write_text(
        "limits: {seconds: 700, memory_mb: 64}\nopt_in: [report-3]\n"
    )
    (tmp_path / "services" / "api" / "deep" / ".bullpen" / "namespace.yaml").write_text(
        "limits: {seconds: soon}\n"
    )
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".bullpen").symlink_to(tmp_path / "services" / "api" / ".bullpen")
    namespaces, refused = find_namespaces(tmp_path)
    assert [one.path for one in namespaces] == ["", "services/api", "services/api/deep"]
    assert [one.source for one in refused] == ["services/api/deep/.bullpen/namespace.yaml"]
    api = namespace_of(namespaces, "services/api/main.py")
    assert (api.path, api.limits.seconds, api.limits.memory_bytes) == ("services/api", 600, 64 * MEBIBYTE)
    assert (api.limits.cost, api.opt_in) == (Money(1_500_000), ("report-3",))
    assert namespace_of(namespaces, "services/web.py").path == ""
    found = discover(sources_of(tmp_path, namespaces))
    assert sorted(found.agents) == [
        ("", "counter"),
        ("services/api", "counter"),
        ("services/api/deep", "counter"),
    ]
    assert found.agents["services/api/deep", "counter"].manifest.limits.memory_bytes == 64 * MEBIBYTE


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("name: Bad Name", "name"),
        ("version: soon", "a version looks like 1.2.3"),
        ("protocol: 2", "protocol"),
        ("capabilities: [Bad One]", "capabilities"),
        ("kind: coding_cli", "needs 'adapter'"),
        ("kind: acp", "needs 'command' or 'adapter'"),
        ("url: ftp://host/", "url"),
        ("env: {lower: x}", "env"),
        ("surprise: 1", "surprise"),
        ("limits: {cost: -1}", "limits.cost"),
        ("command: ['a\\0b']", "command"),
    ],
)  # fmt: skip
def test_a_fault_is_named(line: str, what: str) -> None:
    fields = {"name": "one", "version": "1.0.0", "purpose": "Is a manifest."}
    fields.pop(line.partition(":")[0], None)
    text = "".join(f"{name}: {value}\n" for name, value in fields.items()) + line.replace("'a", '"a').replace(
        "b'", 'b"'
    )
    with pytest.raises(InvalidInput, match=what) as raised:
        parse_manifest(text.encode(), "one.yaml")
    assert raised.value.sentence.startswith("one.yaml: ")


def test_limits_are_read_as_they_are_meant() -> None:
    text = json.dumps({
        "name": "one", "version": "1.0.0", "purpose": "Is a manifest.", "command": ["./one"],
        "limits": {"concurrency": 3, "tokens": 9, "cost": "0.25", "memory_mb": 64, "output_kb": 2, "restarts": 0},
    })  # fmt: skip
    limits = parse_manifest(text.encode(), "one.yaml").limits
    assert limits == AgentLimits(
        3, tokens=9, cost=Money(250_000), memory_bytes=64 * MEBIBYTE, output_bytes=2048, restarts=0
    )


@given(st.binary(max_size=400), st.sampled_from(["one.yaml", "one.toml"]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_bytes_break_the_reader(content: bytes, name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_manifest(content, name)


@given(st.text(max_size=300))
def test_no_comments_break_the_reader(text: str) -> None:
    lines = "".join(f"# {line}\n" for line in text.splitlines())
    content = f"#!/bin/sh\n# ---\n{lines}# ---\n".encode("utf-8", "replace")
    with pytest.raises(InvalidInput, match=r"^one: "):
        parse_embedded(content, "one")
