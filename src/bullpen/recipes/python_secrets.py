"""Hashes, tokens, comparisons and temporary files that an attacker cannot guess."""

import re

import libcst as cst

from bullpen.domain.change import Applicability
from bullpen.recipes._python_edit import Patch, argument, has_star, insert, replace, rewriting, with_argument
from bullpen.recipes._python_file import Import, PythonFile
from bullpen.recipes._python_scope import context_words
from bullpen.recipes.base import Codemod

WEAK_HASHES = frozenset({"hashlib.md5", "hashlib.sha1"})
IDENTITY_WORDS = re.compile(
    r"etag|checksum|cache|fingerprint|dedup|bucket|shard|content_hash|file_hash|change_id"
)
SECRET_WORDS = re.compile(
    r"passw|passphrase|token|secret|sign|auth|credential|salt|hmac|nonce|otp|csrf|api_?key|session"
)
DRAWS = {"random.choice": "choice", "random.getrandbits": "randbits"}
SYSTEM_DRAWS = frozenset(
    f"random.{name}" for name in ("randint", "randrange", "choices", "sample", "shuffle", "random", "uniform")
)
PREDICTABLE_IDS = {"uuid.uuid1": "uuid4"}


def _is_for_identity(file: PythonFile, call: cst.Call) -> bool:
    words = f"{context_words(file, call)} {file.code(call).lower()}"
    return bool(IDENTITY_WORDS.search(words)) and not SECRET_WORDS.search(words)


def hash_not_for_security(file: PythonFile, call: cst.Call) -> Patch | None:
    """Say ``usedforsecurity=False`` of a hash that evidently names content; the digest is the same."""
    if file.name(call) not in WEAK_HASHES or has_star(call) or argument(call, "usedforsecurity") is not None:
        return None
    if len(call.args) > 1 or not _is_for_identity(file, call):
        return None
    return Patch((with_argument(file, call, "usedforsecurity=False"),))


def stronger_hash(file: PythonFile, call: cst.Call) -> Patch | None:
    """``hashlib.md5`` and ``sha1`` become ``sha256``, unless they evidently only name content."""
    func = call.func
    if (
        file.name(call) not in WEAK_HASHES
        or not isinstance(func, cst.Attribute)
        or _is_for_identity(file, call)
    ):
        return None
    return None if argument(call, "usedforsecurity") else Patch((replace(file, func.attr, "sha256"),))


def draw_secretly(file: PythonFile, call: cst.Call) -> Patch | None:
    """A random number for a token or password comes from the operating system."""
    name = file.name(call)
    if name not in SYSTEM_DRAWS | set(DRAWS) or not SECRET_WORDS.search(context_words(file, call)):
        return None
    wanted = Import("secrets")
    module = file.local_name(wanted)
    if module is None or _is_seeded(file) or has_star(call) or any(arg.keyword for arg in call.args):
        return None
    drawn = DRAWS.get(name) or f"SystemRandom().{name.removeprefix('random.')}"
    freed = (Import("random"), Import("random", name.removeprefix("random.")))
    return Patch((replace(file, call.func, f"{module}.{drawn}"),), (wanted,), freed)


def _is_seeded(file: PythonFile) -> bool:
    return re.search(rb"\bseed\b", file.data) is not None


def unguessable_uuid(file: PythonFile, call: cst.Call) -> Patch | None:
    """``uuid.uuid1()`` becomes ``uuid.uuid4()``."""
    func = call.func
    if file.name(call) not in PREDICTABLE_IDS or call.args or not isinstance(func, cst.Attribute):
        return None
    return Patch((replace(file, func.attr, PREDICTABLE_IDS[file.name(call)]),))


def compare_in_constant_time(file: PythonFile, test: cst.Comparison) -> Patch | None:
    """``a == b`` of secrets becomes ``hmac.compare_digest(a, b)``."""
    (first, *more) = test.comparisons
    if more or not isinstance(first.operator, cst.Equal | cst.NotEqual) or file.has_comment(test):
        return None
    sides = (test.left, first.comparator)
    wanted = Import("hmac")
    module = file.local_name(wanted)
    if module is None or not all(_may_be_secret(side) for side in sides) or not _named_secret(file, sides):
        return None
    word = "not " if isinstance(first.operator, cst.NotEqual) else ""
    arguments = ", ".join(file.code(side) for side in sides)
    return Patch((replace(file, test, f"{word}{module}.compare_digest({arguments})"),), (wanted,))


