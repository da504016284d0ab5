"""What every recipe of the catalogue must do, shown on the cases in ``tests/recipes/examples/*.toml``.

A case has ``recipe``, ``before`` (a « marks each site and is not part of the text), ``after`` (absent: nothing may
change), and, when needed, ``path`` (default ``sample.py``), ``whole`` (the text is a whole file that cannot be put into
a function), and ``files`` (a table of further files of the project).
"""

import ast
import asyncio
import textwrap
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen.domain.change import Applicability, Site
from bullpen.recipes.base import Codemod, Recipe, RecipeJob, catalogue
from bullpen.sandbox.base import Command, Outcome

EXAMPLES = Path(__file__).parents[1] / "recipes" / "examples"
MARK = "«"
LEAST_CHANGING, LEAST_REFUSING = 1, 1


@dataclass(frozen=True)
class Case:
    """One text and what becomes of it."""

    recipe: str
    before: str
    after: str | None = None
    path: str = "sample.py"
    whole: bool = False
    rule: str = ""
    files: dict[str, str] = field(default_factory=dict)
    place: str = ""

    @property
    def changing(self) -> bool:
        return self.after is not None

    @property
    def text(self) -> str:
        return self.before.replace(MARK, "")

    @property
    def expected(self) -> str:
        return self.text if self.after is None else self.after


def load_cases() -> list[Case]:
    found: list[Case] = []
    for file in sorted(EXAMPLES.glob("*.toml")):
        tables = tomllib.loads(file.read_text("utf-8"))["case"]
        found += [Case(**table, place=f"{file.stem}-{number}") for number, table in enumerate(tables, 1)]
    return found


CASES = load_cases()
RECIPES = {recipe.name: recipe for recipe in catalogue().recipes}
CODEMODS = {name: recipe for name, recipe in RECIPES.items() if isinstance(recipe, Codemod)}
PYTHON = [case for case in CASES if case.recipe in CODEMODS and case.path.endswith(".py")]
CHANGING = [case for case in PYTHON if case.changing]
WRAPPABLE = [case for case in CHANGING if not case.whole]


def named(cases: list[Case]) -> "pytest.MarkDecorator":
    return pytest.mark.parametrize("case", cases, ids=[f"{case.recipe}-{case.place}" for case in cases])


class NoSandbox:
    """For recipes that need none: running anything is a fault."""

    async def run(self, command: Command, on_output: object = None) -> Outcome:
        raise AssertionError(f"This recipe must not run anything, but ran {command.argv}.")


def marked_sites(marked: str) -> list[Site]:
    """The places of the marks, as lines and columns of the text without them."""
    sites: list[Site] = []
    for number, line in enumerate(marked.split("\n"), 1):
        pieces = line.split(MARK)
        sites += [Site(number, len("".join(pieces[: order + 1])) + 1) for order in range(len(pieces) - 1)]
    return sites


def rewrite(case: Case, marked: str) -> str:
    return CODEMODS[case.recipe].rewrite(marked.replace(MARK, ""), marked_sites(marked))


def rewrite_changed_lines(case: Case, text: str) -> str:
    """Rewrite with a site on every line that the case changed or added."""
    before = case.text.splitlines()
    sites = [Site(number) for number, line in enumerate(text.splitlines(), 1) if line not in before]
    return CODEMODS[case.recipe].rewrite(text, sites)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_says_what_it_does(name: str) -> None:
    recipe: Recipe = RECIPES[name]
    assert recipe.fixes
    assert all(":" in rule for rule in recipe.fixes)
    assert recipe.applicability in {Applicability.SAFE, Applicability.UNSAFE}
    assert recipe.summary.endswith(".")
    assert recipe.why.endswith(".")
    assert recipe.source.startswith("https://")


@pytest.mark.parametrize("name", sorted(set(RECIPES) - set(CODEMODS)))
def test_every_recipe_that_runs_something_has_its_own_tests(name: str) -> None:
    tests = [file for file in EXAMPLES.parent.glob("test_*.py") if f'"{name}"' in file.read_text("utf-8")]
    assert tests, f"no test in {EXAMPLES.parent} names {name}"


@pytest.mark.parametrize("name", sorted(CODEMODS))
def test_every_codemod_has_cases_that_change_and_cases_that_do_not(name: str) -> None:
    cases = [case for case in CASES if case.recipe == name]
    assert sum(case.changing for case in cases) >= LEAST_CHANGING, (
        f"add changing cases of {name} to {EXAMPLES}"
    )
    assert sum(not case.changing for case in cases) >= LEAST_REFUSING, (
        f"add near misses of {name} to {EXAMPLES}"
    )


def test_every_case_belongs_to_a_recipe_and_names_are_unique() -> None:
    assert {case.recipe for case in CASES} <= set(RECIPES)
    assert len(RECIPES) == len(catalogue().recipes)


@named([case for case in CASES if case.recipe in CODEMODS])
def test_codemod_gives_exactly_the_expected_text(case: Case, tmp_path: Path) -> None:
    for name, content in {**case.files, case.path: case.text}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content.encode())
    job = RecipeJob(tmp_path, case.path, tuple(marked_sites(case.before)), NoSandbox())
    changes = asyncio.run(RECIPES[case.recipe].apply(job))
    got = {change.path: (change.after or b"").decode() for change in changes}
    assert got.get(case.path, case.text) == case.expected
    assert (tmp_path / case.path).read_bytes().decode() == case.text, "a recipe proposes, it never writes"


