"""Ruff's own fixes, at the given places only."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import BaseModel, TypeAdapter
from ruff import find_ruff_bin

from bullpen.domain.change import Applicability, FileChange, Site
from bullpen.domain.errors import Unavailable
from bullpen.recipes._python_edit import Edit, edited
from bullpen.recipes.base import RecipeJob
from bullpen.sandbox.base import Command, End, Limits, Mount

INSIDE = "/opt/bullpen/bin/ruff"
FOUND_NOTHING, FOUND_SOMETHING = 0, 1
LIMITS = Limits(wall_seconds=60)
LARGEST_CONFIG = 1024 * 1024
MINORS = range(7, 16)  # of Python 3, as ruff knows them


FOLLOWED_BY = {"UP030": ("UP032",), "UP031": ("UP032",)}  # a fix that ends in a finding of the next rule
SAFE = Applicability.SAFE.value


class Place(BaseModel):
    """A place as ruff says it: both start at 1, columns count characters."""

    row: int
    column: int


class FixEdit(BaseModel):
    """One replacement."""

    content: str
    location: Place
    end_location: Place


class Fix(BaseModel):
    """What would mend a diagnostic."""

    applicability: str
    edits: list[FixEdit]


class Diagnostic(BaseModel):
    """One finding in ruff's JSON."""

    code: str | None
    location: Place
    fix: Fix | None


DIAGNOSTICS = TypeAdapter(list[Diagnostic])


class ProjectRuff(BaseModel):
    """The settings of a project's ruff that decide how a fix is written."""

    line_length: int | None = None
    target_version: str | None = None


@dataclass(frozen=True, slots=True)
class RuffFixes:
    """Applies the fixes of one applicability for the rules of the sites."""

    name: str
    applicability: Applicability
    summary: str
    why: str
    fixes: tuple[str, ...] = ("ruff:*",)
    source: str = "https://docs.astral.sh/ruff/linter/#fix-safety"

    async def apply(self, job: RecipeJob) -> list[FileChange]:
        """See ``Recipe.apply``.

        Raises:
            Unavailable: ruff did not run to its end in the sandbox.
        """
        rules = sorted({code for site in job.sites if (code := rule_code(site))})
        before = job.source()
        if not rules or not is_utf8(before):
            return []
        found = await diagnose(job, before, rules)
        wanted = [one.fix for one in found if one.fix and self._asked(one, one.fix, job.sites)]
        after = with_fixes(before, wanted)
        if next_rules := sorted({code for rule in rules for code in FOLLOWED_BY.get(rule, ())}):
            after = await self._followed_up(job, before, after, next_rules)
        return [] if after == before else [FileChange(job.path, before, after)]

    async def _followed_up(self, job: RecipeJob, before: bytes, after: bytes, rules: Sequence[str]) -> bytes:
        """What ruff would say next of the very lines it has just rewritten is done at once."""
        if after == before:
            return after
        rewritten = _rewritten_lines(before, after)
        found = await diagnose(job, after, rules)
        mine = [one.fix for one in found if one.fix and one.location.row in rewritten]
        return with_fixes(
            after, [fix for fix in mine if fix.applicability in {SAFE, self.applicability.value}]
        )

    def _asked(self, found: Diagnostic, fix: Fix, sites: Sequence[Site]) -> bool:
        return fix.applicability == self.applicability.value and any(
            found.code == rule_code(site)
            and found.location.row == site.line
            and site.column in {1, found.location.column}
            for site in sites
        )


def _rewritten_lines(before: bytes, after: bytes) -> frozenset[int]:
    """Numbers of the lines of ``after`` that are not in ``before``, from 1."""
    old, new = before.split(b"\n"), after.split(b"\n")
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return frozenset(
        line + 1 for tag, _, _, first, last in blocks if tag != "equal" for line in range(first, last)
    )


def rule_code(site: Site) -> str:
    """``F401`` of a site whose rule is ``ruff:F401``; empty for the rules of others."""
    tool, _, code = site.rule.partition(":")
    return code if tool == "ruff" and code.isalnum() else ""


def is_utf8(content: bytes) -> bool:
    """Whether ruff can read a file."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


async def diagnose(job: RecipeJob, content: bytes, rules: Sequence[str]) -> list[Diagnostic]:
    """What ruff finds of some rules in a file, run without the project's configuration but in its tree.

    Raises:
        Unavailable: ruff did not run to its end in the sandbox.
    """
    outcome = await job.sandbox.run(
        Command(
            argv=(INSIDE, *arguments(job, rules), "-"),
            workspace=job.root,
            mounts=(ruff_mount(),),
            limits=LIMITS,
            stdin=content,
        )
    )
    if outcome.end is not End.EXITED or outcome.exit_status not in {FOUND_NOTHING, FOUND_SOMETHING}:
        said = outcome.stderr.decode(errors="replace").strip()
        raise Unavailable(f"ruff could not check {job.path!r}: {said or outcome.end.value}.")
    return DIAGNOSTICS.validate_json(outcome.stdout)


def ruff_mount() -> Mount:
    """This machine's ruff, as the sandbox sees it."""
    return Mount(Path(find_ruff_bin()).resolve(), INSIDE)


