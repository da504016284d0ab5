"""Secrets never pass."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.kernel.redaction import REDACTED, Redactor

SECRETS = st.text(min_size=6, max_size=40)
AROUND = st.text(max_size=60)


@pytest.mark.req("TOL-09")
@given(SECRETS, AROUND, AROUND)
def test_a_known_value_never_passes(secret: str, before: str, after: str) -> None:
    assert secret not in Redactor([secret]).redact(before + secret + after)


@given(st.lists(SECRETS, min_size=2, max_size=4), st.lists(AROUND, min_size=5, max_size=5), st.integers(0, 3))
def test_values_that_overlap_never_pass(secrets: list[str], around: list[str], shared: int) -> None:
    joined = secrets[0] + "".join(
        secret[shared:] + part for secret, part in zip(secrets[1:], around, strict=False)
    )
    clean = Redactor(secrets).redact(joined)
    assert not any(secret in clean for secret in secrets)


@given(SECRETS, AROUND)
def test_a_known_value_does_not_pass_inside_json_a_url_or_base64(secret: str, around: str) -> None:
    redact = Redactor([secret]).redact
    raw = secret.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if raw != secret:
        return
    assert json.dumps(secret)[1:-1] not in redact(json.dumps({"value": around + secret}))
    assert quote(secret, safe="") not in redact(f"https://host/?q={quote(secret, safe='')}")
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    assert encoded not in redact(f"{base64.b64encode(secret.encode()).decode()}")


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ"


@pytest.mark.parametrize(
    "secret",
    [
        f"ghp_{LETTERS[:36]}",
        f"github_pat_{LETTERS[:30]}",
        f"glpat-{LETTERS[:20]}",
        f"sk-ant-api03-{LETTERS[:40]}",
        f"sk_live_{LETTERS[:24]}",
        "AKIA" + "IOSFODNN7EXAMPLE",
        f"xoxb-{LETTERS[:24]}",
        f"AIza{LETTERS[:35]}",
        f"npm_{LETTERS[:36]}",
        f"Bearer {LETTERS[:36]}",
        f"hf_{LETTERS[:34]}",
        f"eyJ{LETTERS[:20]}.eyJ{LETTERS[:20]}.{LETTERS[:30]}",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef+/=\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk",
    ],
)
@given(
    before=st.sampled_from(["", "x = ", '{"a": "', "url?t=", "\n"]),
    after=st.sampled_from(["", " ", '"}', "'\n", "\n\nend"]),
)
def test_what_looks_like_a_secret_never_passes(secret: str, before: str, after: str) -> None:
    for text in (before + secret + after, json.dumps({"text": before + secret + after})):
        clean = Redactor().redact(text)
        assert secret not in clean
        assert json.dumps(secret)[1:-1] not in clean
        assert REDACTED in clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:s3cr3t@host/path", f"https://{REDACTED}@host/path"),
        ("postgres://:pw@db:5432/x", f"postgres://{REDACTED}@db:5432/x"),
        ("Authorization: Bearer abcdefghijklmnop1234", f"Authorization: Bearer {REDACTED}"),
        ('api_key = "a1b2c3d4e5f6g7"', f'api_key = "{REDACTED}"'),
        ('{"text": "password = \\"hunter2hunter2\\""}', f'{{"text": "password = \\"{REDACTED}\\""}}'),
    ],
)
def test_credentials_are_known_by_their_place(text: str, clean: str) -> None:
    assert Redactor().redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "token = self.next_token()",
        'password = "password"',
        "https://host/@user/repo and me@example.org",
        "task-1234567890123456789012345",
        "key = 'a plain sentence with 1 number'",
        "def test_secret_is_hidden(): ...",
    ],
)
def test_ordinary_code_is_left_alone(text: str) -> None:
    assert Redactor().redact(text) == text


@given(st.text(max_size=200))
def test_a_clean_text_stays_valid_json(text: str) -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\nabc"
    json.loads(Redactor(["known-value"]).redact(json.dumps({"a": text + key, "b": "known-value"})))
