"""Words in comments and code that silence a checker, skip a test, or show that code knows it is being tested."""

import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bullpen.flow.guarding.breach import Breach, Sign, added

_SILENCE = re.compile(
    r"""(?ix)
    (?:\#|//|/\*|<!--|--|\{\#)\s*(?P<kind>
        (?:ruff|flake8)\s*:\s*noqa | noqa | nosec(?:ure)? | nosemgrep | nosonar | noinspection
      | (?:type|pyright|pyre|mypy|pytype)\s*:\s*(?:ignore(?:-errors)?|basic|disable(?:-error-code)?)
      | pyre-(?:ignore|fixme)(?:-all-errors)? | pragma\s*:\s*no\s*(?:cover|branch|mutate) | pragma\s*:\s*allowlist\s+secret
      | pylint\s*:\s*(?:disable(?:-next)?|skip-file) | isort\s*:\s*(?:skip(?:_file)?|off) | fmt\s*:\s*(?:off|skip)
      | yapf\s*:\s*disable | bullpen\s*:\s*ignore | shellcheck\s+disable | hadolint\s+ignore | doctest\s*:\s*\+skip
      | checkov\s*:\s*skip | tfsec\s*:\s*ignore | trivy\s*:\s*ignore | yamllint\s+disable(?:-line)? | gitleaks\s*:\s*allow
      | eslint-disable(?:-next-line|-line)? | @ts-(?:ignore|nocheck|expect-error) | biome-ignore(?:-all)? | prettier-ignore
      | tslint\s*:\s*disable | jshint\s+ignore | nolint | lint\s*:\s*(?:file-)?ignore | istanbul\s+ignore | c8\s+ignore | v8\s+ignore
      | stryker\s+disable | markdownlint-disable(?:-next-line|-line)? | skipcq | codespell\s*:\s*ignore | cspell\s*:\s*disable
    )
    (?P<codes>[^\r\n]*)
    """
)
_IN_CODE = re.compile(
    r"@(?:typing\.)?no_type_check\b|@SuppressWarnings\b|#\[allow\(|#pragma\s+warning\s+disable"
)
_CODE = re.compile(r"[A-Za-z@][\w@/-]*\d*")
_SKIP = re.compile(
    r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b|\bmark\.(?:skip|skipif|xfail|flaky)\b"
    r"|unittest\.(?:skip\w*|expectedFailure|SkipTest)|\bSkipTest\b|self\.skipTest\("
    r"|filterwarnings\(\s*[\"']ignore|simplefilter\(\s*[\"']ignore"
    r"|\b(?:it|test|describe|context|suite)\.(?:skip|todo|only|fails|failing|fixme|skipIf|runIf)\b"
    r"|\b[xf](?:it|describe|test|context)\s*\(|\bthis\.skip\(|\bt\.Skip(?:f|Now)?\(|@(?:Disabled|Ignore)\b|#\[ignore"
    r"|\bjest\.(?:mock|setTimeout|retryTimes)\(|\bvi\.mock\(|\bprocess\.exit\(|\bos\.Exit\(|^//\s*\+build|^//go:build"
    r"|\bif\s*\(\s*(?:false|0)\s*\)|\bif false\b",
    re.MULTILINE,
)
_TEST_AWARE = re.compile(
    r"PYTEST_CURRENT_TEST|PYTEST_VERSION|[\"'](?:pytest|unittest|_pytest)[\"']\s*(?:not\s+)?in\s+(?:sys\.)?(?:modules|argv)"
    r"|sys\.modules\.get\(\s*[\"'](?:pytest|unittest|_pytest)|sys\.argv\[0\].{0,20}pytest|_called_from_test"
    r"|NODE_ENV\s*={2,3}\s*[\"']test|JEST_WORKER_ID|VITEST\b|testing\.Testing\(\)|flag\.Lookup\(\s*\"test\.v"
)
_ENDS = re.compile(r"\bos\._exit\(|\bos\.abort\(|\batexit\.register\(\s*(?:os\._exit|lambda)")


