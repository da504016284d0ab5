"""The cache on disk: exact, shared between processes, and never trusted when broken."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.analysis.cache import ObservationCache, cache_key
from bullpen.domain.finding import Concern, Observation, Place, Severity

# as paths and texts are read: bytes that are not UTF-8 become surrogates
texts = st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
places = st.builds(
    Place, texts, st.integers(1, 10**6), st.integers(1, 500), st.integers(0, 9), st.integers(0, 9), texts
)
observations = st.builds(
    Observation, texts, texts, st.sampled_from(Severity), st.sampled_from(Concern), places, texts,
    st.lists(texts, max_size=3).map(tuple), texts,
)  # fmt: skip
ONE = Observation("r:1", "m", Severity.LOW, Concern.QA, Place("a.py", 1), "r")


@pytest.mark.req("ROA-05")
@given(
    st.dictionaries(
        texts.map(lambda text: cache_key(text, "", [])), st.lists(observations, max_size=3), max_size=4
    )
)
def test_what_is_put_comes_back(tmp_path_factory, entries):
    cache = ObservationCache(tmp_path_factory.mktemp("cache"))
    cache.put(entries)
    assert cache.get([*entries, "absent"]) == entries


@given(st.lists(st.lists(texts, min_size=4, max_size=4), min_size=2, max_size=2, unique_by=tuple))
def test_different_contents_have_different_keys(parts):
    one, two = (cache_key(name, version, [(path, blob)]) for name, version, path, blob in parts)
    assert one != two


def test_the_order_of_files_does_not_matter():
    pairs = [("a", "1"), ("b", "2")]
    assert cache_key("x", "1", pairs) == cache_key("x", "1", reversed(pairs))
    assert cache_key("x", "1", pairs) != cache_key("x", "1", pairs, context="covered")


@pytest.mark.parametrize(
    "garbage", ["not json", "{}", "[1]", '[{"rule": 1}]', "null", '[{"place": {"x": 1}}]']
)
def test_a_broken_entry_counts_as_absent_and_can_be_replaced(tmp_path: Path, garbage):
    cache = ObservationCache(tmp_path)
    cache.put({"k": [ONE], "other": [ONE]})
    with sqlite3.connect(tmp_path / "observations.sqlite") as database:
        database.execute("UPDATE seen SET observations = ? WHERE key = 'k'", [garbage])
    assert cache.get(["k", "other"]) == {"other": [ONE]}
    cache.put({"k": [ONE]})
    assert cache.get(["k"]) == {"k": [ONE]}


def test_a_broken_file_counts_as_empty_and_is_written_anew(tmp_path: Path):
    (tmp_path / "observations.sqlite").write_bytes(b"not a database, certainly not" * 200)
    cache = ObservationCache(tmp_path)
    assert cache.get(["k"]) == {}
    cache.put({"k": [ONE]})
    assert cache.get(["k"]) == {"k": [ONE]}


def _fill(folder: Path, start: int) -> None:
    cache = ObservationCache(folder)
    for number in range(start, start + 20):
        cache.put({f"k{number}": [ONE]})


def test_two_processes_write_at_once(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(tmp_path, start)) for start in (0, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(ObservationCache(tmp_path).get([f"k{number}" for number in range(40)])) == 40
