"""Safer arguments: the dangerous choice in a call is replaced by the one that was meant."""

import re
from collections.abc import Mapping

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import (
    Mend,
    Patch,
    argument,
    has_star,
    replace,
    rewriting,
    with_argument,
    without_argument,
)
from bullpen.recipes._python_file import Import, PythonFile
from bullpen.recipes._python_scope import context_words, only_value
from bullpen.recipes.base import Codemod

RUFF = "https://docs.astral.sh/ruff/rules/"
UNSAFE_LOADERS = frozenset(
    {
        "yaml.Loader",
        "yaml.UnsafeLoader",
        "yaml.FullLoader",
        "yaml.CLoader",
        "yaml.CUnsafeLoader",
        "yaml.CFullLoader",
    }
)
HTTP_VERBS = ("get", "post", "put", "delete", "patch", "head", "options", "request")
HTTP_CALLS = frozenset(f"{library}.{verb}" for library in ("requests", "httpx") for verb in HTTP_VERBS)
HTTP_CLIENTS = frozenset({"requests.Session", "requests.session", "httpx.Client", "httpx.AsyncClient"})
CONTEXT_ARGUMENTS = frozenset({"purpose", "cafile", "capath", "cadata"})
ANYWHERE = "0.0.0.0"  # noqa: S104  (looked for, not listened on)
ADDRESS_WORDS = re.compile(r"host|bind|addr|listen|interface|\bip\b|run|serve")


def load_yaml_safely(file: PythonFile, call: cst.Call) -> Patch | None:
    """``yaml.load(x, Loader=…)`` written as an attribute of the module becomes ``safe_load``."""
    if file.name(call) not in {"yaml.load", "yaml.load_all"} or not isinstance(call.func, cst.Attribute):
        return None
    loader = argument(call, "Loader", 1)
    if has_star(call) or len(call.args) != (2 if loader else 1) or file.has_comment(call):
        return None
    if loader is not None and file.name(loader.value) not in UNSAFE_LOADERS:
        return None
    renamed = replace(file, call.func.attr, f"safe_{call.func.attr.value}")
    return Patch((renamed, *((without_argument(file, call, loader),) if loader else ())))


def is_word(node: cst.CSTNode | None, word: str) -> bool:
    """Whether a node is the plain name ``word``, such as ``True``."""
    return isinstance(node, cst.Name) and node.value == word


def verify_certificates(file: PythonFile, call: cst.Call) -> Patch | None:
    """Take ``verify=False`` out of a call of requests or httpx."""
    verify = argument(call, "verify")
    known = file.name(call) in HTTP_CALLS | HTTP_CLIENTS or is_client_call(file, call)
    if verify is None or not known or not is_word(verify.value, "False") or file.has_comment(call):
        return None
    return Patch((without_argument(file, call, verify),))


def is_client_call(file: PythonFile, call: cst.Call) -> bool:
    """Whether a call is ``client.get(…)`` or the like, of a session made by requests or httpx."""
    func = call.func
    if not isinstance(func, cst.Attribute) or func.attr.value not in HTTP_VERBS:
        return False
    value = only_value(file, func.value)
    return isinstance(value, cst.Call) and file.name(value) in HTTP_CLIENTS


def default_context(file: PythonFile, call: cst.Call) -> Patch | None:
    """``ssl._create_unverified_context()`` becomes ``ssl.create_default_context()``."""
    keywords = {arg.keyword.value if arg.keyword else "" for arg in call.args}
    if file.name(call) != "ssl._create_unverified_context" or not keywords <= CONTEXT_ARGUMENTS:
        return None
    func = call.func
    if not isinstance(func, cst.Attribute) or has_star(call):
        return None
    return Patch((replace(file, func.attr, "create_default_context"),))


def escape_templates(file: PythonFile, call: cst.Call) -> Patch | None:
    """Give ``jinja2.Environment`` the escaping of HTML and XML templates."""
    given = argument(call, "autoescape")
    if file.name(call) != "jinja2.Environment" or has_star(call) or any(not arg.keyword for arg in call.args):
        return None
    if given is not None and not is_word(given.value, "False"):
        return None
    function = Import("jinja2", "select_autoescape")
    whole = file.imports(Import("jinja2")) and file.local_name(Import("jinja2"))
    name = f"{whole}.select_autoescape" if whole else file.local_name(function)
    if name is None:
        return None
    text = f"{name}()"
    edit = replace(file, given.value, text) if given else with_argument(file, call, f"autoescape={text}")
    return Patch((edit,), () if whole else (function,))


