"""Every command in a ``console`` block of README and the guides is run, in order, on a copy of the sample."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import bullpen

PROJECT = Path(__file__).parents[2]
PAGES = sorted([PROJECT / "README.md", *(PROJECT / "docs" / "guide").glob("*.md")])
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A line that begins with ``$``, and the output that follows it, if any is given."""

    line: str
    output: str


def commands(text: str) -> Iterator[Command]:
    """The commands of a page."""
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            yield Command(line, output.strip())


@dataclass(frozen=True, slots=True)
class Desk:
    """Where commands are run. A line that is on several pages is run once; ``ran`` holds what it printed."""

    place: Path
    environment: dict[str, str]
    ran: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, line: str) -> str:
        """What a line prints; it must succeed."""
        if line not in self.ran:
            done = subprocess.run(
                ["bash", "-ec", line],
                cwd=self.place,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            self.ran[line] = done.stdout
        return self.ran[line]


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A folder with the sample as the repository ``orders``, and an environment whose ``bullpen`` is this one."""
    place = tmp_path_factory.mktemp("desk")
    programs = place / "bin"
    programs.mkdir()
    program = programs / "bullpen"
    entry = 'from bullpen.cli.main import main\n\nif __name__ == "__main__":\n    main()\n'
    program.write_text(f"#!{sys.executable}\n{entry}")
    program.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BULLPEN_", "GIT_"))}
    environment = {
        **kept,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(bullpen.__file__).parents[1]),
        "BULLPEN_HOME": str(place / "home"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_PAGER": "cat",
        **{
            f"GIT_{who}_{what}": f"ada{at}"
            for who in ("AUTHOR", "COMMITTER")
            for what, at in (("NAME", ""), ("EMAIL", "@x"))
        },
    }
    setup = (
        f"cp -R '{PROJECT}/examples/orders' orders && cd orders && rm FAULTS.md && git init -q -b main && git add -A"
        " && git commit -q -m 'Order desk'"
    )
    subprocess.run(["bash", "-ec", setup], cwd=place, env=environment, check=True)
    return Desk(place, environment)


def test_commands_and_outputs_are_read_from_a_page() -> None:
    page = "```console\n$ one\nout\n\n$ two\n```\n\n```sh\n$ three\n```\n"
    assert list(commands(page)) == [Command("one", "out"), Command("two", "")]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("documents")
@pytest.mark.req("DOCS-01")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_the_commands_of_a_page_work(page: Path, desk: Desk) -> None:
    for command in commands(page.read_text("utf-8")):
        assert command.output in desk.run(command.line)


def test_there_are_commands_to_run() -> None:
    pages = {page.name: list(commands(page.read_text("utf-8"))) for page in PAGES}
    assert all(
        pages[name]
        for name in ("README.md", "quick-start.md", "improve.md", "report.md", "troubleshooting.md")
    )
