"""The Markdown report says what it means to say, whatever a repository holds."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bullpen.flow.reports.formats.markdown import FORMAT, code, fenced, prose, short_markdown

pytestmark = pytest.mark.req("IMP-03")

READER = MarkdownIt("commonmark").enable("table")
OURS = {"<!-- -->"}
letters = st.text(st.sampled_from("`*_[]()<>!|#@&~$\\-+.=:/ \n\t\u202e\udce9ab1w"), max_size=40)


def _tokens(text: str) -> list[Token]:
    blocks = READER.parse(text)
    return [*blocks, *(child for block in blocks for child in block.children or ())]


def test_hostile_text_makes_no_html_no_image_and_no_link(made: SimpleNamespace) -> None:
    tokens = _tokens(FORMAT.render(made.run_report(made.HOSTILE)).decode())
    html = {token.content.strip() for token in tokens if token.type in ("html_inline", "html_block")}
    assert html <= {*OURS, "<details><summary>Diff</summary>", "</details>"}
    assert not [token for token in tokens if token.type in ("image", "link_open")]


def test_nobody_is_mentioned_and_no_issue_is_named(made: SimpleNamespace) -> None:
    tokens = _tokens(FORMAT.render(made.run_report(made.HOSTILE)).decode())
    plain = [token.content for token in tokens if token.type == "text"]
    assert not [text for text in plain if re.search(r"@\w|#\d|GH-\d", text)]


@given(letters)
def test_prose_is_one_paragraph_of_text(text: str) -> None:
    tokens = READER.parse(prose(text))
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special", "code_inline", "html_inline"}


@given(letters)
def test_code_is_one_code_span(text: str) -> None:
    (_open, inline, _close) = READER.parse(f"x{code(text)}x")
    assert [child.type for child in inline.children or ()] == ["text", "code_inline", "text"]


@given(letters)
def test_a_fence_holds(text: str) -> None:
    assert [token.type for token in READER.parse(fenced(text))] == ["fence"]


@given(st.lists(letters, min_size=1, max_size=3))
def test_a_table_keeps_its_cells(texts: list[str]) -> None:
    from bullpen.flow.reports.formats.markdown import _table

    tokens = READER.parse(_table(["a"] * len(texts), [[code(text) for text in texts]]))
    assert sum(token.type == "td_open" for token in tokens) == len(texts)
    cells = [child.type for token in tokens for child in token.children or ()]
    assert cells.count("code_inline") == len(texts)


def test_the_short_form_fits_and_begins_with_the_verdict(made: SimpleNamespace) -> None:
    report = made.run_report(made.HOSTILE)
    many = replace(report, stories=tuple(report.stories[0] for _ in range(400)))
    text = short_markdown(many)
    assert len(text) <= 60_000
    assert text.startswith("# 400 of 400 items with a recipe landed as commits")
    assert text.rstrip().endswith("this is its beginning._")


def test_a_small_run_is_told_whole_in_the_short_form(made: SimpleNamespace) -> None:
    report = made.run_report()
    assert short_markdown(report) == FORMAT.render(report).decode()
