"""Reading Python source as syntax trees, from any thread.

CPython keeps the depth of the tree it builds for the whole interpreter, so two threads that parse at once may both end in
a ``SystemError`` (python/cpython#106905); and warnings about a text are switched off for the whole interpreter too.
"""

import ast
import threading
import warnings

_ONE_AT_A_TIME = threading.Lock()


def parse_module(source: str | bytes) -> ast.Module:
    """The tree of a file; what it warns about is nobody's concern here.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is not Python that this interpreter can read.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def parse_expression(source: str) -> ast.expr:
    """The tree of one expression; raises as ``parse_module`` does."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, mode="eval").body
