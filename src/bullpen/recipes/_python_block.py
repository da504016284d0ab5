"""Whole lines of a block: where they are, and the same lines one level further out."""

import re

import libcst as cst

from bullpen.recipes._python_edit import nodes_of
from bullpen.recipes._python_file import PythonFile

WIDTHS = (79, 88, 100, 120)  # line lengths that people agree on
USUAL_WIDTH = 88
ENOUGH_LINES = 200  # a shorter file does not show how long its lines may be
JUMPS = (cst.Return, cst.Raise, cst.Continue, cst.Break)
LOOSE = (cst.IfExp, cst.Lambda, cst.NamedExpr, cst.Yield, cst.Tuple, cst.GeneratorExp)


def widest(file: PythonFile) -> int:
    """How many characters a line of the file may have, as its own lines show: nine hundred and ninety-nine in a thousand."""
    lengths = sorted(len(line) for line in file.text(file.skipped, len(file.data)).splitlines())
    if len(lengths) < ENOUGH_LINES:
        return USUAL_WIDTH
    longest = lengths[-1 - len(lengths) // 1000]
    return next((width for width in WIDTHS if longest <= width), USUAL_WIDTH)


def line_offset(file: PythonFile, line: int) -> int:
    """The byte offset of the first byte of a line, or the end of the data beyond the last."""
    starts = [file.skipped, *(match.end() for match in re.finditer(rb"\r\n|\n|\r", file.data))]
    return starts[line - 1] if line <= len(starts) else len(file.data)


def first_line(file: PythonFile, statement: cst.CSTNode) -> int:
    """The first line of a statement, its decorators and the comments above it among them."""
    above = getattr(statement, "leading_lines", ())
    decorators = getattr(statement, "decorators", ())
    return file.lines(decorators[0] if decorators else statement)[0] - len(above)


def body_lines(file: PythonFile, block: cst.BaseSuite) -> tuple[int, int] | None:
    """Offsets of a block's lines, from the line after its head; None where moving them is not certain to be safe.

    A string or a statement that goes on over lines without brackets would change or break when moved.
    """
    if not isinstance(block, cst.IndentedBlock) or not block.body or block.header.comment:
        return None
    if any(line.comment for line in block.footer) or has_fixed_lines(file, block):
        return None
    start = line_offset(file, first_line(file, block.body[0]))
    return start, line_offset(file, last_line(file, block.body[-1]) + 1)


def last_line(file: PythonFile, statement: cst.CSTNode) -> int:
    """The last line of a statement; of a compound one, that of its last inner statement."""
    inner = nodes_of(statement, cst.BaseSmallStatement)
    return max(file.lines(one)[1] for one in (*inner, *([] if inner else [statement])))


def has_fixed_lines(file: PythonFile, block: cst.CSTNode) -> bool:
    """Whether a string or a statement goes on over lines without brackets, so that indenting it changes it."""
    texts = [*nodes_of(block, cst.SimpleString), *nodes_of(block, cst.FormattedString)]
    if any(file.lines(text)[0] != file.lines(text)[1] for text in texts):
        return True
    return bool(re.search(r"\\\r?\n|\f", file.code(block)))


def moved_out(file: PythonFile, block: cst.BaseSuite, indent: str) -> str | None:
    """The lines of a block with ``indent`` in place of their own; None where that is not possible."""
    place = body_lines(file, block)
    if place is None or not isinstance(block, cst.IndentedBlock):
        return None
    old = file.indent(block.body[0])
    lines = file.text(*place).splitlines(keepends=True)
    if any(line.strip() and not line.startswith(old) for line in lines):
        return None
    return "".join(indent + line.removeprefix(old) if line.strip() else line for line in lines)


def jumps(block: cst.BaseSuite) -> bool:
    """Whether a block's last statement leaves it for good."""
    last = block.body[-1] if block.body else None
    if isinstance(last, cst.SimpleStatementLine):
        last = last.body[-1]
    return isinstance(last, JUMPS)


def operand(file: PythonFile, node: cst.BaseExpression) -> str:
    """An expression's text as an operand of ``and``: in parentheses where it has or needs them."""
    text = file.code(node)
    loose = isinstance(node, LOOSE) or (
        isinstance(node, cst.BooleanOperation) and isinstance(node.operator, cst.Or)
    )
    return f"({text})" if loose or getattr(node, "lpar", ()) else text


def is_bare(*lines: object) -> bool:
    """Whether none of the given line ends and empty lines holds a comment."""
    return not any(getattr(line, "comment", None) for line in lines)


def in_block(file: PythonFile, statement: cst.CSTNode) -> bool:
    """Whether a statement stands on lines of its own in an indented block or in the module."""
    return isinstance(file.parent(statement), cst.IndentedBlock | cst.Module)


def has_inner_comment(file: PythonFile, node: cst.CSTNode) -> bool:
    """Whether a comment stands within a node, or at the end of a compound statement's last line."""
    start, end = file.span(node)
    if isinstance(node, cst.BaseCompoundStatement):
        end = line_offset(file, last_line(file, node) + 1)
    return any(start <= file.span(comment)[0] < end for comment in nodes_of(node, cst.Comment))
