"""Calls that may wait for ever get a limit."""

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import Patch, argument, has_star, replace, rewriting, with_argument
from bullpen.recipes._python_file import PythonFile
from bullpen.recipes._python_scope import only_value
from bullpen.recipes.base import Codemod

SECONDS = "10"
VERBS = ("get", "post", "put", "delete", "patch", "head", "options", "request")
REQUESTS = frozenset({f"requests.{verb}" for verb in VERBS} | {f"requests.api.{verb}" for verb in VERBS})
HTTPX = frozenset({f"httpx.{verb}" for verb in VERBS} | {"httpx.Client", "httpx.AsyncClient", "httpx.stream"})
# The place of `timeout` among the positional parameters of the standard library's connections.
CONNECTIONS = {
    "urllib.request.urlopen": 2,
    "socket.create_connection": 1,
    "smtplib.SMTP": 3,
    "smtplib.SMTP_SSL": 5,
    "ftplib.FTP": 4,
    "ftplib.FTP_TLS": 7,
    "http.client.HTTPConnection": 2,
    "http.client.HTTPSConnection": 4,
    "imaplib.IMAP4": 2,
    "imaplib.IMAP4_SSL": 5,
    "poplib.POP3": 2,
    "poplib.POP3_SSL": 4,
    "telnetlib.Telnet": 2,
}


def limit_request(file: PythonFile, call: cst.Call) -> Patch | None:
    """Give a call of requests a time limit; httpx has one unless ``timeout=None`` takes it away."""
    name = file.name(call)
    given = argument(call, "timeout")
    if given is not None:
        known = name in REQUESTS | HTTPX or _of_session(file, call)
        return Patch((replace(file, given.value, SECONDS),)) if known and _is_none(given.value) else None
    waits = name in REQUESTS or _of_session(file, call)
    return Patch((with_argument(file, call, f"timeout={SECONDS}"),)) if waits and not _hides(call) else None


def _is_none(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Name) and node.value == "None"


def _hides(call: cst.Call) -> bool:
    """Whether ``**kwargs`` may already hold the time limit."""
    return has_star(call)


def _of_session(file: PythonFile, call: cst.Call) -> bool:
    func = call.func
    if not isinstance(func, cst.Attribute) or func.attr.value not in VERBS:
        return False
    made = only_value(file, func.value)
    return isinstance(made, cst.Call) and file.name(made) in {"requests.Session", "requests.session"}


def limit_connection(file: PythonFile, call: cst.Call) -> Patch | None:
    """Give a connection of the standard library a time limit."""
    place = CONNECTIONS.get(file.name(call))
    if place is None or has_star(call) or argument(call, "timeout", place) is not None:
        return None
    return Patch((with_argument(file, call, f"timeout={SECONDS}"),))


RECIPES = (
    Codemod(
        name="http-timeout",
        fixes=("ruff:S113", "ast-grep:py-session-timeout-missing"),
        applicability=Applicability.UNSAFE,
        summary="Give HTTP requests a time limit.",
        why="Without a time limit a silent server holds the caller for ever; ten seconds is a start to adjust.",
        source="https://requests.readthedocs.io/en/latest/user/advanced/#timeouts",
        rewrite=rewriting(cst.Call, limit_request),
    ),
    Codemod(
        name="connection-timeout",
        fixes=("ast-grep:py-urlopen-timeout-missing", "ast-grep:py-connection-timeout-missing"),
        applicability=Applicability.UNSAFE,
        summary="Give network connections a time limit.",
        why="Without a time limit a silent peer holds the caller for ever; ten seconds is a start to adjust.",
        source="https://docs.python.org/3/library/socket.html#notes-on-socket-timeouts",
        rewrite=rewriting(cst.Call, limit_connection),
    ),
)
