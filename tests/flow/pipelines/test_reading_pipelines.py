"""Reading workflow files of GitHub Actions, matrices, and what a project says of itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.flow.pipelines.detect import own_pipeline
from bullpen.flow.pipelines.github import read_workflow
from bullpen.flow.pipelines.matrix import expand, label
from bullpen.flow.pipelines.uses.base import USES, action_named

pytestmark = pytest.mark.req("WFL-07")


def test_the_example_of_githubs_documentation() -> None:
    cells = expand(
        {"fruit": ["apple", "pear"], "animal": ["cat", "dog"]},
        include=[
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    )
    assert cells == (
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    )


def test_excluded_cells_are_gone_and_included_ones_alone_suffice() -> None:
    axes = {"os": ["l", "w"], "py": ["1", "2"]}
    assert len(expand(axes, exclude=[{"os": "w"}])) == 2
    assert expand({}, include=[{"py": "3"}, {"py": "4"}]) == ({"py": "3"}, {"py": "4"})
    assert expand({}) == ({},)
    assert label("test", {"py": "3", "c": {"n": "x"}}) == "test (3, x)"


values = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
cells = st.dictionaries(st.sampled_from(["p", "q", "r"]), st.sampled_from("abc"), min_size=1)


@given(
    st.dictionaries(st.sampled_from(["p", "q"]), values),
    st.lists(cells, max_size=3),
    st.lists(cells, max_size=3),
)
def test_no_excluded_cell_stays_and_no_original_value_is_overwritten(
    axes: dict[str, list[str]], include: list[dict[str, str]], exclude: list[dict[str, str]]
) -> None:
    plain = expand(axes, (), exclude) if axes else ()
    found = expand(axes, include, exclude)
    for before, after in zip(plain, found, strict=False):
        assert before.items() <= after.items()
        assert not any(one.items() <= before.items() for one in exclude)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs: {}", "line 1, column 1: jobs"),
        ("jobs:\n  a:\n    needs: b\n    steps: [{run: x}]", "line 3, column 5: there is no job 'b'"),
        ("jobs:\n  a: {needs: b, steps: [{run: x}]}\n  b: {needs: a, steps: [{run: x}]}", "waits for itself"),
        ("jobs:\n  a:\n    steps:\n      - name: x", "line 4, column 9: a step needs either run or uses"),
        ("jobs:\n  a:\n    strategy: {matrix: {x: 3}}\n    steps: [{run: x}]", "'x' must be a list"),
        ("jobs: [", "this is not YAML"),
        ("- 1", "line 1, column 1"),
    ],
)
def test_a_faulty_file_is_refused_at_its_place(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_workflow(text, "ci.yml")
    assert said in refused.value.sentence
    assert refused.value.sentence.startswith("ci.yml, line ")


@given(st.text(max_size=150))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused: BullpenError | None = None
    try:
        read_workflow(text, "ci.yml")
    except BullpenError as error:
        refused = error
    assert refused is not None
    assert refused.sentence.startswith("ci.yml")


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("uses: org/repo/.github/workflows/x.yml@v1", "it calls the workflow"),
        ("services: {db: {image: postgres}}\n    steps: [{run: x}]", "it needs services"),
        ("container: alpine\n    steps: [{run: x}]", "a container image"),
        ("environment: {name: pypi}\n    steps: [{run: x}]", "it deploys to the environment pypi"),
        ("strategy: {matrix: '${{ fromJSON(needs.a) }}'}\n    steps: [{run: x}]", "its matrix is computed"),
    ],
)
def test_what_cannot_be_run_here_is_said(job: str, reason: str) -> None:
    (found,) = read_workflow(f"jobs:\n  a:\n    {job}\n", "ci.yml").jobs
    assert reason in found.refused


@pytest.mark.parametrize(
    ("files", "paths", "commands"),
    [
        ({"Makefile": "test: build\n\tpytest\nlint:\n\tx\nX := 1\n"}, (), {"lint": "make lint", "test": "make test"}),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, (), {"test": "npm run test"}),
        ({"pyproject.toml": "[tool.ruff]\n"}, ("tests/test_a.py",), {"lint": "python -m ruff check .", "test": "python -m pytest -q"}),
        ({"go.mod": "module x"}, (), {"lint": "go vet ./...", "test": "go test ./...", "build": "go build ./..."}),
        ({"package.json": "[1]", "pyproject.toml": "not toml ["}, (), {}),
    ],
)  # fmt: skip
def test_a_projects_own_commands(
    files: dict[str, str], paths: tuple[str, ...], commands: dict[str, str]
) -> None:
    found = own_pipeline(files, frozenset(paths))
    assert {job.id: job.steps[0].run for job in found.jobs} == commands if found else not commands


def test_actions_are_found_by_their_name() -> None:
    assert action_named("actions/checkout@v4") is not None
    assert action_named("Actions/Setup-Python@abc") is not None
    assert action_named("codecov/codecov-action@v4") is None
    assert all(USES.summary(name) for name in USES.names())
