"""What every report format must do, shown on a run in which every field a repository has a say in is hostile."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from bullpen.flow.reports.base import ReportFormat
from bullpen.kernel.extend import ExtensionPoint

FORMATS: ExtensionPoint[ReportFormat] = ExtensionPoint("bullpen.flow.reports.formats", "FORMAT")
MADE = runpy.run_path(str(Path(__file__).parents[1] / "flow" / "reports" / "made_up.py"))

every_format = pytest.mark.parametrize("kind", FORMATS.load_all().values(), ids=FORMATS.names())


@pytest.mark.req("IMP-03")
def test_the_formats_people_and_programs_need_are_there() -> None:
    assert {"html", "markdown", "sarif", "json"} <= set(FORMATS.names())


@pytest.mark.req("IMP-03")
def test_formats_are_named_after_their_file_and_write_different_files() -> None:
    kinds = FORMATS.load_all()
    assert {name: kind.name for name, kind in kinds.items()} == {name: name for name in kinds}
    files = [kind.file_name for kind in kinds.values()]
    assert len(set(files)) == len(files)
    assert all(Path(name).name == name for name in files)


@every_format
@pytest.mark.req("IMP-03")
def test_the_same_run_gives_the_same_bytes(kind: ReportFormat) -> None:
    assert kind.render(MADE["run_report"]()) == kind.render(MADE["run_report"]())


@every_format
@pytest.mark.req("IMP-03")
def test_hostile_text_leaves_valid_utf8_without_control_characters(kind: ReportFormat) -> None:
    text = kind.render(MADE["run_report"](MADE["HOSTILE"])).decode("utf-8")
    controls = {letter for letter in text if ord(letter) < 32 and letter not in "\n\t"}
    assert not controls


@every_format
@pytest.mark.req("IMP-03")
def test_a_secret_in_a_diff_or_a_message_is_not_told(kind: ReportFormat) -> None:
    secret = MADE["SECRET"]
    report = MADE["run_report"](f"key = '{secret}'")
    patch = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-key = '%s'\n+key = ''\n"
    told = [replace(one, patch=patch % secret.encode() if one.patch else b"") for one in report.stories]
    written = kind.render(replace(report, stories=tuple(told))).decode("utf-8")
    assert secret not in written
    assert written


@every_format
@pytest.mark.req("IMP-03")
def test_a_run_that_found_nothing_still_has_a_report(kind: ReportFormat) -> None:
    report = MADE["run_report"](told=())
    empty = replace(
        report, branch="", commit="", before=(), after=(), gone=(), new=(), events=(), looked_again=False
    )
    assert kind.render(empty)


@every_format
@pytest.mark.req("IMP-03")
def test_a_huge_diff_is_cut(kind: ReportFormat) -> None:
    lines = b"".join(b"+line %d of a very long change\n" % number for number in range(60_000))
    patch = b"diff --git a/a b/a\n--- /dev/null\n+++ b/a\n@@ -0,0 +1,60000 @@\n" + lines
    report = MADE["run_report"]()
    told = [replace(one, patch=patch if one.patch else b"") for one in report.stories]
    assert len(kind.render(replace(report, stories=tuple(told)))) < 600_000
