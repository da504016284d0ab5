"""Looks through SQL with sqlglot, inside the sandbox.

Reads ``{"worth": regex, "files": [[path, is_migration], ...]}`` as JSON from standard input, where statements that the
expression is not found in need not be read, and prints a line of JSON for each fault:
``[path, rule, line, column, word]``. Imports nothing of Bullpen: only this file is needed inside.

Each statement is read by itself, by the first dialect that understands it; one that nobody understands says nothing.
"""

import json
import logging
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

DIALECTS = ("postgres", "mysql", "tsql", "sqlite")
SECONDS_PER_FILE = 5
LONGEST = 20_000  # characters of a statement; longer ones are data
TEMPLATE = re.compile(r"\{\{|\{%|<%|\$\{")
COMMAND = re.compile(r"^[ \t]*(?:\\.+|GO)[ \t]*$", re.MULTILINE | re.IGNORECASE)  # of psql, of sqlcmd
TEMPORARY = re.compile(r"#|@|te?mp(?:_|\d|$)|staging", re.IGNORECASE)
Fault = tuple[str, Token, str]


class TooSlow(Exception):
    """A file takes longer than it is worth."""


def faults(text: str, is_migration: bool, worth: re.Pattern[str]) -> Iterator[Fault]:
    """Rule, the token it starts at, and a word for the message."""
    if TEMPLATE.search(text):
        return
    created: set[str] = set()
    dropped: list[tuple[str, Token]] = []
    for tokens in statements(COMMAND.sub(blank, text), worth):
        tree = parsed(text[tokens[0].start : tokens[-1].end + 1])
        if tree is None:
            continue
        yield from ((rule, tokens[0], word) for rule, word in whole(tree, is_migration, created))
        yield from inside(tree, tokens)
        if isinstance(tree, exp.Create) and tree.kind == "TABLE":
            created.add(name_of(tree))
            yield from (("drop-before-create", at, name) for name, at in dropped if name == name_of(tree))
        if isinstance(tree, exp.Drop) and tree.args.get("kind") == "TABLE" and not tree.args.get("exists"):
            dropped += [
                (table.name.lower(), tokens[0])
                for table in tree.find_all(exp.Table)
                if table.name.lower() not in created
            ]


def blank(command: re.Match[str]) -> str:
    """The end of a statement, as long as what it takes the place of."""
    return ";".ljust(len(command[0]))


def statements(text: str, worth: re.Pattern[str]) -> Iterator[list[Token]]:
    """The tokens of each statement that may be worth reading."""
    tokens: list[Token] = []
    for token in (*sqlglot.tokenize(text, read="postgres"), None):
        if token is not None and token.token_type is not TokenType.SEMICOLON:
            tokens.append(token)
            continue
        if tokens and tokens[-1].end - tokens[0].start < LONGEST:
            written = text[tokens[0].start : tokens[-1].end + 1]
            if worth.search(written) or tokens[0].token_type is TokenType.CREATE:
                yield tokens
        tokens = []


def parsed(statement: str) -> exp.Expr | None:
    """Its tree; None where no dialect takes it whole."""
    for dialect in DIALECTS:
        try:
            trees = sqlglot.parse(statement, read=dialect)
        except (SqlglotError, RecursionError):
            continue
        if len(trees) == 1 and trees[0] is not None and not isinstance(trees[0], exp.Command):
            return trees[0]
    return None


def whole(tree: exp.Expr, is_migration: bool, created: set[str]) -> Iterator[tuple[str, str]]:
    """Faults of the statement as such."""
    if isinstance(tree, exp.Delete) and changes_everything(tree):
        yield "delete-everything", name_of(tree)
    if isinstance(tree, exp.Update) and not is_migration and changes_everything(tree):
        yield "update-everything", name_of(tree)  # a migration fills new columns
    if isinstance(tree, exp.Grant) and any(
        each.name.upper().startswith("ALL") for each in tree.args.get("privileges") or ()
    ):
        to = [each.name for each in tree.args.get("principals") or ()]
        yield ("grant-all-to-public" if "PUBLIC" in map(str.upper, to) else "grant-all"), ", ".join(to)
    if isinstance(tree, exp.Create) and tree.kind == "VIEW" and has_star(tree.expression):
        yield "star-in-view", name_of(tree)
    if isinstance(tree, exp.Alter) and is_migration and name_of(tree) not in created:
        yield from (
            ("required-column", column.name)
            for column in tree.args.get("actions") or ()
            if is_required(column)
        )


def changes_everything(tree: exp.Delete | exp.Update) -> bool:
    """Whether nothing limits the rows."""
    limits = ("where", "using", "from_", "from", "limit", "tables", "order")
    target = tree.this
    plain = isinstance(target, exp.Table) and not target.args.get("joins")
    return plain and not any(tree.args.get(key) for key in limits) and not TEMPORARY.match(name_of(tree))


