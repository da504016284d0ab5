"""SQL files, read with sqlglot: statements that change or give away too much, and conditions that are never true.

Reading SQL of strangers may take very long, so it happens in the sandbox: a script of this folder that needs nothing of
Bullpen.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from bullpen.analysis.base import AnalyserFailed, Reach, SourceTree
from bullpen.analysis.tools import own_version, python_script, run_tool, tool_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Mount, Sandbox

_SCRIPT = Path(__file__).with_name("_sql_scan.py")  # importing it would load sqlglot for nothing
_INSIDE = f"/opt/bullpen/{_SCRIPT.name}"
_MIGRATION = re.compile(
    r"(?:^|/)(?:migrations?|alembic|flyway|liquibase|changelogs?)/|(?:^|/)[VU]?\d{3,}_+[^/]*$|(?:^|/)V\d+__",
    re.IGNORECASE,
)
_WORTH_READING = r"\b(?:delete|update|grant|drop|view|alter)\b|\bnot\s+in\b|(?:=|<>|!=)\s*null\b"
_LONGEST = 512 * 1024  # bytes; longer files are dumps of data


class _Rule(NamedTuple):
    """``message`` may use ``{word}``: the table, column or role it is about."""

    message: str
    severity: Severity
    concern: Concern
    url: str


_RULES: Mapping[str, _Rule] = {
    "delete-everything": _Rule(
        "This deletes every row of {word}: there is no WHERE.",
        Severity.MEDIUM,
        Concern.QA,
        "https://www.postgresql.org/docs/current/sql-delete.html",
    ),
    "update-everything": _Rule(
        "This changes every row of {word}: there is no WHERE.",
        Severity.MEDIUM,
        Concern.QA,
        "https://www.postgresql.org/docs/current/sql-update.html",
    ),
    "equals-null": _Rule(
        "A comparison with NULL is never true; IS NULL is.",
        Severity.HIGH,
        Concern.QA,
        "https://www.postgresql.org/docs/current/functions-comparison.html",
    ),
    "not-in-subquery": _Rule(
        "One NULL among what the query gives, and NOT IN is true for no row; NOT EXISTS has no such trap.",
        Severity.LOW,
        Concern.QA,
        "https://wiki.postgresql.org/wiki/Don%27t_Do_This#Don.27t_use_NOT_IN",
    ),
    "star-in-view": _Rule(
        "The view {word} takes all columns there were when it was made, and no later ones.",
        Severity.LOW,
        Concern.MAINTAINABILITY,
        "https://www.postgresql.org/docs/current/sql-createview.html",
    ),
    "grant-all": _Rule(
        "{word} may do everything with this; name the rights that are needed.",
        Severity.LOW,
        Concern.SECURITY,
        "https://www.postgresql.org/docs/current/sql-grant.html",
    ),
    "grant-all-to-public": _Rule(
        "Every role there is, and every later one, may do everything with this.",
        Severity.HIGH,
        Concern.SECURITY,
        "https://www.postgresql.org/docs/current/sql-grant.html",
    ),
    "drop-before-create": _Rule(
        "This fails on a database without the table {word}, for which it is created below; write DROP TABLE IF EXISTS.",
        Severity.LOW,
        Concern.OPERATIONS,
        "https://www.postgresql.org/docs/current/sql-droptable.html",
    ),
    "required-column": _Rule(
        "The new column {word} may not be null and has no default, so this fails on a table with rows.",
        Severity.LOW,
        Concern.OPERATIONS,
        "https://www.postgresql.org/docs/current/sql-altertable.html",
    ),
}


class _Hit(TypedDict):
    """A line of the script's output, by name."""

    path: str
    rule: str
    line: int
    column: int
    word: str


class Sql:
    """Faults in files of SQL; templates and what no dialect understands are passed over."""

    name = "sql"
    reach = Reach.FILE

    def version(self) -> str:
        """Of sqlglot, the script and this table."""
        return f"{tool_version('sqlglot', __file__)} {own_version(str(_SCRIPT))}"

    def wants(self, path: str) -> bool:
        """Files of SQL, but for what tests play with."""
        return path.endswith((".sql", ".SQL")) and role_of(path) is not Role.TEST

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        suspects = [path for path in paths if _is_suspect(tree, path)]
        if not suspects:
            return []
        outcome = await run_tool(
            sandbox,
            tree,
            python_script(_INSIDE),
            statuses=frozenset({0}),
            stdin=_request(suspects),
            mounts=(Mount(_SCRIPT, _INSIDE),),
        )
        return [_observation(_parse(line)) for line in outcome.stdout.splitlines()]


def _request(paths: Sequence[str]) -> bytes:
    files = [(path, _MIGRATION.search(path) is not None) for path in paths]
    return json.dumps({"worth": _WORTH_READING, "files": files}).encode()


def _is_suspect(tree: SourceTree, path: str) -> bool:
    small = (tree.root / path).stat().st_size <= _LONGEST
    return small and re.search(_WORTH_READING, tree.text(path), re.IGNORECASE) is not None


def _parse(line: bytes) -> _Hit:
    try:
        path, rule, number, column, word = json.loads(line)
    except ValueError as error:
        raise AnalyserFailed(
            f"sqlglot's script printed a line that is not as agreed: {line[:200]!r}."
        ) from error
    return _Hit(path=str(path), rule=str(rule), line=int(number), column=int(column), word=str(word))


def _observation(hit: _Hit) -> Observation:
    rule = _RULES[hit["rule"]]
    return Observation(
        rule=f"sql:{hit['rule']}",
        message=rule.message.format(word=hit["word"]),
        severity=rule.severity if role_of(hit["path"]) is Role.PRODUCT else milder(rule.severity),
        concern=rule.concern,
        place=Place(hit["path"], hit["line"], hit["column"]),
        analyser="sql",
        url=rule.url,
    )


ANALYSER = Sql()
