"""What cannot be worked on is refused with a sentence, a remedy and exit status 2, and nothing is touched."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground, snapshot

pytestmark = pytest.mark.req("IMP-12")


def _missing(ground: Ground) -> Path:
    return ground.folder / "missing"


def _plain_folder(ground: Ground) -> Path:
    (ground.folder / "plain").mkdir()
    return ground.folder / "plain"


def _file(ground: Ground) -> Path:
    file = ground.folder / "file.txt"
    file.write_text("text")
    return file


def _unborn(ground: Ground) -> Path:
    return ground.repository("unborn", commit=False)


def _empty(ground: Ground) -> Path:
    return ground.repository("empty", {})


def _broken_link(ground: Ground) -> Path:
    path = ground.folder / "linked"
    path.mkdir()
    (path / ".git").write_text("gitdir: /nowhere/at/all\n")
    return path


def _partial(ground: Ground) -> Path:
    path = ground.repository("partial")
    ground.git(path, "config", "extensions.partialClone", "origin")
    return path


def _broken_config(ground: Ground) -> Path:
    path = ground.repository("broken")
    (path / ".git" / "config").write_text("[core\n")
    return path


def _no_objects(ground: Ground) -> Path:
    path = ground.repository("hollow")
    for file in (path / ".git" / "objects").rglob("*"):
        if file.is_file():
            file.unlink()
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, "does not exist"),
        (_plain_folder, "not in a git repository"),
        (_file, "is not a folder"),
        (_unborn, "has no commits yet"),
        (_empty, "has no files"),
        (_broken_link, "not there"),
        (_partial, "partial clone"),
        (_broken_config, "bad config"),
        (_no_objects, ""),
    ],
)
def test_a_folder_that_cannot_be_worked_on(
    ground: Ground, make: Callable[[Ground], Path], words: str
) -> None:
    where = make(ground)
    before = snapshot(where)
    answer = ground.improve(where)
    assert answer.status == 2, answer.said
    assert words in answer.problem
    assert answer.remedy
    assert snapshot(where) == before


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ext::sh -c 'touch pwned'", "names a program"),
        ("ftp://127.0.0.1/x.git", "not supported"),
        ("file://other.example/x", "must name a folder of this machine"),
        ("https://-oProxyCommand=touch pwned/x", "no proper host name"),
    ],
)
def test_a_url_that_is_not_allowed(ground: Ground, url: str, words: str) -> None:
    answer = ground.improve(url)
    assert answer.status == 2, answer.said
    assert words in answer.problem
    assert not (ground.folder / "pwned").exists()


def test_a_host_that_does_not_answer(ground: Ground) -> None:
    answer = ground.improve("git://127.0.0.1:1/x.git")
    assert answer.status == 7, answer.said
    assert "try again" in answer.problem


def test_what_looks_like_an_option(ground: Ground) -> None:
    assert ground.improve("--upload-pack=touch pwned").status == 2
    assert not (ground.folder / "pwned").exists()


def test_a_session_id_that_is_taken_or_is_no_name(ground: Ground) -> None:
    path = ground.repository("repository", {"README.md": "# Sums\n"})
    assert ground.improve(path, "--session", "one").status == 0
    assert ground.improve(path, "--session", "one").status == 4
    for name in ("../../outside", "a b", "-x", "", "x" * 41, "über"):
        answer = ground.improve(path, f"--session={name}", "--dry-run")
        assert answer.status == (0 if not name else 2), answer.said
    assert not (ground.folder / "outside").exists()


def test_resuming_what_is_not_there(ground: Ground) -> None:
    path = ground.repository("repository", SAMPLE)
    for options in (("--resume",), ("--resume", "--session", "nothing")):
        answer = ground.improve(path, *options)
        assert answer.status == 2
        assert "There is no" in answer.problem


@pytest.mark.parametrize(
    "options", [("--budget", "much"), ("--max", "0"), ("--max", "x"), ("--baseline", "/nowhere.sarif")]
)
def test_options_that_cannot_be_understood(ground: Ground, options: tuple[str, ...]) -> None:
    path = ground.repository("repository", {"README.md": "# Sums\n"})
    answer = ground.improve(path, *options)
    assert answer.status == 2, answer.said


@pytest.mark.parametrize(
    ("name", "value"),
    [("BULLPEN_PARALLEL", "many"), ("BULLPEN_SANDBOX", "none"), ("BULLPEN_DATABASE_URL", "my://x")],
)
def test_settings_that_are_wrong(ground: Ground, name: str, value: str) -> None:
    path = ground.repository("repository", {"README.md": "# Sums\n"})
    answer = ground.improve(path, env={name: value})
    assert answer.status == 2, answer.said
    assert answer.problem
