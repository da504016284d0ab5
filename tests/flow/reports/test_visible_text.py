"""What cannot be seen is spelt out; what is not a web address is no link; diffs are read by their counts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.flow.reports.diff_view import LineKind, view_patch
from bullpen.flow.reports.plain import visible, web_address

pytestmark = pytest.mark.req("IMP-03")


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_nothing_hidden_is_left(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    left = {letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert left <= {"\n", "\t"}


@given(st.text(st.characters(categories=("L", "N", "P", "S")), max_size=60))
def test_what_can_be_seen_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "url",
    [
        *(
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "//evil.example/",
            "file:///x",
        ),
        *(
            "https://a.example@evil.example/",
            "https://a b/",
            "http:///x",
            "https://[x/",
            "https://ex\u0430mple.org/",
            "",
        ),
    ],
)
def test_only_web_addresses_are_links(url: str) -> None:
    assert web_address(url) == ""


def test_a_web_address_is_kept() -> None:
    assert web_address("https://docs.example/a?b=c#d") == "https://docs.example/a?b=c#d"


def test_a_patch_is_read_by_its_counts() -> None:
    patch = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n---- a/b\n+diff --git a/c b/c\n kept\n"
    (file,) = view_patch(patch).files
    assert file.path == "a"
    assert [(line.kind, line.text, line.old, line.new) for line in file.lines[1:]] == [
        (LineKind.REMOVED, "--- a/b", 1, 0),
        (LineKind.ADDED, "diff --git a/c b/c", 0, 1),
        (LineKind.SAME, "kept", 2, 2),
    ]


def test_files_that_come_go_or_move_are_named() -> None:
    patch = (
        b"diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+a\n"
        b"diff --git a/old b/old\ndeleted file mode 100644\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
        b"diff --git a/from b/to\nsimilarity index 100%\nrename from from\nrename to to\n"
    )
    view = view_patch(patch)
    assert [(file.path, file.added, file.removed) for file in view.files] == [
        ("new", 1, 0),
        ("old", 0, 1),
        ("to", 0, 0),
    ]
    assert (view.added, view.removed, view.hidden) == (1, 1, 0)


def test_what_is_cut_is_counted() -> None:
    lines = b"".join(b"+%d\n" % number for number in range(50))
    view = view_patch(b"diff --git a/a b/a\n--- /dev/null\n+++ b/a\n@@ -0,0 +1,50 @@\n" + lines, most=11)
    assert (view.added, view.hidden, len(view.files[0].lines)) == (50, 40, 11)


def test_a_private_key_across_lines_is_not_shown() -> None:
    label = b"RSA PRIVATE" + b" KEY"
    key = b"+-----BEGIN " + label + b"-----\n+MIIEpAIBAAKCAQEA\n+-----END " + label + b"-----\n"
    view = view_patch(b"diff --git a/k b/k\n--- /dev/null\n+++ b/k\n@@ -0,0 +1,3 @@\n" + key)
    assert "MIIE" not in str(view)
    assert view.added == 3


@given(st.binary(max_size=300))
def test_any_bytes_can_be_viewed(patch: bytes) -> None:
    view = view_patch(b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,9 +1,9 @@\n" + patch, most=5)
    assert sum(len(file.lines) for file in view.files) <= 5 + len(view.files)