def _may_be_secret(side: cst.BaseExpression) -> bool:
    if isinstance(side, cst.Name):
        return side.value not in {"None", "True", "False"}
    return isinstance(side, cst.Attribute | cst.Call | cst.Subscript)


def _named_secret(file: PythonFile, sides: tuple[cst.BaseExpression, ...]) -> bool:
    words = re.compile(SECRET_WORDS.pattern + "|digest|hash")
    counted = re.compile(
        r"\b(len|type|id|int|str\.count)\(|type$|_id$|count|length|kind|name$", re.IGNORECASE
    )
    codes = [file.code(side).lower() for side in sides]
    return any(words.search(code) for code in codes) and not any(counted.search(code) for code in codes)


def create_at_once(file: PythonFile, assign: cst.Assign) -> Patch | None:
    """``path = tempfile.mktemp(…)`` becomes ``handle, path = tempfile.mkstemp(…)`` and ``os.close(handle)``."""
    call, line = assign.value, file.parent(assign)
    if not isinstance(call, cst.Call) or file.name(call) != "tempfile.mktemp" or len(assign.targets) != 1:
        return None
    target, func = assign.targets[0].target, call.func
    alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
    if not alone or not isinstance(target, cst.Name) or not isinstance(func, cst.Attribute):
        return None
    wanted, handle = Import("os"), f"{target.value}_handle"
    module = file.local_name(wanted)
    if module is None or file.bound(handle) or assign.value.lpar:
        return None
    close = f"{file.newline}{file.indent(assign)}{module}.close({handle})"
    edits = (
        insert(file.span(target)[0], f"{handle}, "),
        replace(file, func.attr, "mkstemp"),
        insert(file.line_end(file.span(call)[1]), close),
    )
    return Patch(edits, (wanted,))


RECIPES = (
    Codemod(
        name="hash-not-for-security",
        fixes=("ruff:S324",),
        applicability=Applicability.SAFE,
        summary="Say that a hash only names content.",
        why="usedforsecurity=False says that nobody relies on the hash against attackers; the digest stays the same.",
        source="https://docs.python.org/3/library/hashlib.html#constructors",
        rewrite=rewriting(cst.Call, hash_not_for_security),
    ),
    Codemod(
        name="hash-sha256",
        fixes=("ruff:S324",),
        applicability=Applicability.UNSAFE,
        summary="Use SHA-256 instead of a broken hash.",
        why="Collisions of MD5 and SHA-1 can be made on purpose; digests stored before must be made again.",
        source="https://docs.astral.sh/ruff/rules/hashlib-insecure-hash-function/",
        rewrite=rewriting(cst.Call, stronger_hash),
    ),
    Codemod(
        name="random-to-secrets",
        fixes=("ruff:S311",),
        applicability=Applicability.UNSAFE,
        summary="Draw secrets from the operating system.",
        why="The numbers of the random module can be computed from earlier ones; tokens and passwords need secrets.",
        source="https://docs.python.org/3/library/secrets.html",
        rewrite=rewriting(cst.Call, draw_secretly),
    ),
    Codemod(
        name="uuid-random",
        fixes=("ast-grep:py-guessable-token",),
        applicability=Applicability.UNSAFE,
        summary="Make identifiers that cannot be guessed.",
        why="uuid1 is made of the time and the network address, so the next one can be guessed.",
        source="https://www.rfc-editor.org/rfc/rfc9562#section-8",
        rewrite=rewriting(cst.Call, unguessable_uuid),
    ),
    Codemod(
        name="compare-digest",
        fixes=("ast-grep:py-secret-equality",),
        applicability=Applicability.UNSAFE,
        summary="Compare secrets in constant time.",
        why="== stops at the first difference, so its duration tells an attacker how much of a guess was right.",
        source="https://docs.python.org/3/library/hmac.html#hmac.compare_digest",
        rewrite=rewriting(cst.Comparison, compare_in_constant_time),
    ),
    Codemod(
        name="temporary-file-created",
        fixes=("ruff:S306",),
        applicability=Applicability.UNSAFE,
        summary="Create the temporary file instead of only naming it.",
        why="Between mktemp and the opening somebody else can put a file or a link at the name.",
        source="https://docs.python.org/3/library/tempfile.html#tempfile.mktemp",
        rewrite=rewriting(cst.Assign, create_at_once),
    ),
)