def name_of(tree: exp.Expr) -> str:
    """The table or view a statement is about, in lower case."""
    table = tree.find(exp.Table)
    return table.name.lower() if table else ""


def has_star(query: exp.Expr | None) -> bool:
    """Whether it takes all columns, whatever they are, of a table that is written elsewhere."""
    if not isinstance(query, exp.Select):
        return False
    own = {each.alias for each in query.ctes}
    tables = [
        each.this
        for each in (query.args.get("from_") or query.args.get("from"), *(query.args.get("joins") or ()))
        if each
    ]
    stars = any(isinstance(each, exp.Star) for each in query.expressions)
    return stars and any(
        isinstance(each, exp.Table) and isinstance(each.this, exp.Identifier) and each.name not in own
        for each in tables
    )


def is_required(action: exp.Expr) -> bool:
    """A new column that may not be null and has no value for the rows there are."""
    if not isinstance(action, exp.ColumnDef):
        return False
    kinds = [
        each.kind for each in action.args.get("constraints") or () if isinstance(each, exp.ColumnConstraint)
    ]
    fills = (
        exp.DefaultColumnConstraint,
        exp.GeneratedAsIdentityColumnConstraint,
        exp.ComputedColumnConstraint,
    )
    fills += (exp.AutoIncrementColumnConstraint, exp.PrimaryKeyColumnConstraint)
    required = any(
        isinstance(each, exp.NotNullColumnConstraint) and not each.args.get("allow_null") for each in kinds
    )
    serial = "SERIAL" in str(action.args.get("kind")).upper()
    return required and not serial and not any(isinstance(each, fills) for each in kinds)


def inside(tree: exp.Expr, tokens: Sequence[Token]) -> Iterator[Fault]:
    """Faults of conditions in it."""
    conditions = [each for kind in (exp.Where, exp.Having, exp.Join) for each in tree.find_all(kind)]
    nulls = {
        id(each): each for where in conditions for each in where.find_all(exp.EQ, exp.NEQ) if is_null(each)
    }
    if nulls:
        yield from (("equals-null", at, "") for at in compared_with_null(tokens)[: len(nulls)])
    lists = {
        id(each): each for where in conditions for each in where.find_all(exp.Not) if may_hold_null(each)
    }
    places = [one for one, two in pairwise(tokens) if (one.text.upper(), two.text.upper()) == ("NOT", "IN")]
    yield from (("not-in-subquery", at, "") for at in places[: len(lists)])


def is_null(comparison: exp.Expr) -> bool:
    """Whether it compares with a literal NULL."""
    return isinstance(comparison.args.get("expression"), exp.Null)


def compared_with_null(tokens: Sequence[Token]) -> list[Token]:
    """The tokens of the comparisons in conditions: those after the first WHERE, HAVING or ON."""
    start = next(
        (n for n, each in enumerate(tokens) if each.text.upper() in ("WHERE", "HAVING", "ON")), len(tokens)
    )
    pairs = pairwise(tokens[start:])
    return [one for one, two in pairs if one.text in ("=", "<>", "!=") and two.token_type is TokenType.NULL]


def may_hold_null(negation: exp.Not) -> bool:
    """NOT IN over a query whose one column may be null: not a key, and not asked to be more."""
    query = negation.this.args.get("query") if isinstance(negation.this, exp.In) else None
    select = query.this if isinstance(query, exp.Subquery) else query
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return False
    column = select.expressions[0]
    known = isinstance(column, exp.Column) and column.name.lower() != "id"
    where = select.args.get("where")
    return known and not (
        where and any(isinstance(each.expression, exp.Null) for each in where.find_all(exp.Is))
    )


def stop(_signal: int, _frame: FrameType | None) -> None:
    """What the alarm does."""
    raise TooSlow


def main() -> None:
    """Look through what standard input names; see the module's docstring."""
    logging.disable()
    signal.signal(signal.SIGALRM, stop)
    asked = json.load(sys.stdin)
    worth = re.compile(asked["worth"], re.IGNORECASE)
    for path, is_migration in asked["files"]:
        text = Path(path).read_bytes().decode("utf-8-sig", "replace")
        signal.alarm(SECONDS_PER_FILE)
        try:
            for rule, at, word in faults(text, is_migration, worth):
                column = max(at.start - text.rfind("\n", 0, at.start), 1)
                line = text.count("\n", 0, at.start) + 1
                print(json.dumps([path, rule, line, column, word]))  # noqa: T201 - to the analyser outside
        except (TooSlow, SqlglotError, RecursionError):
            continue  # not SQL that people write
        finally:
            signal.alarm(0)


if __name__ == "__main__":
    main()
