"""Patches are taken as git writes them, and only where they fit."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen.domain.errors import Conflict, InvalidInput
from bullpen.tools.patch import apply_hunks, parse_patch
from bullpen.tools.workspace import unified

LINES = st.lists(
    st.sampled_from([b"a\n", b"b\n", b"-c\n", b"+d\n", b"\n", b"\xe9\n", b"@@ x\n", b"e\r\n"]), max_size=15
)
END = st.sampled_from([b"", b"last"])


@pytest.mark.req("TOL-03")
@given(LINES, END, LINES, END)
def test_a_diff_of_ours_applied_gives_the_new_text(
    old: list[bytes], a: bytes, new: list[bytes], b: bytes
) -> None:
    before, after = b"".join(old) + a, b"".join(new) + b
    if before != after:
        (patch,) = parse_patch(unified("x.txt", before, after))
        assert apply_hunks("x.txt", before, patch.hunks) == after


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(LINES, END, LINES, END)
def test_a_diff_of_git_applied_gives_the_new_text(
    tmp_path: Path, old: list[bytes], a: bytes, new: list[bytes], b: bytes
) -> None:
    before, after = b"".join(old) + a, b"".join(new) + b
    (tmp_path / "a").write_bytes(before)
    (tmp_path / "b").write_bytes(after)
    diff = subprocess.run(
        ["git", "diff", "--no-index", "--text", "--no-prefix", "a", "b"], cwd=tmp_path, capture_output=True
    )
    if before != after:
        (patch,) = parse_patch(diff.stdout.decode("utf-8", "surrogateescape"))
        assert apply_hunks("b", before, patch.hunks) == after


def test_a_hunk_that_moved_is_found_if_there_is_one_place_only() -> None:
    (patch,) = parse_patch("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n")
    assert apply_hunks("x", b"zero\none\ntwo\n", patch.hunks) == b"zero\none\n2\n"
    with pytest.raises(Conflict, match="in 2 places"):
        apply_hunks("x", b"zero\none\ntwo\none\ntwo\n", patch.hunks)
    with pytest.raises(Conflict, match="not there"):
        apply_hunks("x", b"something else\n", patch.hunks)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("", "holds no change"),
        ("just words", "holds no change"),
        ("--- a/x\n+++ b/x\n", "begin a hunk"),
        ("--- a/x\n@@ -1 +1 @@\n-a\n+b\n", r"name the new file"),
        ("--- a/x\n+++ b/x\n@@ -1,3 +1 @@\n-a\n+b\n", "does not have the lines it says"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n*a\n+b\n", "neither blank"),
        ("rename from a\nrename to b\n", "renames"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n--- a/x\n+++ b/x\n@@ -3 +3 @@\n-a\n+b\n", "twice"),
    ],
)
def test_what_is_not_a_patch_is_refused(patch: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_patch(patch)
