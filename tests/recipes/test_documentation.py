"""Links, anchors and docstring parameters: what is mended, and what is left alone."""

from pathlib import Path

import pytest

from bullpen.domain.change import FileChange, Site
from bullpen.recipes._markdown import anchors, links, slug
from bullpen.recipes.base import Codemod, RecipeJob
from bullpen.recipes.documentation import RECIPES
from bullpen.sandbox.base import Command, Outcome

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


class NothingRuns:
    """A sandbox for recipes that must not run anything."""

    async def run(self, command: Command, on_output: object = None) -> Outcome:
        raise AssertionError(f"started {command.argv}")


async def mended(name: str, root: Path, path: str, *lines: int) -> str | None:
    """What the recipe makes of ``path``, asked for every line (or ``lines``); None if it changes nothing."""
    text = (root / path).read_bytes()
    sites = tuple(Site(line) for line in lines or range(1, text.count(b"\n") + 2))
    changes = await BY_NAME[name].apply(RecipeJob(root, path, sites, NothingRuns()))
    if not changes:
        return None
    assert changes == [FileChange(path, text, changes[0].after)]
    (root / path).write_bytes(changes[0].after or b"")
    again = await BY_NAME[name].apply(RecipeJob(root, path, sites, NothingRuns()))
    assert again == [], "a second run changes nothing"
    return (changes[0].after or b"").decode("utf-8", "surrogateescape")


def tree(root: Path, *paths: str, **texts: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(texts.get(path, f"{path}\n"))
    return root


@pytest.mark.parametrize(
    ("files", "page", "before", "after"),
    [
        (["guide/install.md"], "README.md", "[i](docs/install.md)\n", "[i](guide/install.md)\n"),
        (["guide/install.md"], "README.md", "[i](docs/install.md#a?b)\n", "[i](guide/install.md#a?b)\n"),
        (["guide/install.md"], "README.md", '[i](./install.md "how")\n', '[i](./guide/install.md "how")\n'),
        (["docs/Install.md"], "README.md", "[i](docs/install.md)\r\n", "[i](docs/Install.md)\r\n"),
        (["docs/install.md"], "docs/a.md", "see [i](../old/install.md).\n", "see [i](install.md).\n"),
        (["docs/install.md"], "a/b.md", "[i](/old/install.md)\n", "[i](/docs/install.md)\n"),
        (["docs/how to.md"], "README.md", "[i](<old/how to.md>)\n", "[i](<docs/how%20to.md>)\n"),
        (["docs/usage.md"], "README.md", "[u]: docs/usage.rst\n\n[u]\n", "[u]: docs/usage.md\n\n[u]\n"),
        (
            ["img/logo.png"],
            "README.md",
            "![l](logo.png) ![l](logo.png)\n",
            "![l](img/logo.png) ![l](img/logo.png)\n",
        ),
        (["pkg/api/README.md"], "README.md", "[a](src/api/README.md)\n", "[a](pkg/api/README.md)\n"),
        (
            ["guide/a.md"],
            "README.md",
            "- item\n\n    more [a](a.md)\n",
            "- item\n\n    more [a](guide/a.md)\n",
        ),
        (
            ["guide/a.md"],
            "README.md",
            "```\n[a](a.md)\n```\n[a](a.md)\n",
            "```\n[a](a.md)\n```\n[a](guide/a.md)\n",
        ),
    ],
)
async def test_a_broken_link_points_at_the_one_file_it_can_mean(
    tmp_path: Path, files: list[str], page: str, before: str, after: str
) -> None:
    tree(tmp_path, *files, page)
    (tmp_path / page).write_bytes(before.encode())
    assert await mended("mend-broken-link", tmp_path, page) == after


@pytest.mark.parametrize(
    ("files", "before"),
    [
        (["a/install.md", "b/install.md"], "[i](docs/install.md)\n"),
        (["guide/setup.md"], "[i](docs/install.md)\n"),
        (["docs/install.md"], "[i](docs/install.md)\n"),
        (["docs/install.md"], "[i](docs)\n"),
        (["docs/install.md"], "[i](https://example.org/install.md)\n"),
        (["docs/install.md"], "[i](//example.org/install.md)\n"),
        (["docs/install.md"], "[i](mailto:install.md)\n"),
        (["docs/install.md"], "[i](../../install.md)\n"),
        (["docs/install.md"], "`[i](install.md)`\n"),
        (["docs/install.md"], "~~~~ text\n[i](install.md)\n~~~\n[i](install.md)\n~~~~\n"),
        (["docs/install.md"], "text\n\n    [i](install.md)\n"),
        (["docs/install.md"], "<!-- [i](install.md) -->\n"),
        (["docs/install.md"], "[i]({{ base }}/install.md)\n"),
        (["docs/install.md"], "[i](#install)\n"),
        (["docs/README.md"], "[i](sub/README.md)\n"),
        (["docs/install.py"], "[i](install.md)\n"),
    ],
)
async def test_a_link_that_works_or_is_unclear_stays(tmp_path: Path, files: list[str], before: str) -> None:
    tree(tmp_path, *files, "PAGE.md")
    (tmp_path / "PAGE.md").write_text(before)
    assert await mended("mend-broken-link", tmp_path, "PAGE.md") is None


async def test_only_the_named_line_changes_and_other_bytes_stay(tmp_path: Path) -> None:
    tree(tmp_path, "guide/a.md", "p.md")
    (tmp_path / "p.md").write_bytes(b"\xff [a](a.md)\r\n[a](a.md)\n\tend")
    assert (
        await mended("mend-broken-link", tmp_path, "p.md", 2) == "\udcff [a](a.md)\r\n[a](guide/a.md)\n\tend"
    )


async def test_links_never_lead_through_symbolic_links_out_of_the_tree(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "secret.md")
    root = tree(tmp_path / "root", "p.md")
    (root / "away").symlink_to(outside)
    (root / "p.md").write_text("[s](docs/secret.md)\n")
    assert await mended("mend-broken-link", root, "p.md") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# Getting started\n[g](#Getting_Started)\n", "# Getting started\n[g](#getting-started)\n"),
        ("Getting started\n===\n\n[g](#gettingstarted)\n", "Getting started\n===\n\n[g](#getting-started)\n"),
        ("## The options\r\n[o](p.md#option)\r\n", "## The options\r\n[o](p.md#the-options)\r\n"),
        ("# `run()` it!\n[o](#run-it-)\n", "# `run()` it!\n[o](#run-it)\n"),
        ('<a id="Faq"></a>\n[f](#faq)\n', '<a id="Faq"></a>\n[f](#Faq)\n'),
    ],
)
async def test_a_broken_fragment_names_the_one_heading_with_its_words(
    tmp_path: Path, before: str, after: str
) -> None:
    (tmp_path / "p.md").write_bytes(before.encode())
    assert await mended("mend-broken-anchor", tmp_path, "p.md") == after


