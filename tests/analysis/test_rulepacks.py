"""Every rule of Bullpen's own packs finds what it shows, leaves alone its near miss, and is documented."""

import json
import re
import subprocess
import sysconfig
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.analysis.analysers._ast_grep_scan import ScanRule, scan_text
from bullpen.analysis.rulepacks import Example, Language, PackRule, load_rules, plain_regex, read_rule
from bullpen.analysis.rulepacks.reference import reference_page
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Severity

RULES = load_rules()
ROOT = Path(__file__).parents[2]

RULE = """\
id: py-copy
languages: [python]
concern: performance
severity: low
message: The object is copied through text.
why: That is slow, and loses the types of what it holds.
source: https://docs.python.org/3/library/copy.html
needs: [json]
rule: {pattern: json.loads(json.dumps($X))}
positive: ['json.loads(json.dumps(x))']
negative: ['json.loads(x)']
"""


def lines_found(rule: PackRule, code: str, language: Language) -> list[int]:
    scanned = ScanRule(rule.id, tuple(rule.languages), "anywhere", rule.needs, rule.config())
    return [hit.line for hit in scan_text("example", code, language, False, [scanned])]


def examples(kind: str) -> list[pytest.param]:
    return [
        pytest.param(rule, example, language, id=f"{rule.id}-{language}-{number}")
        for rule in RULES
        for number, example in enumerate(getattr(rule, kind))
        for language in example.languages or rule.languages
    ]


@pytest.mark.parametrize(("rule", "example", "language"), examples("positive"))
def test_finds_its_positive_example(rule: PackRule, example: Example, language: Language) -> None:
    assert len(lines_found(rule, example.code, language)) == example.count


@pytest.mark.parametrize(("rule", "example", "language"), examples("negative"))
def test_leaves_its_near_miss_alone(rule: PackRule, example: Example, language: Language) -> None:
    assert lines_found(rule, example.code, language) == []


def test_there_are_rules_for_each_language() -> None:
    count = Counter(rule.id.partition("-")[0] for rule in RULES)
    assert count["py"] >= 34
    assert count["js"] >= 22
    assert count["go"] >= 14


def test_no_two_rules_share_an_id() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_a_near_miss_looks_like_what_is_found() -> None:
    """It shares half of its words with a positive example, so it shows where the line is."""
    far = [rule.id for rule in RULES if not any(_is_near(rule, example.code) for example in rule.negative)]
    assert far == []


def _is_near(rule: PackRule, code: str) -> bool:
    words = set(re.findall(r"\w+", code))
    return any(
        len(words & set(re.findall(r"\w+", example.code))) * 2 >= len(words) for example in rule.positive
    )


def test_same_as_names_rules_that_exist() -> None:
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    listed = subprocess.run(
        [ruff, "rule", "--all", "--output-format=json"], capture_output=True, check=True, timeout=60
    )
    codes = {f"ruff:{rule['code']}" for rule in json.loads(listed.stdout)}
    named = {other for rule in RULES for other in rule.same_as if other.startswith("ruff:")}
    assert named <= codes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("severity: low", "severity: dreadful"), "severity"),
        (("concern: performance", "concern: speed"), "concern"),
        (("languages: [python]", "languages: [cobol]"), "languages"),
        (("languages: [python]", "languages: []"), "languages"),
        (("source: https", "source: see"), "source"),
        (("negative: ['json.loads(x)']", "negative: []"), "negative"),
        (("needs: [json]", "needs: [yaml]"), "needs"),
        (("needs: [json]", "colour: red"), "colour"),
        (("rule: {", "rules: {"), "rule"),
        (("id: py-copy", "id: copy"), "id"),
    ],
)
def test_a_wrong_file_is_refused_naming_file_and_field(change: tuple[str, str], field: str) -> None:
    text = RULE.replace(*change)
    assert text != RULE
    with pytest.raises(InvalidInput, match=rf"python/py-copy\.yml.*\b{field}\b"):
        read_rule(text, "python/py-copy.yml")


def test_a_file_that_is_not_yaml_is_refused_naming_it() -> None:
    with pytest.raises(InvalidInput, match=r"python/py-copy\.yml is not YAML"):
        read_rule("id: [", "python/py-copy.yml")


@pytest.mark.parametrize("file", ["python/py-other.yml", "go/py-copy.yml"])
def test_a_rule_stands_in_the_file_and_folder_of_its_name(file: str) -> None:
    with pytest.raises(InvalidInput, match="id: "):
        read_rule(RULE, file)


def test_reads_a_rule_whole() -> None:
    rule = read_rule(RULE, "python/py-copy.yml")
    assert rule.name == "ast-grep:py-copy"
    assert rule.severity is Severity.LOW
    assert rule.config() == {"rule": {"pattern": "json.loads(json.dumps($X))"}}
    assert lines_found(rule, "\n\nx = json.loads(json.dumps(y))\n", Language.PYTHON) == [3]


@pytest.mark.parametrize(
    ("regex", "plain"),
    [
        (r"^\w+$", "^[A-Za-z0-9_]+$"),
        (r"[\w.]\d", "[A-Za-z0-9_.][0-9]"),
        (r"\\w[^\s\]]\s", r"\\w[^ \t\r\n\f\]][ \t\r\n\f]"),
        (r"\.run\(\bx", r"\.run\(\bx"),
    ],
)
def test_regexes_are_made_plain(regex: str, plain: str) -> None:
    assert plain_regex(regex) == plain


@given(st.text("ab_7 .-", max_size=12), st.sampled_from([r"^\w+$", r"\d[\w.]*", r"[^\s\d]+\s", r"a\.\w"]))
def test_plain_regexes_mean_the_same_on_ascii(text: str, regex: str) -> None:
    assert re.findall(plain_regex(regex), text) == re.findall(regex, text)


def test_lines_that_only_machines_write_are_passed_over() -> None:
    rule = read_rule(RULE, "python/py-copy.yml")
    bundled = "json.loads(json.dumps(x));" * 1000
    assert lines_found(rule, bundled, Language.PYTHON) == []


def test_the_reference_page_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "rules.md"
    assert page.read_text("utf-8") == reference_page(), "run: python -m bullpen.analysis.rulepacks.reference"


def test_the_reference_page_has_every_rule_once() -> None:
    headings = re.findall(r"^### `(.+)`$", reference_page(), re.MULTILINE)
    assert sorted(headings) == [rule.id for rule in RULES]
