"""What the recipes for JavaScript, TypeScript and Go change, exactly, and what they leave alone."""

from pathlib import Path

import pytest

from bullpen.domain.change import FileChange, Site
from bullpen.recipes import go, javascript
from bullpen.recipes.base import RecipeJob
from bullpen.sandbox.base import Command, Outcome

BY_NAME = {recipe.name: recipe for recipe in (*javascript.RECIPES, *go.RECIPES)}
NAMES = (  # each has cases below
    "js-number-is-nan",
    "js-map-one-argument",
    "js-structured-clone",
    "js-separate-elements",
    "js-throw-error",
    "go-errorf",
    "go-errors-is",
    "go-without-ioutil",
)


class NothingRuns:
    """A sandbox for recipes that must not run anything."""

    async def run(self, command: Command, on_output: object = None) -> Outcome:
        raise AssertionError(f"started {command.argv}")


async def mended(name: str, root: Path, path: str, text: str, *lines: int) -> str:
    """The text after the recipe, asked for every line or for ``lines``; checked to be the end of it."""
    (root / path).write_bytes(text.encode("utf-8", "surrogateescape"))
    sites = tuple(Site(line) for line in lines or range(1, text.count("\n") + 2))
    changes = await BY_NAME[name].apply(RecipeJob(root, path, sites, NothingRuns()))
    if not changes:
        return text
    after = (changes[0].after or b"").decode()
    assert changes == [FileChange(path, text.encode(), after.encode())]
    (root / path).write_bytes(after.encode())
    assert await BY_NAME[name].apply(RecipeJob(root, path, sites, NothingRuns())) == []
    return after


JAVASCRIPT = [
    ("js-number-is-nan", "if (a.b === NaN) { f(); } // é\r\n", "if (Number.isNaN(a.b)) { f(); } // é\r\n"),
    ("js-number-is-nan", "\tconst x = NaN != a;\n", "\tconst x = !Number.isNaN(a);\n"),
    ("js-map-one-argument", 'x = ["1"].map(parseInt);\n', 'x = ["1"].map((text) => parseInt(text, 10));\n'),
    ("js-map-one-argument", "a?.b.map(Number.parseInt)\n", "a?.b.map((text) => Number.parseInt(text, 10))\n"),
    ("js-structured-clone", "f(JSON.parse(JSON.stringify(a.b)), 1);\n", "f(structuredClone(a.b), 1);\n"),
    ("js-separate-elements", "g = new Array(n).fill([]);\n", "g = Array.from({ length: n }, () => []);\n"),
    (
        "js-separate-elements",
        "g = Array(3).fill({a: 1})\n",
        "g = Array.from({ length: 3 }, () => ({a: 1}))\n",
    ),
    ("js-throw-error", 'if (a) throw "no order";\n', 'if (a) throw new Error("no order");\n'),
    ("js-throw-error", "throw `no ${a}`\n", "throw new Error(`no ${a}`)\n"),
]
LEFT_ALONE = [
    ("js-number-is-nan", "if (Number.isNaN(a)) {}\n"),
    ("js-number-is-nan", "if (a > NaN) {}\n"),
    ("js-number-is-nan", "if (a === /* never */ NaN) {}\n"),
    ("js-map-one-argument", "a.map(parseInt, this)\n"),
    ("js-map-one-argument", "a.map(parse)\n"),
    ("js-structured-clone", "JSON.parse(JSON.stringify(a, replacer))\n"),
    ("js-structured-clone", "JSON.parse(JSON.stringify(a), revive)\n"),
    ("js-separate-elements", "new Array(n).fill(0)\n"),
    ("js-separate-elements", "rows.fill([])\n"),
    ("js-separate-elements", "new Array(f()).fill([])\n"),
    ("js-throw-error", "throw error;\n"),
    ("js-throw-error", "throw {code: 1};\n"),
    ("js-throw-error", 'function (\nthrow "no";\n'),
    ("js-throw-error", '// \udcff\nthrow "no";\n'),
]


@pytest.mark.parametrize("path", ["a.js", "a.mjs", "a.ts", "a.tsx"])
@pytest.mark.parametrize(("name", "before", "after"), JAVASCRIPT)
async def test_javascript_is_mended(tmp_path: Path, name: str, before: str, after: str, path: str) -> None:
    assert await mended(name, tmp_path, path, before) == after


@pytest.mark.parametrize(("name", "text"), LEFT_ALONE)
async def test_javascript_that_is_right_or_unclear_stays(tmp_path: Path, name: str, text: str) -> None:
    assert await mended(name, tmp_path, "a.js", text) == text


async def test_only_the_site_is_mended(tmp_path: Path) -> None:
    text = 'if (a) {\n  throw "one";\n}\nthrow "two";\n'
    assert await mended("js-throw-error", tmp_path, "a.js", text, 4) == text.replace(
        '"two"', 'new Error("two")'
    )


def test_a_column_names_one_of_several_on_a_line() -> None:
    text = "f(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)))\n"
    recipe = BY_NAME["js-structured-clone"]
    assert (
        recipe.rewrite(text, "a.ts", [Site(1, 34)])
        == "f(JSON.parse(JSON.stringify(a)), structuredClone(b))\n"
    )