@pytest.mark.parametrize(
    "text",
    [
        "# Install\n[i](#install)\n",
        "# Step 1\n# Step 2\n[i](#step-3)\n",
        "# Enable it\n[i](#disable-it)\n",
        "# Option\n# Options\n[i](#the-option)\n",
        "# A\n# A\n[second](#a-1)\n",
        "```\n# Install\n```\n[i](#Install)\n",
        "# Install\n[i](gone.md#Install)\n",
        "# Install\n[i](https://example.org/p.md#Install)\n",
        "# Zur Lösung\n[i](#zur-l%C3%B6sung)\n",
    ],
)
async def test_a_fragment_that_works_or_is_unclear_stays(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.md").write_text(text)
    assert await mended("mend-broken-anchor", tmp_path, "p.md") is None


def rewritten(name: str, text: str, *lines: int) -> str:
    recipe = BY_NAME[name]
    assert isinstance(recipe, Codemod)
    sites = [Site(line) for line in lines or range(1, text.count("\n") + 2)]
    once = recipe.rewrite(text, sites)
    assert recipe.rewrite(once, sites) == once
    return once


GOOGLE = '''\
def f(first, file_name, *rest):
    """Read it.

    Args:
        first: the first, not filename.
        {name} (str): where filename is.
            And more: of it.
        *rest: others.

    Returns:
        filename: nothing.
    """
'''
NUMPY = '''\
class A:
\tdef f(self, first, file_name=None):
\t\t"""Read it.

\t\tParameters
\t\t----------
\t\tfirst : int
\t\t    The first.
\t\t{name} : str, optional
\t\t    Where: it is.

\t\tReturns
\t\t-------
\t\tfilename : int
\t\t"""
'''
SPHINX = '''\
async def f(first, file_name):
    r"""Read it.

    :param int first: the first
    :param {name}: where
    :type {name}: str
    :returns: filename
    """
'''


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX, GOOGLE.replace("\n", "\r\n")])
def test_a_described_parameter_gets_its_real_name(text: str) -> None:
    before, after = text.replace("{name}", "filename"), text.replace("{name}", "file_name")
    assert rewritten("rename-documented-parameter", before) == after
    assert rewritten("remove-documented-parameter", before) == before


