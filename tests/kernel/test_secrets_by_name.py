"""Secrets: where each is looked for, in which order, and what the store keeps others from."""

import stat
from pathlib import Path

import pytest

from bullpen.domain.errors import InvalidInput, NotFound, PermissionRefused
from bullpen.kernel.secrets import drop_secret, find_secret, keep_secret, list_secrets
from bullpen.kernel.settings import Settings


def settings(home: Path, **places: str) -> Settings:
    return Settings(home=home, secrets=places)


@pytest.mark.req("SEC-04")
def test_what_is_said_comes_before_the_variable_and_that_before_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_secret(settings(tmp_path), "api.key") is None
    keep_secret(settings(tmp_path), "api.key", "stored")
    assert find_secret(settings(tmp_path), "api.key") == "stored"
    monkeypatch.setenv("BULLPEN_SECRET_API_KEY", "variable")
    assert find_secret(settings(tmp_path), "api.key") == "variable"
    monkeypatch.setenv("MINE", "named")
    assert find_secret(settings(tmp_path, **{"api.key": "env:MINE"}), "api.key") == "named"
    (tmp_path / "key").write_text(" filed\n")
    assert find_secret(settings(tmp_path, **{"api.key": f"file:{tmp_path / 'key'}"}), "api.key") == "filed"


def test_a_place_that_holds_nothing_is_not_made_up_for_by_another(tmp_path: Path) -> None:
    keep_secret(settings(tmp_path), "KEY", "stored")
    assert find_secret(settings(tmp_path, KEY="env:NOT_SET_ANYWHERE"), "KEY") is None
    assert find_secret(settings(tmp_path, KEY=f"file:{tmp_path / 'gone'}"), "KEY") is None


@pytest.mark.req("SEC-04")
def test_the_store_is_the_owners_alone_and_its_list_shows_no_value(tmp_path: Path) -> None:
    one = settings(tmp_path, OTHER="env:X")
    keep_secret(one, "KEY", "first")
    keep_secret(one, "KEY", "second")
    file = tmp_path / "secrets" / "KEY"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [one.name for one in file.parent.iterdir()] == ["KEY"]
    assert list_secrets(one) == [("KEY", "store"), ("OTHER", "env:X")]
    assert find_secret(one, "KEY") == "second"
    drop_secret(one, "KEY")
    with pytest.raises(NotFound, match="holds no secret called KEY"):
        drop_secret(one, "KEY")


@pytest.mark.parametrize("name", ["", "../KEY", "a/b", "1KEY", "K\nEY", "." * 3, "K" * 129])
def test_a_name_leads_out_of_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a secret"):
        keep_secret(settings(tmp_path), name, "value")
    with pytest.raises(InvalidInput, match="cannot name a secret"):
        find_secret(settings(tmp_path), name)


def test_what_is_wrong_with_a_place_is_said_without_its_content(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"secrets.KEY says neither") as wrong:
        find_secret(settings(tmp_path, KEY="sesame"), "KEY")
    assert "sesame" not in str(wrong.value) + wrong.value.remedy
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="is no text"):
        find_secret(settings(tmp_path, KEY=f"file:{tmp_path / 'odd'}"), "KEY")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    with pytest.raises(InvalidInput, match="longer than"):
        find_secret(settings(tmp_path, KEY=f"file:{tmp_path / 'large'}"), "KEY")
    with pytest.raises(PermissionRefused, match="cannot be read"):
        find_secret(settings(tmp_path, KEY=f"file:{tmp_path}"), "KEY")
    with pytest.raises(InvalidInput, match="empty"):
        keep_secret(settings(tmp_path), "KEY", " \n")
