"""Bullpen's own rules, looked for with ast-grep; see ``bullpen.analysis.rulepacks``.

ast-grep parses with native code, so it runs in the sandbox: a script of this folder that needs nothing of Bullpen.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version as distribution_version
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter, ValidationError

from bullpen.analysis.analysers import _ast_grep_scan
from bullpen.analysis.base import AnalyserFailed, Reach, SourceTree
from bullpen.analysis.rulepacks import Language, PackRule, load_rules, rule_files
from bullpen.analysis.tools import python_script, run_tool
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Mount, Outcome, Sandbox

UNREAD = "ast-grep:file-not-analysed"
_SCRIPT = Path(_ast_grep_scan.__file__)
_INSIDE = f"/opt/bullpen/{_SCRIPT.name}"
_LANGUAGES = {
    ".py": Language.PYTHON,
    ".js": Language.JAVASCRIPT,
    ".cjs": Language.JAVASCRIPT,
    ".mjs": Language.JAVASCRIPT,
    ".jsx": Language.JAVASCRIPT,
    ".ts": Language.TYPESCRIPT,
    ".cts": Language.TYPESCRIPT,
    ".mts": Language.TYPESCRIPT,
    ".tsx": Language.TSX,
    ".go": Language.GO,
    ".html": Language.HTML,
    ".htm": Language.HTML,
}
_NOT_WRITTEN_BY_HAND = (".min.js", ".bundle.js", ".d.ts", ".pb.go", "_pb2.py", "_pb2_grpc.py")


class _Hit(BaseModel):
    """A line of the script's output; see ``_ast_grep_scan.Hit``."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["hit"]
    path: str
    rule: str
    line: int
    column: int
    end_line: int
    end_column: int
    symbol: str


class _Failure(BaseModel):
    """A line of the script's output: this file ended the process that looked at it."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["failure"]
    path: str
    how: str


_LINE: TypeAdapter[_Hit | _Failure] = TypeAdapter(Annotated[_Hit | _Failure, Discriminator("kind")])


def language_of(path: str) -> Language | None:
    """The grammar for a file, by its name alone; None for what we have no rules for or nobody wrote by hand."""
    if path.endswith(_NOT_WRITTEN_BY_HAND):
        return None
    return _LANGUAGES.get(PurePosixPath(path).suffix)


class AstGrep:
    """See the module."""

    name = "ast_grep"
    reach = Reach.FILE

    def version(self) -> str:
        """Of ast-grep, the script and every rule."""
        return _version()

    def wants(self, path: str) -> bool:
        """Files in a language we have rules for."""
        return language_of(path) is not None

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``. A file that the parser does not survive makes an observation of its own."""
        if not paths:
            return []
        outcome = await run_tool(
            sandbox,
            tree,
            python_script(_INSIDE),
            statuses=frozenset({0}),
            stdin=_request(paths),
            mounts=(Mount(_SCRIPT, _INSIDE),),
        )
        return list(_observations(outcome))


def _request(paths: Sequence[str]) -> bytes:
    files = [(path, language_of(path), role_of(path) is Role.TEST) for path in paths]
    return json.dumps({"rules": _scan_rules(), "files": files}).encode()


@cache
def _scan_rules() -> Sequence[Mapping[str, object]]:
    return [scan_rule(rule) for rule in load_rules()]


def scan_rule(rule: PackRule) -> Mapping[str, object]:
    """The part of a rule that scanning needs, as the script takes it."""
    return {
        "id": rule.id,
        "languages": rule.languages,
        "where": rule.where,
        "needs": rule.needs,
        "config": rule.config(),
    }


def _observations(outcome: Outcome) -> Iterator[Observation]:
    rules = {rule.id: rule for rule in load_rules()}
    for line in outcome.stdout.splitlines():
        found = _parse(line)
        yield _unread(found) if isinstance(found, _Failure) else _observation(found, rules[found.rule])


def _parse(line: bytes) -> _Hit | _Failure:
    try:
        return _LINE.validate_python(json.loads(line))
    except (json.JSONDecodeError, ValidationError) as error:
        raise AnalyserFailed(f"ast-grep printed a line that is not as agreed: {line[:200]!r}.") from error


def _observation(hit: _Hit, rule: PackRule) -> Observation:
    return Observation(
        rule=rule.name,
        message=rule.message,
        severity=milder(rule.severity) if role_of(hit.path) is Role.SIDE else rule.severity,
        concern=rule.concern,
        place=Place(hit.path, hit.line, hit.column, hit.end_line, hit.end_column, hit.symbol),
        analyser=AstGrep.name,
        same_as=rule.same_as,
        url=rule.url,
    )


def _unread(failure: _Failure) -> Observation:
    return Observation(
        rule=UNREAD,
        message=f"ast-grep could not look at this file: {failure.how}.",
        severity=Severity.INFO,
        concern=Concern.MAINTAINABILITY,
        place=Place(failure.path, 1),
        analyser=AstGrep.name,
    )


@cache
def _version() -> str:
    digest = hashlib.sha256()
    for file in (_SCRIPT, Path(__file__), *rule_files()):
        digest.update(file.read_bytes())
    return f"ast-grep-py {distribution_version('ast-grep-py')} rules {digest.hexdigest()[:12]}"


ANALYSER = AstGrep()
