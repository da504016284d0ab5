"""The program that runs inside the sandbox, with the project's interpreter, and says what a function does.

It needs the standard library of Python 3.9 or later and nothing of Bullpen. It reads one request as JSON from its
standard input and writes one answer as JSON to its standard output. Every call happens in a forked child with a time
limit, so an endless loop or a crash loses one answer and not all.

Request: ``module``, ``function``, ``line`` (of its ``def``), ``calls`` (pairs of literals: positional, by keyword),
``mutants`` (sources of the function, changed), ``together`` (all calls in one child, in the given order).
Answer: ``original``: an observation or null per call; ``mutants``: per mutant the same list, or null if it never ended.
"""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import inspect
import io
import json
import linecache
import math
import os
import random
import signal
import sys
from functools import partial
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Call = tuple[str, str]

CALL_SECONDS = 2
RUN_SECONDS = 10
MOST_BAD_ENDS = 4
LONGEST = 240
DEEPEST = 4
# What the interpreter itself does while it computes; every other audit event reaches outside.
QUIET_EVENTS = frozenset(
    {
        "import",
        "compile",
        "exec",
        "marshal.loads",
        "object.__getattr__",
        "object.__setattr__",
        "object.__delattr__",
        "code.__new__",
        "function.__new__",
        "array.__new__",
        "pickle.find_class",
        "sys._getframe",
        "sys._getframemodulename",
        "sys.setprofile",
    }
)
LOUD_MODULES = frozenset(
    {"time", "posix", "random", "_random", "secrets", "_uuid", "_socket", "_warnings", "select", "gc"}
)
LOUD_BUILTINS = frozenset({"print", "input", "open", "id", "breakpoint", "exit", "quit", "globals", "vars"})
LOUD_CLASS_METHODS = frozenset({"now", "today", "utcnow", "fromtimestamp"})
LOUD_PYTHON = frozenset(
    {
        "os",
        "random",
        "secrets",
        "tempfile",
        "subprocess",
        "socket",
        "logging",
        "locale",
        "platform",
        "getpass",
    }
)
QUIET_OS = frozenset({"fspath", "_fspath", "fsencode", "fsdecode"})


def literal(value: object, depth: int = 0) -> str:
    """A literal that gives an equal value, the same in every process; "" if there is none or it is long."""
    text = _literal(value, depth)
    return text if len(text) <= LONGEST else ""


def _literal(value: Any, depth: int) -> str:
    kind = cast("type[object]", type(value))
    if value is None or kind in (bool, int, bytes):
        return repr(value)
    if kind is float:
        return repr(value) if math.isfinite(value) else ""
    if kind is str:
        return _quoted(value)
    if depth >= DEEPEST or kind not in (list, tuple, set, frozenset, dict):
        return ""
    if kind is dict:
        return _dict_literal(value, depth)
    items = [_literal(item, depth + 1) for item in value]
    if not all(items):
        return ""
    return _gathered(kind, items)


def _dict_literal(value: dict[object, object], depth: int) -> str:
    items = [(_literal(key, depth + 1), _literal(item, depth + 1)) for key, item in value.items()]
    if not all(key and item for key, item in items):
        return ""
    return "{" + ", ".join(key + ": " + item for key, item in items) + "}"


def _gathered(kind: type, items: list[str]) -> str:
    if kind is list:
        return "[" + ", ".join(items) + "]"
    if kind is tuple:
        return "(" + ", ".join(items) + ("," if len(items) == 1 else "") + ")"
    inside = "{" + ", ".join(sorted(items)) + "}" if items else "set()"
    return inside if kind is set else ""


def _quoted(value: str) -> str:
    text = repr(value)
    return '"' + text[1:-1] + '"' if text[0] == "'" and '"' not in text else text


class Watch:
    """Notes what a call does beyond computing: files, network, clock, chance, environment, output."""

    def __init__(self) -> None:
        self.active = False
        self.seen: list[str] = []

    def audit(self, event: str, _arguments: object) -> None:
        if self.active and event not in QUIET_EVENTS and not event.startswith("cpython."):
            self.note(event)

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and is_loud_builtin(argument):
            self.note(getattr(argument, "__qualname__", repr(argument)))
        elif event == "call" and is_loud_python(frame):
            self.note(frame.f_code.co_name)

    def note(self, what: str) -> None:
        """Keep it, unless an import inside the function is what does it."""
        frame = inspect.currentframe()
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                return
            frame = frame.f_back
        self.seen.append(what)

    def run(self, function: Callable[..., Any], positional: Iterable[Any], named: dict[str, Any]) -> object:
        self.active = True
        sys.setprofile(self.profile)
        try:
            return function(*positional, **named)
        finally:
            sys.setprofile(None)
            self.active = False


