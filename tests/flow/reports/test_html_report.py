"""The HTML report is one inert file, whatever a repository holds."""

import base64
import hashlib
import itertools
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from bullpen.flow.reports.formats.html import FORMAT, duration

pytestmark = pytest.mark.req("IMP-03")

VOID = {"meta", "rect", "circle", "br"}
KNOWN = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "header",
        "main",
        "footer",
        "nav",
        "section",
        "article",
    ),
    *(
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "span",
        "strong",
        "code",
        "pre",
        "br",
        "ins",
        "del",
        "i",
        "details",
        "summary",
    ),
    *(
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "div",
        "blockquote",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ),
    *("svg", "rect", "circle"),
}


class Page(HTMLParser):
    """What a browser would make of the file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.badly_closed: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.badly_closed.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.styles.append(data)


@pytest.fixture
def text(made: SimpleNamespace) -> str:
    return FORMAT.render(made.run_report(made.HOSTILE)).decode("utf-8")


@pytest.fixture
def page(text: str) -> Page:
    return Page(text)


def test_only_elements_of_the_template_are_there_and_well_nested(page: Page) -> None:
    assert {tag for tag, _attributes in page.elements} <= KNOWN
    assert not page.badly_closed
    assert not page.open


def test_no_attribute_runs_or_loads_anything(page: Page) -> None:
    for tag, attributes in page.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")
        ]
        if tag == "a":
            assert re.match(r"#|https?://", attributes["href"] or "")


def test_the_policy_allows_this_style_and_nothing_else(page: Page) -> None:
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    (style,) = page.styles
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"url\(|@import", style)


def test_hidden_characters_are_spelt_out(text: str) -> None:
    assert "⟦U+202E⟧" in text
    assert "⟦\\xE9⟧" in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b]", text)


def test_templates_in_text_are_not_run(text: str) -> None:
    assert "{{ 7*7 }}" in text


def test_links_of_rules_lead_to_their_pages(made: SimpleNamespace) -> None:
    page = Page(FORMAT.render(made.run_report()).decode())
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert "https://docs.example/rule" in links


def test_headings_step_down_one_at_a_time_and_targets_exist(page: Page) -> None:
    levels = [int(tag[1]) for tag, _attributes in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _tag, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes.get("aria-labelledby") for _tag, attributes in page.elements]
    targets = [(attributes.get("href") or "")[1:] for tag, attributes in page.elements if tag == "a"]
    inner = [one for one in targets if not one.startswith("ttp")]
    assert {one for one in [*named, *inner] if one} <= set(ids)


def test_the_diff_is_counted_and_its_content_passes_for_no_header(made: SimpleNamespace) -> None:
    text = FORMAT.render(made.run_report()).decode()
    assert '<span class="plus">+2</span> <span class="minus">−2</span>' in text
    assert "++ b/not/a/header.py" in text
    assert "spé ce.bin" in text


def test_time_in_the_sandbox_is_told(made: SimpleNamespace) -> None:
    text = FORMAT.render(made.run_report()).decode()
    assert (
        "For 7.5 s of 10.0 s at least one of 42 test runs and analysers was at work in the sandbox." in text
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (59.9, "59.9 s"), (59.99, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = colour if len(colour) == 7 else "#" + "".join(letter * 2 for letter in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_in_light_in_dark_and_on_paper(page: Page) -> None:
    palettes = [
        dict(re.findall(r"--(\w+): (#\w+)", one)) for one in re.findall(r":root \{[^}]*\}", page.styles[0])
    ]
    assert len(palettes) == 3
    pairs = [
        (text, ground)
        for text in ("ink", "soft")
        for ground in ("paper", "raised", "faint", "added", "removed")
    ]
    pairs += [(text, ground) for text in ("good", "bad", "warn") for ground in ("paper", "raised")]
    for palette in palettes:
        for text, ground in pairs:
            low, high = sorted((_luminance(palette[text]), _luminance(palette[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground, palette)
