"""The mirror: a copy of its own, kept up to date by many at once."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bullpen.domain.errors import Unavailable, UnusableRepository
from bullpen.vcs.commits import BULLPEN, branches, create_tag, tags, update_ref
from bullpen.vcs.git import git
from bullpen.vcs.mirror import fetch_mirror, mirror_path, tidy_mirror
from bullpen.vcs.publish import publish_branch
from bullpen.vcs.source import SourceKind, open_source
from bullpen.vcs.trees import read_blobs, read_file

pytestmark = pytest.mark.req("GIT-01")


def fingerprint(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its mode, time and content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    facts = ((path, path.stat()) for path in files)
    return {str(path): (info.st_mode, info.st_mtime_ns, path.read_bytes()) for path, info in facts}


async def test_the_users_repository_is_only_read(user, tmp_path):
    user.write("a.py", "changed\n")
    user.write("untracked", "x")
    before = fingerprint(user.path)
    await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    assert fingerprint(user.path) == before


async def test_the_mirror_survives_its_source(user, tmp_path):
    mirror = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    shutil.rmtree(user.path)
    assert not (mirror.path / "objects/info/alternates").exists()
    assert await read_file(mirror.path, mirror.base, "a.py") == b"x = 1\ny = 3\n"


async def test_fetching_again_follows_the_source(user, tmp_path):
    user.git("tag", "v1")
    user.git("branch", "old")
    first = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    await update_ref(first.path, "refs/heads/bullpen/work", first.base, None)
    await create_tag(first.path, "ours", first.base, "ours", BULLPEN, 0)
    user.git("branch", "-D", "old")
    user.git("branch", "old/er")
    tip = user.commit("third", b__py="1\n")
    second = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    assert (second.path, second.base) == (first.path, tip)
    assert [ref.name for ref in await branches(second.path, under="refs/remotes/source/")] == [
        "main",
        "old/er",
    ]
    assert [ref.name for ref in await branches(second.path)] == ["bullpen/work"]
    assert [ref.name for ref in await tags(second.path)] == ["ours", "v1"]


async def test_tidying_keeps_every_object(user, tmp_path):
    mirror = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    kept = [(await git(mirror.path, "hash-object", "-w", "--stdin", stdin=b"%d" % n)).text for n in range(9)]
    await tidy_mirror(mirror.path)
    assert len(await read_blobs(mirror.path, kept)) == 9
    assert await read_file(mirror.path, mirror.base, "a.py") == b"x = 1\ny = 3\n"


async def test_history_that_was_rewritten_is_followed(user, tmp_path):
    await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    user.git("commit", "--quiet", "--amend", "--message", "rewritten")
    source = await open_source(str(user.path))
    assert (await fetch_mirror(source, tmp_path / "mirrors")).base == user.git("rev-parse", "HEAD")


async def test_the_head_that_was_looked_at_is_the_base(user, tmp_path):
    source = await open_source(str(user.path))
    user.commit("meanwhile", b__py="1\n")
    assert (await fetch_mirror(source, tmp_path / "mirrors")).base == source.head


async def test_two_processes_at_once_make_one_mirror(user, tmp_path):
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from bullpen.vcs.mirror import fetch_mirror\n"
        "from bullpen.vcs.source import open_source\n"
        "async def main():\n"
        "    source = await open_source(sys.argv[1])\n"
        "    print((await fetch_mirror(source, Path(sys.argv[2]))).base)\n"
        "asyncio.run(main())\n"
    )
    argv = [sys.executable, "-c", program, str(user.path), str(tmp_path / "mirrors")]
    running = [await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE) for _ in range(3)]
    said = [(await process.communicate())[0].decode().strip() for process in running]
    assert said == [user.git("rev-parse", "HEAD")] * 3
    assert len(list((tmp_path / "mirrors").glob("*.git*"))) == 1


async def test_tasks_at_once_make_one_mirror(user, tmp_path):
    source = await open_source(str(user.path))
    made = await asyncio.gather(*(fetch_mirror(source, tmp_path / "mirrors") for _ in range(4)))
    assert len(set(made)) == 1


async def test_a_url_that_does_not_answer_is_a_clear_sentence(tmp_path):
    with pytest.raises(UnusableRepository) as refused:
        await open_source(str(tmp_path / "nowhere.git"))
    assert "does not exist" in refused.value.sentence


async def test_a_url_served_by_git(user, tmp_path, git_daemon):
    url = git_daemon(user.path)
    source = await open_source(url)
    assert (source.kind, source.name, source.branch) == (SourceKind.URL, "project", "main")
    assert source.path is None
    mirror = await fetch_mirror(source, tmp_path / "mirrors", depth=1)
    assert mirror.base == user.git("rev-parse", "HEAD")
    assert mirror.path == mirror_path(source, tmp_path / "mirrors")
    assert (mirror.path / "shallow").exists()
    await update_ref(mirror.path, "refs/heads/bullpen/work", mirror.base, None)
    published = await publish_branch(mirror.path, "bullpen/work", source)
    assert (published.repository, published.in_users_repository) == (mirror.path, False)
    assert published.next_step == f"git -C {mirror.path} push {url} bullpen/work"


async def test_a_url_without_commits_and_one_that_does_not_answer(make_repository, git_daemon):
    url = git_daemon(make_repository("empty").path)
    with pytest.raises(UnusableRepository, match="has no commits yet"):
        await open_source(url)
    with pytest.raises(UnusableRepository, match="access denied or repository not exported"):
        await open_source(f"{url}-not-there")
    with pytest.raises(Unavailable, match="unable to connect"):
        await open_source("git://127.0.0.1:1/nothing")


@pytest.fixture
async def git_daemon(tmp_path):
    """A real server of the git protocol on a free port."""
    running: list[subprocess.Popen[bytes]] = []

    def serve(path: Path) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        argv = [
            "git",
            "daemon",
            "--export-all",
            "--listen=127.0.0.1",
            f"--port={port}",
            f"--base-path={path.parent}",
        ]
        env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": str(tmp_path / "daemon.cfg")}
        (tmp_path / "daemon.cfg").write_text("[safe]\n\tdirectory = *\n")
        running.append(subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL, start_new_session=True))
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"git://127.0.0.1:{port}/{path.name}"

    yield serve
    for process in running:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


async def test_what_a_killed_creation_left_is_swept(user, tmp_path):
    mirrors = tmp_path / "mirrors"
    source = await open_source(str(user.path))
    mine = mirror_path(source, mirrors)
    killed = mirrors / f"{mine.name}.new-0123456789ab"
    old, fresh = mirrors / "other.git.new-0123456789ab", mirrors / "another.git.new-0123456789ab"
    kept = mirrors / "other.git"
    for folder in (killed, old, fresh, kept):
        (folder / "objects").mkdir(parents=True)
    os.utime(old, (0, 0))
    os.utime(kept, (0, 0))
    outside = tmp_path / "outside.git.new-0123456789ab"
    outside.mkdir()
    link = mirrors / "link.git.new-0123456789ab"
    link.symlink_to(outside)
    await fetch_mirror(source, mirrors)
    assert not killed.exists()
    assert not old.exists()
    assert all(folder.exists() for folder in (fresh, kept, outside, link, mine))
