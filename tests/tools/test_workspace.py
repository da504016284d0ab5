"""Nothing leaves the workspace, and only what was agreed changes."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen.domain.errors import BullpenError, InvalidInput, LimitExceeded, NotFound, PermissionRefused
from bullpen.tools.workspace import (
    LARGEST_FILE,
    Scope,
    changed_lines,
    read_bytes,
    remove,
    unified,
    walk,
    write_bytes,
)

PARTS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "src",
        "out",
        "up",
        "app.py",
        "link.py",
        ".git",
        ".GIT",
        "config",
        "new",
        "a b",
        "\n",
        "\udce9",
        "\0",
        "etc",
        "passwd",
        "~",
    ]
)
SECRET = b"outside"


@pytest.fixture
def trap(workspace: Path, tmp_path: Path) -> Path:
    """A workspace with links that lead out, beside a file nobody may see."""
    (tmp_path / "secret").write_bytes(SECRET)
    (workspace / "out").symlink_to(tmp_path)
    (workspace / "up").symlink_to("..")
    (workspace / "link.py").symlink_to(tmp_path / "secret")
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_bytes(SECRET)
    return workspace


@pytest.mark.req("TOL-03")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(PARTS, min_size=1, max_size=6), st.booleans())
def test_no_path_leads_out(trap: Path, parts: list[str], absolute: bool) -> None:
    path = "/" * absolute + "/".join(parts)
    outside = {file: file.read_bytes() for file in (trap.parent / "secret", trap / ".git" / "config")}
    names = set(trap.parent.iterdir())
    for attempt in (
        lambda: read_bytes(trap, path),
        lambda: write_bytes(trap, path, b"x"),
        lambda: remove(trap, path),
    ):
        with contextlib.suppress(BullpenError):
            assert attempt() != SECRET
    assert {file: file.read_bytes() for file in outside} == outside
    assert set(trap.parent.iterdir()) == names


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc/passwd", PermissionRefused),
        ("../secret", PermissionRefused),
        ("src/../../secret", PermissionRefused),
        ("out/secret", PermissionRefused),
        ("link.py", PermissionRefused),
        (".git/config", PermissionRefused),
        ("src/.Git/config", PermissionRefused),
        ("src", InvalidInput),
        ("", InvalidInput),
        ("a\0b", InvalidInput),
        ("absent.py", NotFound),
        ("pipe", PermissionRefused),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(trap: Path, path: str, kind: type[BullpenError]) -> None:
    os.mkfifo(trap / "pipe")
    with pytest.raises(kind):
        read_bytes(trap, path)


def test_a_large_file_is_refused(workspace: Path) -> None:
    with (workspace / "large").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(LimitExceeded):
        read_bytes(workspace, "large")


def test_writing_keeps_the_mode_and_other_names_of_the_file(workspace: Path) -> None:
    script = workspace / "run.sh"
    script.write_text("old")
    script.chmod(0o755)
    os.link(script, workspace / "twin")
    write_bytes(workspace, "run.sh", b"new")
    assert script.stat().st_mode & 0o777 == 0o755
    assert (workspace / "twin").read_text() == "old"
    assert sorted(one.name for one in workspace.iterdir()) == ["notes.txt", "run.sh", "src", "twin"]


def test_walk_passes_over_links_and_git_and_carries_odd_names(trap: Path) -> None:
    odd = os.fsencode(trap) + b"/caf\xe9 \n.py"
    Path(os.fsdecode(odd)).write_bytes(b"")
    assert list(walk(trap)) == ["caf\udce9 \n.py", "notes.txt", "src/app.py"]
    assert read_bytes(trap, "caf\udce9 \n.py") == b""


TEXT = b"import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n"
AGREED = Scope({"a.py": (range(5, 6),)}, folders=("tests",))


@pytest.mark.req("IMP-11")
@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", TEXT, TEXT.replace(b"return 1", b"return 3")),
        ("a.py", TEXT, TEXT.replace(b"    return 1\n", b"    x = 1\n    return x\n")),
        ("a.py", TEXT, TEXT.replace(b"    return 1\n", b"")),
        ("a.py", TEXT, b"import json\nfrom x import y\n" + TEXT),
        ("tests/test_a.py", None, b"def test_a(): ...\n"),
    ],
)
def test_agreed_changes_pass(path: str, before: bytes | None, after: bytes) -> None:
    AGREED.require(path, before, after)


@pytest.mark.req("IMP-11")
@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        (
            "a.py",
            TEXT,
            TEXT.replace(b"return 2", b"return 3"),
            "Line 9 of 'a.py' is outside the agreed lines (5)",
        ),
        ("a.py", TEXT, TEXT + b"evil()\n", "Line 9"),
        ("a.py", TEXT, b"import json; evil()\nx = 1\n" + TEXT, "outside"),
        ("a.py", TEXT, TEXT.replace(b"import os\n", b""), "Line 1"),
        ("a.py", TEXT, None, "Line 1"),
        ("b.py", TEXT, TEXT + b"\n", "not among the agreed files (a.py)"),
        ("tests/test_a.py", b"old\n", b"new\n", "not among"),
        ("testsuite/x.py", None, b"", "not among"),
    ],
)
def test_other_changes_are_refused_with_the_place(
    path: str, before: bytes | None, after: bytes | None, said: str
) -> None:
    with pytest.raises(PermissionRefused, match=said.replace("(", r"\(").replace(")", r"\)")):
        AGREED.require(path, before, after)


LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n"]), max_size=12)


@given(LINES, LINES)
def test_what_is_not_reported_as_changed_is_the_same(old: list[bytes], new: list[bytes]) -> None:
    hunks = list(changed_lines(b"".join(old), b"".join(new)))
    rebuilt: list[bytes] = []
    position = 0
    for first, last, added in hunks:
        rebuilt += [line.rstrip(b"\n") for line in old[position : first - 1]] + list(added)
        position = max(last, first - 1)
    rebuilt += [line.rstrip(b"\n") for line in old[position:]]
    assert rebuilt == [line.rstrip(b"\n") for line in new]


def test_a_diff_says_where_a_last_line_has_no_end() -> None:
    assert unified("a", b"x\n", b"x").endswith("-x\n+x\n\\ No newline at end of file\n")