def filter_members(file: PythonFile, call: cst.Call) -> Patch | None:
    """Give ``extractall`` of a tar archive the filter ``data``."""
    func = call.func
    if not isinstance(func, cst.Attribute) or func.attr.value not in {"extractall", "extract"}:
        return None
    opened = func.value if isinstance(func.value, cst.Call) else only_value(file, func.value)
    if not isinstance(opened, cst.Call) or file.name(opened) not in {"tarfile.open", "tarfile.TarFile"}:
        return None
    if has_star(call) or argument(call, "filter"):
        return None
    return Patch((with_argument(file, call, 'filter="data"'),))


def no_debugger(file: PythonFile, call: cst.Call) -> Patch | None:
    """Take ``debug=True`` out of the ``run`` of a Flask application."""
    func = call.func
    debug = argument(call, "debug", 2)
    if not isinstance(func, cst.Attribute) or func.attr.value != "run" or debug is None or not debug.keyword:
        return None
    app = only_value(file, func.value)
    made = isinstance(app, cst.Call) and file.name(app) in {"flask.Flask", "flask.app.Flask"}
    if not made or not is_word(debug.value, "True") or file.has_comment(call):
        return None
    return Patch((without_argument(file, call, debug),))


def owner_only(file: PythonFile, call: cst.Call) -> Patch | None:
    """Keep of an octal mode what it gives the owner."""
    mode = argument(call, "mode", 1) if file.name(call) == "os.chmod" else None
    if (
        mode is None
        or not isinstance(mode.value, cst.Integer)
        or not mode.value.value.startswith(("0o", "0O"))
    ):
        return None
    value = int(mode.value.value, 8)
    kept = value & 0o7700
    return Patch((replace(file, mode.value, f"0o{kept:o}"),)) if value & 0o12 and kept & 0o700 else None


def reject_unknown_hosts(file: PythonFile, call: cst.Call) -> Patch | None:
    """Paramiko: an unknown host key ends the connection."""
    func = call.func
    if not isinstance(func, cst.Attribute) or func.attr.value != "set_missing_host_key_policy":
        return None
    policy = call.args[0].value if len(call.args) == 1 else None
    named = policy.func if isinstance(policy, cst.Call) else policy
    trusting = {
        f"paramiko.{where}{kind}" for where in ("", "client.") for kind in ("AutoAddPolicy", "WarningPolicy")
    }
    if not isinstance(named, cst.Attribute) or file.name(named) not in trusting:
        return None
    return Patch((replace(file, named.attr, "RejectPolicy"),))


def without_option(calls: Mapping[str, tuple[str, str, str]]) -> Mend[cst.Call]:
    """Turn a keyword argument of known calls from one word to another: call -> (keyword, from, to)."""

    def mend(file: PythonFile, call: cst.Call) -> Patch | None:
        known = calls.get(file.name(call))
        given = argument(call, known[0]) if known else None
        if known is None or given is None or not is_word(given.value, known[1]):
            return None
        return Patch((replace(file, given.value, known[2]),))

    return mend


def bind_to_loopback(file: PythonFile, string: cst.SimpleString) -> Patch | None:
    """The address of all interfaces, where it is listened on, becomes the loopback address."""
    compared = isinstance(file.parent(string), cst.ComparisonTarget | cst.Comparison)
    if string.raw_value != ANYWHERE or compared:
        return None
    parent = file.parent(string)
    elements = parent if isinstance(parent, cst.Element) else None
    bound = elements is not None and _is_bind_address(file, elements)
    if not bound and not ADDRESS_WORDS.search(context_words(file, string) if not elements else ""):
        return None
    return Patch((replace(file, string, string.value.replace(ANYWHERE, "127.0.0.1")),))


def _is_bind_address(file: PythonFile, element: cst.Element) -> bool:
    pair = file.parent(element)
    arg = file.parent(pair) if isinstance(pair, cst.Tuple) else None
    call = file.parent(arg) if isinstance(arg, cst.Arg) else None
    func = call.func if isinstance(call, cst.Call) else None
    named = func.attr if isinstance(func, cst.Attribute) else func
    return isinstance(named, cst.Name) and bool(re.search("bind|serve", named.value.lower()))


UNPICKLING = {
    "numpy.load": ("allow_pickle", "True", "False"),
    "torch.load": ("weights_only", "False", "True"),
}
PARSERS = {
    f"lxml.etree.{name}": ("resolve_entities", "True", "False") for name in ("XMLParser", "ETCompatXMLParser")
}