def arguments(job: RecipeJob, rules: Sequence[str]) -> tuple[str, ...]:
    """Ruff's arguments for a job."""
    project = project_ruff(job.root, job.path)
    length = (f"--config=line-length={project.line_length}",) if project.line_length else ()
    version = (f"--target-version={project.target_version}",) if project.target_version else ()
    fixed = ("check", "--isolated", "--no-cache", "--quiet", "--output-format=json")
    return (*fixed, *length, *version, f"--select={','.join(rules)}", f"--stdin-filename={job.path}")


def project_ruff(root: Path, path: str) -> ProjectRuff:
    """Line length and Python version from the configuration nearest to a file, as far as they are readable."""
    for folder in PurePosixPath(path).parents:
        own = _table(root, folder / "ruff.toml") or _table(root, folder / ".ruff.toml")
        project = _table(root, folder / "pyproject.toml")
        tool = own or _section(_section(project, "tool"), "ruff")
        requires = _section(project, "project").get("requires-python")
        if tool or requires:
            length, version = tool.get("line-length"), tool.get("target-version")
            return ProjectRuff(
                line_length=length if isinstance(length, int) and 1 <= length <= 320 else None,
                target_version=_known_version(version) or _lowest_version(requires),
            )
    return ProjectRuff()


def _table(root: Path, path: PurePosixPath) -> dict[str, object]:
    file = root / path
    inside = file.is_file() and file.resolve().is_relative_to(root.resolve())
    if not inside or file.stat().st_size > LARGEST_CONFIG:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return {}  # a broken configuration gives no settings


def _section(table: dict[str, object], name: str) -> dict[str, object]:
    found = table.get(name)
    return TypeAdapter(dict[str, object]).validate_python(found) if isinstance(found, dict) else {}


def _known_version(version: object) -> str | None:
    return version if version in {f"py3{minor}" for minor in MINORS} else None  # type: ignore[return-value]


def _lowest_version(requires: object) -> str | None:
    try:
        allowed = SpecifierSet(requires) if isinstance(requires, str) else None
    except InvalidSpecifier:
        return None
    if allowed is None:
        return None
    return next((f"py3{minor}" for minor in MINORS if allowed.contains(f"3.{minor}.99")), None)


def with_fixes(content: bytes, fixes: Sequence[Fix]) -> bytes:
    """The content after the fixes; one that overlaps an earlier one is left for the next run."""
    starts = line_starts(content)
    taken: set[Edit] = set()
    for fix in fixes:
        edits = {as_edit(content, starts, one) for one in fix.edits}
        if not any(_collide(new, old) for new in edits for old in taken if new != old):
            taken |= edits
    return edited(content, sorted(taken))


def _collide(one: Edit, other: Edit) -> bool:
    return one.start == other.start or (one.start < other.end and other.start < one.end)


def line_starts(content: bytes) -> list[int]:
    """Byte offset of each line, with the line ends that ruff knows."""
    lines = content.replace(b"\r\n", b" \n").replace(b"\r", b"\n").split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return starts


def as_edit(content: bytes, starts: Sequence[int], fix: FixEdit) -> Edit:
    """Ruff's rows and columns as byte offsets."""
    return Edit(
        _offset(content, starts, fix.location), _offset(content, starts, fix.end_location), fix.content
    )


def _offset(content: bytes, starts: Sequence[int], place: Place) -> int:
    start = starts[place.row - 1]
    line = content[start : starts[place.row]].decode("utf-8-sig" if start == 0 else "utf-8")
    skipped = len(content) - len(content.removeprefix(b"\xef\xbb\xbf")) if start == 0 else 0
    return start + skipped + len(line[: place.column - 1].encode())


RECIPES = (
    RuffFixes(
        name="ruff-safe-fixes",
        applicability=Applicability.SAFE,
        summary="Apply ruff's safe fix.",
        why="Ruff's own rewrite mends it and keeps the meaning.",
    ),
    RuffFixes(
        name="ruff-unsafe-fixes",
        applicability=Applicability.UNSAFE,
        summary="Apply ruff's unsafe fix.",
        why="Ruff's own rewrite mends it; in rare cases it may change the meaning.",
    ),
)
