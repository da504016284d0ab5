"""The git command: its environment, its errors, its end."""

import asyncio
from pathlib import Path

import pytest

from bullpen.domain.errors import BullpenError, InvalidInput, LimitExceeded, NotFound, UnusableRepository
from bullpen.vcs.git import GitDir, git, git_version, last_line, redact
from bullpen.vcs.trees import checked, inner_path

pytestmark = pytest.mark.req("GIT-01")


async def ended(pid: int) -> None:
    """Wait until the process is gone, or dead and not yet collected by init; the test's own limit ends a failure."""
    while not is_dead(pid):  # noqa: ASYNC110 - the kernel's news, not an event of ours
        await asyncio.sleep(0.01)


def is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_results_are_bytes_text_and_fields(user):
    result = await git(user.path / ".git", "ls-tree", "-z", "--name-only", "HEAD")
    assert result.stdout == b"README.md\0a.py\0"
    assert result.fields() == ["README.md", "a.py"]
    assert (await git(None, "--version")).text.startswith("git version")
    assert await git_version() >= (2, 38)


async def test_a_failure_quotes_gits_last_line(user):
    with pytest.raises(NotFound, match="Not a valid object name nowhere"):
        await git(user.path / ".git", "cat-file", "-t", "nowhere")
    with pytest.raises(UnusableRepository, match="not a git repository"):
        await git(user.path / "missing", "status")
    with pytest.raises(BullpenError, match="is not a git command"):
        await git(None, "frobnicate")


async def test_the_host_environment_stays_outside(user, monkeypatch):
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF"):
        monkeypatch.setenv(name, "/hostile")
    assert (await git(user.path / ".git", "rev-parse", "--git-dir")).text == str(user.path / ".git")
    with pytest.raises(BullpenError):
        await git(user.path / ".git", "-c", "alias.env=!env", "env", accept=(9,))


async def test_too_much_output_is_refused(user):
    user.commit("big", big="x" * 100_000)
    with pytest.raises(LimitExceeded, match="wrote more than"):
        await git(user.path / ".git", "cat-file", "blob", "HEAD:big", output_bytes=1000)


@pytest.mark.timeout(30)
async def test_a_command_that_hangs_is_ended_with_all_it_started(user, tmp_path):
    pid_file = tmp_path / "pid"
    place = GitDir(
        user.path / ".git", overrides=(("alias.hang", f"!echo $$ > {pid_file}; sleep 300 & wait"),)
    )
    with pytest.raises(LimitExceeded, match="did not end within"):
        await git(place, "hang", seconds=0.5)
    await ended(int(pid_file.read_text()))


@pytest.mark.timeout(30)
async def test_cancelling_ends_git_and_all_it_started(user, tmp_path):
    pid_file = tmp_path / "pid"
    place = GitDir(
        user.path / ".git", overrides=(("alias.hang", f"!trap '' TERM; echo $$ > {pid_file}; sleep 300"),)
    )
    task = asyncio.create_task(git(place, "hang"))
    while not pid_file.exists() or not pid_file.read_text().strip():  # noqa: ASYNC110 - a file, not an event
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended(int(pid_file.read_text()))


def test_credentials_and_control_characters_never_reach_a_message():
    assert redact("https://ann:secret@example.org/x.git") == "https://example.org/x.git"
    assert redact("a\x1b[31mb") == "a?[31mb"
    assert (
        last_line(b"fatal: unable to access 'https://t0ken@h/x'\nhint: try\n")
        == "fatal: unable to access 'https://h/x'"
    )


@pytest.mark.parametrize(
    "name", ["", "-x", "--upload-pack=x", "a..b", "a:b", "a b", "a\0", "HEAD~1", "@{-1}^"]
)
def test_revisions_that_are_more_than_a_name_are_refused(name):
    with pytest.raises(InvalidInput):
        checked(name)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../../x", ".git/config", "a//b", "./a", "a\0b"]
)
def test_paths_that_leave_the_tree_are_refused(path):
    with pytest.raises(InvalidInput):
        inner_path(path)


async def test_a_path_is_never_a_pattern(user):
    user.write("[a].py", "1\n")
    user.commit("odd name")
    log = await git(user.path / ".git", "log", "--format=%s", "--", "[a].py")
    assert log.text == "odd name"
