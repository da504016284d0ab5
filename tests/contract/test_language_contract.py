"""What every language of the code graph promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.codegraph.base import LANGUAGES, Language

ALL = [pytest.param(LANGUAGES.load(name), id=name) for name in LANGUAGES.names()]
# One small program, said in each language: a class, a function that calls its method, an import.
SAMPLES = {
    "python": b"from helper import work\nclass Job:\n    def run(self): work(1)\ndef go(job):\n    job.run()\n",
    "javascript": b"import {work} from './helper';\nclass Job {\n run() { work(1) } }\nfunction go(job) {\n job.run() }\n",
}


@pytest.mark.req("TOL-03")
@pytest.mark.parametrize("name", LANGUAGES.names())
def test_the_same_program_means_the_same(name: str) -> None:
    language = LANGUAGES.load(name)
    suffix = language.suffixes[0]
    facts = language.read(SAMPLES[name], suffix)
    assert facts is not None
    assert [(one.name, one.kind) for one in facts.definitions] == [
        ("Job", "class"),
        ("Job.run", "method"),
        ("go", "function"),
    ]
    assert [(one.name, one.line, one.inside) for one in facts.calls] == [
        ("work", 3, "Job.run"),
        ("run", 5, "go"),
    ]
    files = {f"job{suffix}": facts, f"helper{suffix}": language.read(b"", suffix)}
    assert [(one.importer, one.imported, one.line) for one in language.link(files)] == [
        (f"job{suffix}", f"helper{suffix}", 1)
    ]


def test_suffixes_belong_to_one_language() -> None:
    every = [suffix for name in LANGUAGES.names() for suffix in LANGUAGES.load(name).suffixes]
    assert len(every) == len(set(every))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in every)


@pytest.mark.parametrize("language", ALL)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\0",
        b"(" * 20_000,
        b"f(" * 5_000 + b")" * 5_000,
        b"f(\n" * 5_000 + b")\n" * 5_000,
        b"a.\n" * 20_000,
    ],
)
def test_hostile_text_is_read_or_left(language: Language, content: bytes) -> None:
    facts = language.read(content, language.suffixes[0])
    assert facts is None or len(facts.calls) <= 5_000


@pytest.mark.parametrize("language", ALL)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_left(language: Language, content: bytes) -> None:
    for suffix in language.suffixes:
        facts = language.read(content, suffix)
        language.link({f"a{suffix}": facts, f"b{suffix}": None})
