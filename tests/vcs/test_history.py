"""Churn, read in one pass."""

import os

import pytest

from bullpen.vcs.history import count_commits, read_history

pytestmark = pytest.mark.req("GIT-01")


async def test_churn_authors_and_times(user):
    user.write("bin", b"\0" * 10)
    user.write(os.fsdecode(b"caf\xe9\n.py"), "1\n2\n")
    head = user.commit("third")
    history = await read_history(user.path / ".git", head)
    assert (history.commits, history.complete) == (3, True)
    a = history.files["a.py"]
    assert (a.commits, a.added, a.deleted, a.churn) == (2, 3, 1, 4)
    assert a.authors == {"ann@example.org"}
    assert a.first_at == a.last_at == 1_700_000_000
    assert history.files["bin"].churn == 0
    assert history.files[os.fsdecode(b"caf\xe9\n.py")].added == 2


async def test_the_limit_is_said(user):
    head = user.commit("third", a__py="x\n")
    history = await read_history(user.path / ".git", head, most=2)
    assert (history.commits, history.complete) == (2, False)
    assert history.files["a.py"].commits == 2
    assert "README.md" not in history.files


async def test_only_what_is_young_enough(user):
    head = user.git("rev-parse", "HEAD")
    history = await read_history(user.path / ".git", head, since=1_800_000_000)
    assert (history.files, history.commits, history.complete) == ({}, 0, True)


async def test_commits_of_a_year_are_counted_back_from_the_commit(user):
    user.write(os.fsdecode(b"caf\xe9\n.py"), "1\n")
    head = user.commit("third")
    path = user.path / ".git"
    counted = await count_commits(path, head, days=365)
    full = await read_history(path, head)
    assert counted == {each.path: each.commits for each in full.files.values()}
    assert counted["a.py"] == 2
    assert (await count_commits(path, head, days=365, most=1)) == {os.fsdecode(b"caf\xe9\n.py"): 1}
