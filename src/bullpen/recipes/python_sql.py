"""SQL whose values travel as parameters."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import Patch, replace, rewriting
from bullpen.recipes._python_file import PythonFile
from bullpen.recipes.base import Codemod

QUESTION_MARK = frozenset({"sqlite3", "aiosqlite"})
PERCENT_S = frozenset({"psycopg", "psycopg2", "pymysql", "MySQLdb"})
OTHERS = frozenset(
    {"sqlalchemy", "django", "asyncpg", "oracledb", "pyodbc", "duckdb", "mysql", "databases", "peewee"}
)
# Where a value may stand: after a comparison, LIKE, LIMIT, OFFSET, or in the list after VALUES or IN.
VALUE_PLACE = re.compile(
    r"(?:[^<>=!][<>=]|<=|>=|<>|!=|\b(?:LIKE|LIMIT|OFFSET)|\b(?:VALUES|IN)\s*\((?:[^()]*,)?)\s*\Z",
    re.IGNORECASE,
)
STATEMENT = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """Constant texts, as written between the quotes, and the expressions between them (one fewer)."""

    quote: str
    texts: tuple[str, ...]
    values: tuple[str, ...]


def pass_parameters(file: PythonFile, call: cst.Call) -> Patch | None:
    """``execute(f"… = {x}")`` becomes ``execute("… = ?", (x,))``, in the marks of the one driver imported."""
    func, mark = call.func, _mark(file)
    if (
        not isinstance(func, cst.Attribute)
        or func.attr.value != "execute"
        or not mark
        or file.has_comment(call)
    ):
        return None
    if len(call.args) != 1 or call.args[0].keyword or call.args[0].star:
        return None
    query = _query(file, call.args[0].value)
    text = _with_marks(query, mark) if query else ""
    if not query or not text:
        return None
    values = f"({', '.join(query.values)}{',' if len(query.values) == 1 else ''})"
    return Patch((replace(file, call.args[0], f"{query.quote}{text}{query.quote}, {values}"),))


def _mark(file: PythonFile) -> str:
    """The parameter mark of the drivers that the file imports; empty unless there is exactly one kind."""
    words = {word.decode() for word in re.findall(rb"(?:import|from)\s+([A-Za-z_0-9]+)", file.data)}
    if words & OTHERS or bool(words & QUESTION_MARK) == bool(words & PERCENT_S):
        return ""
    return "?" if words & QUESTION_MARK else "%s"


def _with_marks(query: Query, mark: str) -> str:
    """The query with a mark at each value; empty if one of them is not evidently a value, or a mark is there."""
    if any("?" in text or "%" in text for text in query.texts) or not STATEMENT.match(query.texts[0]):
        return ""
    done = query.texts[0]
    for text in query.texts[1:]:
        quoted = done.endswith("'") and text.startswith("'")
        before, after = (done[:-1], text[1:]) if quoted else (done, text)
        if not _is_value_place(before.replace(mark, "0"), after):
            return ""
        done = before + mark + after
    return done


def _is_value_place(before: str, after: str) -> bool:
    """Whether a value may stand between two texts of SQL: not inside a string, nor as a part of a word."""
    apart = not after or not (after[0].isalnum() or after[0] in "_'.\\")
    return apart and before.count("'") % 2 == 0 and VALUE_PLACE.search(before) is not None


def _query(file: PythonFile, node: cst.BaseExpression) -> Query | None:
    if isinstance(node, cst.FormattedString):
        return _of_f_string(file, node)
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Modulo):
        return _of_percent(file, node)
    return _of_sum(file, node) if isinstance(node, cst.BinaryOperation) else None


def _of_f_string(file: PythonFile, node: cst.FormattedString) -> Query | None:
    if node.prefix.lower() != "f":
        return None
    texts, values = [""], list[str]()
    for part in node.parts:
        if isinstance(part, cst.FormattedStringText):
            texts[-1] += part.value
        elif isinstance(part, cst.FormattedStringExpression) and _is_plain(part):
            values.append(file.code(part.expression))
            texts.append("")
        else:
            return None
    braces = any("{" in text or "}" in text for text in texts)
    return Query(node.quote, tuple(texts), tuple(values)) if values and not braces else None


def _is_plain(part: cst.FormattedStringExpression) -> bool:
    return (
        part.conversion is None
        and part.format_spec is None
        and part.equal is None
        and _is_value(part.expression)
    )


def _is_value(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Name | cst.Attribute | cst.Subscript | cst.Call | cst.BaseNumber)


def _of_percent(file: PythonFile, node: cst.BinaryOperation) -> Query | None:
    left, right = node.left, node.right
    if not isinstance(left, cst.SimpleString) or left.prefix or not isinstance(right, cst.Tuple):
        return None
    texts = left.raw_value.split("%s")
    values = [element.value for element in right.elements if isinstance(element, cst.Element)]
    fits = len(values) == len(right.elements) == len(texts) - 1 > 0 and all(map(_is_value, values))
    return Query(left.quote, tuple(texts), tuple(map(file.code, values))) if fits else None


def _of_sum(file: PythonFile, node: cst.BinaryOperation) -> Query | None:
    first, last = file.lines(node)
    terms = list(_terms(node))
    strings = [term for term in terms if isinstance(term, cst.SimpleString)]
    plain = len({(one.quote, one.prefix) for one in strings}) == 1 and not strings[0].prefix
    if first != last or not plain or not isinstance(terms[0], cst.SimpleString):
        return None
    return _joined(file, terms, strings[0].quote)


def _joined(file: PythonFile, terms: Sequence[cst.BaseExpression], quote: str) -> Query | None:
    texts, values = [""], list[str]()
    for term in terms:
        if isinstance(term, cst.SimpleString):
            texts[-1] += term.raw_value
        elif _is_value(term):
            values.append(file.code(_unwrapped(file, term)))
            texts.append("")
        else:
            return None
    return Query(quote, tuple(texts), tuple(values)) if values else None


def _unwrapped(file: PythonFile, node: cst.BaseExpression) -> cst.BaseExpression:
    """``x`` of ``str(x)``: the driver turns values into text itself."""
    wrapped = isinstance(node, cst.Call) and file.name(node) == "builtins.str" and len(node.args) == 1
    return node.args[0].value if wrapped and isinstance(node, cst.Call) else node


def _terms(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


RECIPES = (
    Codemod(
        name="sql-parameters",
        fixes=("ruff:S608",),
        applicability=Applicability.UNSAFE,
        summary="Pass values to SQL as parameters.",
        why="A value written into the text of a query can end the query and start another; a parameter stays a value.",
        source="https://cwe.mitre.org/data/definitions/89.html",
        rewrite=rewriting(cst.Call, pass_parameters),
    ),
)