@named(CHANGING)
def test_result_parses_and_a_second_pass_changes_nothing(case: Case) -> None:
    ast.parse(case.expected)
    assert rewrite_changed_lines(case, rewrite(case, case.before)) == case.expected


@named(CHANGING)
def test_without_sites_nothing_changes(case: Case) -> None:
    recipe = CODEMODS[case.recipe]
    assert recipe.rewrite(case.text, []) == case.text
    beyond = len(case.text.splitlines()) + 10
    assert recipe.rewrite(case.text, [Site(beyond, 5), Site(beyond)]) == case.text


@named(CHANGING)
def test_line_ends_of_windows_are_kept(case: Case) -> None:
    assert rewrite(case, case.before.replace("\n", "\r\n")) == case.expected.replace("\n", "\r\n")


@named(CHANGING)
def test_tabs_are_kept(case: Case) -> None:
    tail = "\nif tabs:\n    pass\n"  # the file's own indentation must be seen in it
    assert rewrite(case, with_tabs(case.before + tail)) == with_tabs(case.expected + tail)


@named(CHANGING)
def test_byte_order_mark_and_undecodable_bytes_are_kept(case: Case) -> None:
    tail = "\n# caf\udce9\n"
    assert rewrite(case, "\ufeff" + case.before + tail) == "\ufeff" + case.expected + tail


@named(CHANGING)
def test_text_beyond_ascii_before_the_site_moves_nothing(case: Case) -> None:
    note = "# Ærøskøbing, żółć, 数据 🦀\n"
    assert rewrite(case, note + case.before) == note + case.expected


@named(CHANGING)
def test_file_with_a_syntax_error_is_left_alone(case: Case) -> None:
    broken = case.before + "\ndef broken(:\n"
    assert rewrite(case, broken) == broken.replace(MARK, "")


@named(WRAPPABLE)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_code_around_stays_byte_for_byte(case: Case, data: st.DataObject) -> None:
    around = data.draw(surroundings())
    assert rewrite(case, around.put(case.before)) == around.put(case.expected)


@named(WRAPPABLE)
def test_the_same_code_elsewhere_without_a_site_stays(case: Case) -> None:
    imports, body = split_imports(case.before)
    imports_after, body_after = split_imports(case.expected)
    copy = function("elsewhere", body.replace(MARK, ""))
    got = rewrite(case, "\n\n".join((imports, function("here", body), copy)))
    assert got == "\n\n".join((imports_after, function("here", body_after), copy))


def function(name: str, body: str) -> str:
    return f"def {name}():\n" + indented(body, "    ")


def indented(text: str, by: str) -> str:
    return textwrap.indent(text, by, lambda line: bool(line.strip()))


def with_tabs(text: str) -> str:
    lines = text.split("\n")
    return "\n".join("\t" * ((len(line) - len(line.lstrip(" "))) // 4) + line.lstrip(" ") for line in lines)


@dataclass(frozen=True)
class Surroundings:
    """Code to put an example into: what stands before, the blocks around it, what stands after."""

    above: str
    openers: tuple[str, ...]
    below: str
    newline: str

    def put(self, example: str) -> str:
        imports, body = split_imports(example)
        for opener in reversed(self.openers):
            body = f"{opener}\n" + indented(body, "        " if "\n    " in opener else "    ")
        text = "\n".join(part for part in (imports, self.above, body, self.below) if part)
        return text.replace("\n", self.newline)


def split_imports(example: str) -> tuple[str, str]:
    """The imports at the top of an example, and the rest."""
    lines = example.split("\n")
    first = next(
        (
            place
            for place, line in enumerate(lines)
            if line.strip() and not line.startswith(("import ", "from "))
        ),
        len(lines),
    )
    imports = "\n".join(lines[:first]).strip("\n")
    return imports, "\n".join(lines[first:]).rstrip("\n") + "\n"


def surroundings() -> st.SearchStrategy[Surroundings]:
    piece = st.sampled_from(
        [
            "# a comment of somebody else\n",
            "neighbour_one = {'k': [1,2 ,  3], }\n",
            "def neighbour_two( a,b = 'ż' ) :\treturn a  # \tone line \n",
            'NEIGHBOUR = """\n  text with trailing space \n"""\n',
            "class Neighbour: pass\n",
            "\n\n",
            "neighbour_three = 1 ;neighbour_four=2\n",
        ]
    )
    opener = st.sampled_from(
        [
            "def outer(self):",
            "class Outer:\n    def method(self):",
            "async def waiting():",
            "if __name__ == '__main__':",
            "@decorated( 1,2 )\ndef decorated_one():",
        ]
    )
    return st.builds(
        Surroundings,
        above=st.lists(piece, max_size=3).map("".join),
        openers=st.lists(opener, max_size=3).map(tuple),
        below=st.lists(piece, max_size=3).map("".join),
        newline=st.sampled_from(["\n", "\r\n"]),
    )