RECIPES = (
    Codemod(
        name="yaml-safe-load",
        fixes=("ruff:S506",),
        applicability=Applicability.UNSAFE,
        summary="Read YAML with safe_load.",
        why="yaml.load builds any Python object a document names, so a document can run code; safe_load builds plain data.",
        source=f"{RUFF}unsafe-yaml-load/",
        rewrite=rewriting(cst.Call, load_yaml_safely),
    ),
    Codemod(
        name="tls-verify",
        fixes=("ruff:S501",),
        applicability=Applicability.UNSAFE,
        summary="Let the HTTP client check certificates.",
        why="Without a check of the certificate anybody on the way can read and change what is sent.",
        source=f"{RUFF}request-with-no-cert-validation/",
        rewrite=rewriting(cst.Call, verify_certificates),
    ),
    Codemod(
        name="tls-default-context",
        fixes=("ruff:S323",),
        applicability=Applicability.UNSAFE,
        summary="Use the TLS context that checks certificates.",
        why="An unverified context accepts any certificate, so the peer may be anybody.",
        source=f"{RUFF}suspicious-unverified-context-usage/",
        rewrite=rewriting(cst.Call, default_context),
    ),
    Codemod(
        name="jinja-autoescape",
        fixes=("ruff:S701",),
        applicability=Applicability.UNSAFE,
        summary="Escape values in HTML and XML templates.",
        why="Jinja2 does not escape by default, so a value can bring its own script into a page.",
        source=f"{RUFF}jinja2-autoescape-false/",
        rewrite=rewriting(cst.Call, escape_templates),
    ),
    Codemod(
        name="tar-data-filter",
        fixes=("ruff:S202",),
        applicability=Applicability.UNSAFE,
        summary="Extract tar archives with the data filter.",
        why="Members of an archive can name paths outside the folder; the data filter refuses them.",
        source="https://peps.python.org/pep-0706/",
        rewrite=rewriting(cst.Call, filter_members),
    ),
    Codemod(
        name="flask-no-debug",
        fixes=("ruff:S201",),
        applicability=Applicability.UNSAFE,
        summary="Do not start Flask with its debugger.",
        why="The debugger of Flask lets whoever reaches it run Python in the server.",
        source=f"{RUFF}flask-debug-true/",
        rewrite=rewriting(cst.Call, no_debugger),
    ),
    Codemod(
        name="chmod-owner-only",
        fixes=("ruff:S103",),
        applicability=Applicability.UNSAFE,
        summary="Give file permissions to the owner only.",
        why="Other users of the machine could change or run the file.",
        source=f"{RUFF}bad-file-permissions/",
        rewrite=rewriting(cst.Call, owner_only),
    ),
    Codemod(
        name="ssh-known-hosts-only",
        fixes=("ruff:S507",),
        applicability=Applicability.UNSAFE,
        summary="Refuse SSH hosts whose key is not known.",
        why="Trusting any host key lets an attacker pose as the host.",
        source=f"{RUFF}ssh-no-host-key-verification/",
        rewrite=rewriting(cst.Call, reject_unknown_hosts),
    ),
    Codemod(
        name="load-without-pickle",
        fixes=("ast-grep:py-pickle-load-hidden",),
        applicability=Applicability.UNSAFE,
        summary="Load arrays and weights without pickle.",
        why="A pickle inside a data file runs code when it is loaded.",
        source="https://cwe.mitre.org/data/definitions/502.html",
        rewrite=rewriting(cst.Call, without_option(UNPICKLING)),
    ),
    Codemod(
        name="lxml-no-entities",
        fixes=("ast-grep:py-lxml-entities-resolved",),
        applicability=Applicability.UNSAFE,
        summary="Do not resolve entities in XML.",
        why="External entities let a document read files of the server.",
        source="https://cwe.mitre.org/data/definitions/611.html",
        rewrite=rewriting(cst.Call, without_option(PARSERS)),
    ),
    Codemod(
        name="bind-loopback",
        fixes=("ruff:S104",),
        applicability=Applicability.UNSAFE,
        summary="Listen on the loopback interface only.",
        why="Listening on all interfaces opens the port to every network the machine is in.",
        source=f"{RUFF}hardcoded-bind-all-interfaces/",
        rewrite=rewriting(cst.SimpleString, bind_to_loopback),
    ),
)
