"""Secrets in files, by detect-secrets; ``pragma: allowlist secret`` is honoured. The secret itself is never repeated."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypedDict, cast

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import (
    WORK,
    batches,
    names_back,
    parse_json,
    python_module,
    run_tool,
    tool_version,
)
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_GUESSES = {
    "Secret Keyword": Severity.MEDIUM,
    "Base64 High Entropy String": Severity.LOW,
    "Hex High Entropy String": Severity.LOW,
    "Public IP (ipv4)": Severity.INFO,
}
_WITHOUT = ("IPPublicDetector",)
_NOT_TEXT = frozenset(
    (
        *(
            ".png",
            ".jpg",
            ".jpeg",
            ".gif",
            ".ico",
            ".webp",
            ".svg",
            ".pdf",
            ".zip",
            ".gz",
            ".bz2",
            ".xz",
            ".whl",
        ),
        *(".woff", ".woff2", ".ttf", ".eot", ".so", ".dll", ".exe", ".pyc", ".jar", ".mp4", ".mp3", ".wasm"),
        *(".lock", ".sum", ".map", ".csv", ".tsv", ".parquet", ".ipynb", ".po", ".mo"),
    )
)
# What a file must hold for any detector to speak; a scan takes a third of a second to start and is slow after that.
_SUSPICIOUS = re.compile(
    r"(?:api|auth|service|account|db|database|priv|private|client)_?key|(?:db|database|key)_?pass|pass?w(?:or)?d|pwd"
    r"|secret|contrase|private.key"  # names of variables
    r"|://[^\s/]+:[^\s@/]+@"  # a password in an address
    r"|[\"'][0-9a-f]{16,}[\"']"  # hexadecimal
    r"|(?=[\w+/=.-]{16})(?=[\w+/=.-]{0,64}\d)(?=[\w+/=.-]{0,64}[a-z])[\w+/=.-]{16}",  # letters with digits
    re.IGNORECASE,
)
_LOCKS = frozenset({"package-lock.json", "pnpm-lock.yaml", "npm-shrinkwrap.json"})


class _Secret(TypedDict):
    type: str
    hashed_secret: str
    line_number: int


class _Report(TypedDict):
    results: dict[str, list[_Secret]]


class DetectSecrets:
    """Passwords, keys and tokens."""

    name = "detect-secrets"
    reach = Reach.FILE

    def version(self) -> str:
        """Of detect-secrets and of this selection."""
        return tool_version("detect-secrets", __file__)

    def wants(self, path: str) -> bool:
        """Text that people write."""
        pure = PurePosixPath(path)
        return pure.suffix.lower() not in _NOT_TEXT and pure.name not in _LOCKS and ".min." not in pure.name

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        suspects = [path for path in paths if _SUSPICIOUS.search(tree.text(path))]
        names = names_back(suspects)
        argv = [*python_module("detect_secrets"), "-C", WORK, "scan", "--no-verify", "--all-files"]
        argv += [word for plugin in _WITHOUT for word in ("--disable-plugin", plugin)]
        found: list[Observation] = []
        for batch in batches(suspects):
            report = cast("_Report", parse_json(await run_tool(sandbox, tree, [*argv, *batch])))
            for shown, secrets in report["results"].items():
                if shown in names:
                    found += _observe(names[shown], secrets)
        return found


def _observe(path: str, secrets: Sequence[_Secret]) -> list[Observation]:
    """One for each line: several detectors often see the same secret, and the surest speaks."""
    by_line: dict[int, _Secret] = {}
    for secret in sorted(secrets, key=lambda each: (_severity(each), each["type"])):
        by_line[secret["line_number"]] = secret
    return [_leak(path, secret) for _, secret in sorted(by_line.items())]


def _leak(path: str, secret: _Secret) -> Observation:
    severity = _severity(secret)
    kind = secret["type"]
    return Observation(
        rule=f"detect-secrets:{'-'.join(kind.replace('(', '').replace(')', '').split())}",
        message=f"This looks like a secret: {kind} (SHA-1 {secret['hashed_secret'][:10]}…).",
        severity=severity if role_of(path) is Role.PRODUCT else milder(severity, 2),
        concern=Concern.SECURITY,
        place=Place(path, secret["line_number"]),
        analyser="detect-secrets",
        same_as=_SAME.get(kind, ()),
        url="https://github.com/Yelp/detect-secrets#readme",
    )


def _severity(secret: _Secret) -> Severity:
    return _GUESSES.get(secret["type"], Severity.HIGH)


_SAME: Mapping[str, tuple[str, ...]] = {"Secret Keyword": ("ruff:S105", "ruff:S106", "ruff:S107")}

ANALYSER = DetectSecrets()