def is_loud_builtin(function: object) -> bool:
    name = getattr(function, "__name__", "")
    module = getattr(function, "__module__", None)
    owner = getattr(function, "__self__", None)
    if module == "builtins":
        return name in LOUD_BUILTINS
    if module in LOUD_MODULES:
        return name != "fspath" and not name.startswith("_path_")
    if isinstance(owner, type) and issubclass(owner, dt.date):
        return name in LOUD_CLASS_METHODS
    loud_files = isinstance(owner, io.IOBase) and not isinstance(owner, (io.StringIO, io.BytesIO))
    return loud_files or isinstance(owner, random.Random)


def is_loud_python(frame: FrameType) -> bool:
    return (
        frame.f_globals.get("__name__") in LOUD_PYTHON
        and frame.f_code.co_name not in QUIET_OS
        and frame.f_code.co_name != "<module>"
    )


def observe(module: ModuleType, function: Callable[..., Any], call: Call, watch: Watch) -> dict[str, object]:
    """One call's observation, as a dict for JSON. The call is made twice: it must do the same again."""
    first = observe_once(module, function, call, watch)
    second = observe_once(module, function, call, watch)
    if first != second:
        first["loud"] = ["differs when called again"]
    return first


def observe_once(
    module: ModuleType, function: Callable[..., Any], call: Call, watch: Watch
) -> dict[str, object]:
    positional, named = ast.literal_eval(call[0]), ast.literal_eval(call[1])
    watch.seen = []
    try:
        value = watch.run(function, positional, named)
    except Exception as error:
        answer = describe_error(module, error)
    else:
        answer: dict[str, object] = {"value": literal(value)}
    answer["loud"] = watch.seen[:3]
    return answer


def describe_error(module: ModuleType, error: Exception) -> dict[str, object]:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = trace.tb_lineno if trace is not None else 0
    path = trace.tb_frame.f_code.co_filename if trace is not None else ""
    kind = type(error)
    home = "builtins" if kind.__module__ == "builtins" else ""
    if not home and getattr(module, kind.__name__, None) is kind:
        home = module.__name__
    return {
        "error": kind.__name__,
        "home": home,
        "message": str(error)[: LONGEST + 1],
        "line": line if path == module.__file__ else 0,
        "meant": linecache.getline(path, line).lstrip().startswith("raise"),
    }


def in_child(seconds: int, work: Callable[[], object]) -> Any:
    """What ``work()`` returns, computed in a forked child; None if it crashed or took longer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        status = 1
        try:
            data = json.dumps(work()).encode()
            while data:
                data = data[os.write(writing, data) :]
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    _, status = os.waitpid(child, 0)
    return json.loads(data) if status == 0 else None


def each_in_child(work: Callable[[Any], object], items: list[Any]) -> list[Any]:
    """One child per item; after a few that ended badly, the rest is not tried."""
    found: list[Any] = []
    for item in items:
        given_up = found.count(None) >= MOST_BAD_ENDS
        found.append(None if given_up else in_child(CALL_SECONDS, partial(work, item)))
    return found


def changed_function(module: ModuleType, name: str, source: str) -> Callable[..., Any]:
    """The module's function, replaced by a changed one, so that calls among the module's functions meet it too."""
    exec(compile(source, "<mutant>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102 (in the sandbox)
    return getattr(module, name)


def answer(request: dict[str, Any]) -> dict[str, object]:
    sys.setrecursionlimit(500)
    module = importlib.import_module(request["module"])
    function = getattr(module, request["function"], None)
    watch = Watch()
    sys.addaudithook(watch.audit)
    calls: list[Call] = request["calls"]
    name: str = request["function"]
    if not isinstance(function, FunctionType) or function.__code__.co_firstlineno != request["line"]:
        return {"original": [], "mutants": []}

    def together(source: str = "") -> list[dict[str, object]]:
        target = changed_function(module, name, source) if source else function
        return [observe(module, target, call, watch) for call in calls]

    if request["together"]:
        original: list[Any] = in_child(RUN_SECONDS, together) or []
    else:
        original = each_in_child(partial(observe, module, function, watch=watch), calls)
    mutants = each_in_child(together, request["mutants"])
    return {"original": original, "mutants": mutants}


def main() -> None:
    # What the project prints must not mix with the answer.
    answers = os.dup(1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    request = json.load(sys.stdin)
    with os.fdopen(answers, "w") as stream:
        json.dump(answer(request), stream)


if __name__ == "__main__":
    main()