async def test_a_file_of_another_language_stays(tmp_path: Path) -> None:
    text = 'throw "no";\n'
    assert await mended("js-throw-error", tmp_path, "a.vue", text) == text


GO = [
    (
        "go-errorf",
        (
            'package a\n\nimport (\n\t"errors"\n\t"fmt"\n)\n\nfunc f(a int) error {\n'
            '\treturn errors.New(fmt.Sprintf("no %d", a)) // why\n}\n'
        ),
        'package a\n\nimport (\n\t"fmt"\n)\n\nfunc f(a int) error {\n\treturn fmt.Errorf("no %d", a) // why\n}\n',
    ),
    (
        "go-errorf",
        (
            'package a\r\n\r\nimport (\r\n\t"errors"\r\n\t"fmt"\r\n)\r\n\r\nvar B = errors.New("b")\r\n'
            'var C = errors.New(fmt.Sprintf("c %v", B))\r\n'
        ),
        (
            'package a\r\n\r\nimport (\r\n\t"errors"\r\n\t"fmt"\r\n)\r\n\r\nvar B = errors.New("b")\r\n'
            'var C = fmt.Errorf("c %v", B)\r\n'
        ),
    ),
    (
        "go-errors-is",
        (
            'package a\n\nimport (\n\t"database/sql"\n\n\t"x.org/y"\n)\n\nfunc f(err error) bool {\n'
            "\ty.Y()\n\treturn err == sql.ErrNoRows || err != y.ErrGone\n}\n"
        ),
        (
            'package a\n\nimport (\n\t"database/sql"\n\t"errors"\n\n\t"x.org/y"\n)\n\nfunc f(err error) bool {\n'
            "\ty.Y()\n\treturn errors.Is(err, sql.ErrNoRows) || !errors.Is(err, y.ErrGone)\n}\n"
        ),
    ),
    (
        "go-errors-is",
        'package a\n\nimport "os"\n\nfunc f(err error) bool { return err == os.ErrNotExist }\n',
        'package a\n\nimport (\n\t"errors"\n\t"os"\n)\n\nfunc f(err error) bool { return errors.Is(err, os.ErrNotExist) }\n',
    ),
    (
        "go-without-ioutil",
        (
            'package a\n\nimport (\n\t"fmt"\n\t"io/ioutil"\n\t"os"\n)\n\nfunc f() {\n'
            '\tb, _ := ioutil.ReadAll(os.Stdin)\n\tfmt.Println(b, ioutil.Discard)\n\tioutil.TempDir("", "x")\n}\n'
        ),
        (
            'package a\n\nimport (\n\t"fmt"\n\t"io"\n\t"os"\n)\n\nfunc f() {\n'
            '\tb, _ := io.ReadAll(os.Stdin)\n\tfmt.Println(b, io.Discard)\n\tos.MkdirTemp("", "x")\n}\n'
        ),
    ),
    (
        "go-without-ioutil",
        'package a\n\nimport "io/ioutil"\n\nvar B, _ = ioutil.ReadFile("b")\n',
        'package a\n\nimport "os"\n\nvar B, _ = os.ReadFile("b")\n',
    ),
]
GO_LEFT_ALONE = [
    ("go-errorf", 'package a\n\nvar B = errors.New("b")\n'),
    ("go-errorf", 'package a\n\nimport "fmt"\n\nvar B = errors.New(fmt.Sprintf(form, 1))\n'),
    ("go-errorf", 'package a\n\nimport "fmt"\n\nvar B = errors.New(fmt.Sprintf("%w", 1))\n'),
    (
        "go-errorf",
        'package a\n\nimport (\n\t"fmt"\n\n\t"github.com/pkg/errors"\n)\n\nvar B = errors.New(fmt.Sprintf("b", 1))\n',
    ),
    ("go-errors-is", 'package a\n\nimport "os"\n\nfunc f(err error) bool { return err == nil }\n'),
    ("go-errors-is", 'package a\n\nimport "os"\n\nfunc f(a int) bool { return a == os.ErrCount }\n'),
    (
        "go-errors-is",
        'package a\n\nimport "os"\n\nfunc f(err error, errors []error) bool { return err == os.ErrNotExist }\n',
    ),
    ("go-without-ioutil", 'package a\n\nimport "io/ioutil"\n\nvar B, _ = ioutil.ReadDir("b")\n'),
    ("go-without-ioutil", 'package a\n\nimport u "io/ioutil"\n\nvar B, _ = u.ReadFile("b")\n'),
    (
        "go-without-ioutil",
        'package a\n\nimport "io/ioutil"\n\nfunc f(os string) { ioutil.ReadFile(os) }\n',
    ),
]


@pytest.mark.parametrize(("name", "before", "after"), GO)
async def test_go_is_mended(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert await mended(name, tmp_path, "main.go", before) == after


@pytest.mark.parametrize(("name", "text"), GO_LEFT_ALONE)
async def test_go_that_is_right_or_unclear_stays(tmp_path: Path, name: str, text: str) -> None:
    assert await mended(name, tmp_path, "main.go", text) == text