@pytest.mark.parametrize(
    "text",
    [
        GOOGLE.replace("{name}", "verbose"),  # not alike
        GOOGLE.replace("{name}", "file_name2"),  # another number
        GOOGLE.replace("{name}", "file_name").replace("first:", "firsd:").replace("f(first, ", "f("),
        GOOGLE.replace("{name}", "filename").replace("*rest)", "**rest)"),  # may be a keyword argument
        GOOGLE.replace("{name}", "filename").replace("def f", "@command\ndef f"),
        GOOGLE.replace("{name}", "filename").replace("        first:", "        which one, first:"),
        GOOGLE.replace("{name}", "filename").replace("file_name,", "file_name, file_names,"),
        GOOGLE.replace("{name}", "filename") + "def (:\n",
        NUMPY.replace("{name}", "filename").replace("first :", "first, last :"),
    ],
)
def test_an_unclear_description_keeps_its_names(text: str) -> None:
    assert rewritten("rename-documented-parameter", text) == text


def test_only_functions_at_a_site_are_renamed() -> None:
    text = SPHINX.replace("{name}", "filename")
    renamed = rewritten("rename-documented-parameter", text + text, 9)
    assert renamed == text + SPHINX.replace("{name}", "file_name")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'def f(a):\n    """Do.\n\n    Args:\n        a: one.\n        gone: two\n            and more.\n    """\n',
            'def f(a):\n    """Do.\n\n    Args:\n        a: one.\n    """\n',
        ),
        (
            'def f():\n    """Do.\n\n    Args:\n        gone: two.\n\n    Returns:\n        x.\n    """\n',
            'def f():\n    """Do.\n\n    Returns:\n        x.\n    """\n',
        ),
        (
            'def f():\r\n    """Do.\r\n\r\n    :param gone: it\r\n        more\r\n    :type gone: int\r\n    """\r\n',
            'def f():\r\n    """Do.\r\n    """\r\n',
        ),
        (
            'def f(a):\n\t"""Do.\n\n\tParameters\n\t----------\n\tgone\n\t  Two.\n\ta\n\t  One.\n\t"""\n',
            'def f(a):\n\t"""Do.\n\n\tParameters\n\t----------\n\ta\n\t  One.\n\t"""\n',
        ),
    ],
)
def test_a_parameter_that_is_gone_leaves_the_docstring(before: str, after: str) -> None:
    assert rewritten("remove-documented-parameter", before) == after


@pytest.mark.parametrize(
    "text",
    [
        'def f(a, b):\n    """Do.\n\n    Args:\n        a: one.\n        gone: two.\n    """\n',
        'def f(a, **rest):\n    """Do.\n\n    Args:\n        a: one.\n        gone: two.\n    """\n',
        'def f(a):\n    """Do.\n\n    Args:\n        a: one.\n        gone: two."""\n',
        'def f(a):\n    """Do.\n\n    Args:\n        a: one.\n\n    Raises:\n        KeyError: no.\n    """\n',
        'def f(a):\n    x = """Do.\n\n    Args:\n        gone: two.\n    """\n',
    ],
)
def test_an_unclear_description_is_not_removed(text: str) -> None:
    assert rewritten("remove-documented-parameter", text) == text


def test_the_slugs_are_those_of_the_forge() -> None:
    assert slug("What's *new* in `2.0`?") == "whats-new-in-20"
    assert slug("A [link](x.md) & more") == "a-link--more"
    assert anchors("# A\n## A\nB\n---\n```\n# C\n```\n") == ("a", "a-1", "b")


def test_links_are_found_with_their_places() -> None:
    text = "a [b](c(1).md) `[no](x)` [d][e]\n\n[e]: <f g.md> 'title'\n"
    assert [(link.target, link.line, text[link.start : link.end]) for link in links(text)] == [
        ("c(1).md", 1, "c(1).md"),
        ("f g.md", 3, "f g.md"),
    ]
