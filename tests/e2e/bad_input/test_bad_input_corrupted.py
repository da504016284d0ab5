"""Files of Bullpen's own home that were damaged: caches are made anew, records are told of; the repository is never hurt."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import INTERNAL, Ground, snapshot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.req("OPS-03")]


def damage(file: Path) -> None:
    """Overwrite the middle of a file, and cut its end off."""
    content = file.read_bytes()
    third = len(content) // 3
    file.write_bytes(content[:third] + b"\xff\x00garbage" * (third // 18 + 1) + content[third * 2 : -1])


def test_damaged_caches_are_made_anew(ground: Ground) -> None:
    path = ground.repository("repository")
    first = ground.improve(path, "--session", "one")
    assert first.status == 0, first.said
    damaged = [file for file in (ground.home / "cache").rglob("*") if file.is_file() and file.stat().st_size]
    assert damaged
    for file in damaged:
        file.chmod(0o600)
        damage(file)
    again = ground.improve(path, "--session", "two")
    assert again.status == 0, again.said
    assert "Traceback" not in again.said


@pytest.mark.parametrize("name", ["bullpen.db", "engine.db"])
def test_damaged_records_are_told_of_in_a_sentence(ground: Ground, name: str) -> None:
    path = ground.repository("repository")
    assert ground.improve(path, "--session", "one").status == 0
    before = snapshot(path)
    file = ground.home / name
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    file.write_bytes(b"\x00not a database\xff" * 4096)
    for more in file.parent.glob(f"{name}-*"):
        more.unlink()
    answer = ground.improve(path, "--session", "two")
    assert answer.status not in (0, INTERNAL), answer.said
    assert "Traceback" not in answer.said
    assert "is damaged" in answer.problem, answer.said
    assert answer.remedy
    assert snapshot(path) == before