@dataclass(frozen=True, slots=True)
class Directive:
    """One silencing comment. No codes means that it silences everything."""

    kind: str
    codes: frozenset[str]
    text: str
    line: int

    def allows(self, other: "Directive") -> bool:
        """Whether ``other`` silences nothing that this one does not."""
        wider = not self.codes or (bool(other.codes) and other.codes <= self.codes)
        return self.kind == other.kind and wider


def new_silences(path: str, before: str, after: str) -> Iterator[Breach]:
    """Silencing comments that are new, or silence more than before."""
    known = _directives(path, before)
    for directive in _directives(path, after):
        match = min(
            (one for one in known if one.allows(directive)), key=lambda one: one != directive, default=None
        )
        if match is not None:
            known.remove(match)
            continue
        yield Breach(path, directive.line, f"silences a checker: {directive.text}")
    for sign in added(_signs(_IN_CODE, before), _signs(_IN_CODE, after)):
        yield Breach(path, sign.line, f"silences a checker: {sign.text}")


def _directives(path: str, text: str) -> list[Directive]:
    return [
        Directive(_squeezed(found["kind"]), _codes(found["codes"]), found.group().strip()[:60], line)
        for line, comment in _comments(path, text)
        for found in _SILENCE.finditer(comment)
    ]


def _squeezed(kind: str) -> str:
    return re.sub(r"\s+", "", kind).lower()


def _codes(rest: str) -> frozenset[str]:
    """Codes named after a directive: ``: E501, S105``, ``[arg-type]``, `` no-console -- why``."""
    named = re.split(r"--|\#|\*/|-->", rest, maxsplit=1)[0]
    head = re.match(r"\s*[:=\[(]?\s*((?:[\w@/.-]+[\s,]*)*)", named)
    return frozenset(_CODE.findall(head[1])) if head else frozenset()


def _comments(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Comments of Python with their lines; of other languages every line, since no one grammar fits."""
    if path.endswith((".py", ".pyi")):
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        except (tokenize.TokenError, SyntaxError, ValueError):
            tokens: Sequence[tokenize.TokenInfo] = ()
        if tokens:
            yield from ((one.start[0], one.string) for one in tokens if one.type == tokenize.COMMENT)
            return
    yield from enumerate(text.splitlines(), start=1)


def new_skips(path: str, before: str, after: str) -> Iterator[Breach]:
    """Ways to leave tests out, or to end or mute their run, that were not there before."""
    for sign in added(_signs(_SKIP, before), _signs(_SKIP, after)):
        yield Breach(path, sign.line, f"skips or mutes a test: {sign.text}")


def new_awareness(path: str, before: str, after: str) -> Iterator[Breach]:
    """Code that asks whether it is being tested, or that ends the process under the tests' feet."""
    for sign in added(_signs(_TEST_AWARE, before), _signs(_TEST_AWARE, after)):
        yield Breach(path, sign.line, f"behaves otherwise when it is tested: {sign.text}")
    for sign in added(_signs(_ENDS, before), _signs(_ENDS, after)):
        yield Breach(path, sign.line, f"ends the process at once: {sign.text}")


def lost_examples(path: str, before: str, after: str) -> Iterator[Breach]:
    """Examples in docstrings are tests too."""
    if before.count(">>> ") > after.count(">>> ") and after:
        gone = [line.strip() for line in before.splitlines() if ">>> " in line]
        kept = [line.strip() for line in after.splitlines()]
        place = next((number for number, line in enumerate(gone) if line not in kept), 0)
        where = next(n for n, line in enumerate(before.splitlines(), 1) if line.strip() == gone[place])
        yield Breach(path, where, f"deletes an example that can be run: {gone[place][:80]}")


def _signs(pattern: re.Pattern[str], text: str) -> Iterator[Sign]:
    for found in pattern.finditer(text):
        yield Sign(re.sub(r"\s+", " ", found.group()), text.count("\n", 0, found.start()) + 1)
