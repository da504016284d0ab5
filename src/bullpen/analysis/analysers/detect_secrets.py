"""Secrets in files, by detect-secrets; ``pragma: allowlist secret`` is honoured. The secret itself is never repeated."""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypedDict, cast

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import parse_json, python_module, run_tool, tool_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Mount, Sandbox

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
# Languages in which a secret and its name stand on one line, so other lines need not be looked at.
_BY_LINE = frozenset(
    (
        *(
            ".py",
            ".pyi",
            ".js",
            ".jsx",
            ".mjs",
            ".cjs",
            ".ts",
            ".tsx",
            ".go",
            ".java",
            ".kt",
            ".rb",
            ".rs",
            ".php",
        ),
        *(
            ".c",
            ".h",
            ".cc",
            ".cpp",
            ".hpp",
            ".cs",
            ".swift",
            ".scala",
            ".sh",
            ".sql",
            ".html",
            ".css",
            ".md",
            ".rst",
        ),
    )
)
# What looks like a secret and is known to be none: commits and contents that are named by their hash, and the users of examples.
_NO_SECRET = re.compile(
    r"(?:\brev:\s*|@|\bcommit[\"']?\s*[:=]\s*|\bsha(?:1|256|512)[\"']?\s*[:=-]\s*)[\"']?[0-9a-f]{7,128}\b[\"']?"
    r"|://(?:user(?:name)?|login|foo|me|u|x):(?:pass(?:wor)?d?|pw|secret|bar|p|x{3,}|\*+)@",
    re.IGNORECASE,
)
_INSIDE = "/opt/suspects"
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
        suspects = {path: text for path in paths if _SUSPICIOUS.search(text := tree.text(path))}
        if not suspects:
            return []
        with tempfile.TemporaryDirectory() as folder:
            extracts = await asyncio.to_thread(_write_extracts, Path(folder), suspects)
            return await _scan(tree, sandbox, Path(folder), extracts)


async def _scan(
    tree: SourceTree, sandbox: Sandbox, folder: Path, extracts: Mapping["_Extract", str]
) -> list[Observation]:
    argv = [*python_module("detect_secrets"), "-C", _INSIDE, "scan", "--no-verify", "--all-files"]
    argv += [word for plugin in _WITHOUT for word in ("--disable-plugin", plugin)]
    mount = Mount(folder, _INSIDE)
    outcome = await run_tool(sandbox, tree, [*argv, _INSIDE], mounts=(mount,))
    results = cast("_Report", parse_json(outcome))["results"]
    by_name = {PurePosixPath(shown).name: secrets for shown, secrets in results.items()}
    return [
        seen
        for extract, path in extracts.items()
        for seen in _observe(path, extract.lines, by_name.get(extract.name, []))
    ]


@dataclass(frozen=True, slots=True)
class _Extract:
    """A copy with only the lines worth a look; ``lines`` are their numbers in the original."""

    name: str
    lines: tuple[int, ...]


def _write_extracts(folder: Path, texts: Mapping[str, str]) -> dict[_Extract, str]:
    folder.chmod(0o755)  # the sandbox's user is another one
    return {_extract(folder, path, text): path for path, text in texts.items()}


def _extract(folder: Path, path: str, text: str) -> _Extract:
    lines = text.split("\n")
    numbers = range(1, len(lines) + 1)
    suffix = PurePosixPath(path).suffix
    kept = [number for number in numbers if _is_kept(lines, number)] if suffix in _BY_LINE else list(numbers)
    name = f"{hashlib.sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}{_safe(suffix)}"
    content = "\n".join(_NO_SECRET.sub("", lines[number - 1]) for number in kept)
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    return _Extract(name, tuple(kept))


def _is_kept(lines: Sequence[str], number: int) -> bool:
    """A suspicious line, and whatever a pragma on the line before speaks of."""
    here, before = lines[number - 1], lines[number - 2] if number > 1 else ""
    return "allowlist" in here or "allowlist" in before or _SUSPICIOUS.search(here) is not None


def _safe(suffix: str) -> str:
    return suffix if re.fullmatch(r"\.\w{1,12}", suffix, re.ASCII) else ""


def _observe(path: str, lines: Sequence[int], secrets: Sequence[_Secret]) -> list[Observation]:
    """One for each line: several detectors often see the same secret, and the surest speaks."""
    by_line: dict[int, _Secret] = {}
    for secret in sorted(secrets, key=lambda each: (_severity(each), each["type"])):
        by_line[lines[secret["line_number"] - 1]] = secret
    return [_leak(path, line, secret) for line, secret in sorted(by_line.items())]


def _leak(path: str, line: int, secret: _Secret) -> Observation:
    severity = _severity(secret)
    kind = secret["type"]
    return Observation(
        rule=f"detect-secrets:{'-'.join(kind.replace('(', '').replace(')', '').split())}",
        message=f"This looks like a secret: {kind} (SHA-1 {secret['hashed_secret'][:10]}…).",
        severity=severity if role_of(path) is Role.PRODUCT else milder(severity, 2),
        concern=Concern.SECURITY,
        place=Place(path, line),
        analyser="detect-secrets",
        same_as=_SAME.get(kind, ()),
        url="https://github.com/Yelp/detect-secrets#readme",
    )


def _severity(secret: _Secret) -> Severity:
    return _GUESSES.get(secret["type"], Severity.HIGH)


_SAME: Mapping[str, tuple[str, ...]] = {"Secret Keyword": ("ruff:S105", "ruff:S106", "ruff:S107")}

ANALYSER = DetectSecrets()
