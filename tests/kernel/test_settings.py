"""Settings: the order of their sources, and a clear word about each wrong one."""

from pathlib import Path

import pytest

from bullpen.domain.errors import InvalidInput
from bullpen.kernel.settings import Settings, default_home, read_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BULLPEN_{name.upper()}", raising=False)
    monkeypatch.setenv("BULLPEN_HOME", str(tmp_path))
    return tmp_path


def write(home: Path, text: str) -> None:
    (home / "config.toml").write_text(text)


@pytest.mark.req("CFG-01")
def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_settings().batch == 8
    write(home, "batch = 2\nattempts = 2\nparallel = 2\n")
    monkeypatch.setenv("BULLPEN_BATCH", "3")
    monkeypatch.setenv("BULLPEN_ATTEMPTS", "3")
    settings = read_settings(batch=4, model=None)
    assert (settings.batch, settings.attempts, settings.parallel) == (4, 3, 2)
    assert settings.model == "playbook"


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "home"])
def test_every_setting_says_what_it_is(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description
    assert field.description.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch", "0"), ("batch", "many"), ("parallel", "-1"), ("attempts", "99"), ("test_seconds", "0"),
        ("memory_mib", "1"), ("file_bytes", "x"), ("max_items", "0"), ("agent_seconds", "nan-ish"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_where_it_is_set(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"BULLPEN_{name.upper()}", value)
    with pytest.raises(InvalidInput, match=f"setting '{name}' is wrong") as wrong:
        read_settings()
    assert f"BULLPEN_{name.upper()}" in wrong.value.remedy
    assert str(home / "config.toml") in wrong.value.remedy
    monkeypatch.delenv(f"BULLPEN_{name.upper()}")
    write(home, f"{name} = {value!r}\n")
    with pytest.raises(InvalidInput, match=f"setting '{name}' is wrong"):
        read_settings()


def test_an_unknown_key_is_named_and_a_near_one_offered(home: Path) -> None:
    write(home, "bach = 3\n")
    with pytest.raises(InvalidInput, match=r"'bach'.*not known") as wrong:
        read_settings()
    assert "'batch'" in wrong.value.remedy
    assert str(home / "config.toml") in wrong.value.remedy


def test_a_broken_file_names_its_line(home: Path) -> None:
    write(home, "batch = 3\nmodel = \n")
    with pytest.raises(InvalidInput, match=r"config\.toml cannot be read: .*line 2"):
        read_settings()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"batch = 3\0"])
def test_a_file_of_other_bytes_is_refused(home: Path, content: bytes) -> None:
    (home / "config.toml").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"config\.toml cannot be read"):
        read_settings()


def test_where_home_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BULLPEN_HOME", "~/here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / "here"
    monkeypatch.delenv("BULLPEN_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert default_home() == tmp_path / "state" / "bullpen"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_home() == tmp_path / ".local" / "state" / "bullpen"
    assert read_settings().database == f"sqlite:///{tmp_path / '.local/state/bullpen'}/bullpen.db"
    assert read_settings(database_url="postgresql://h/d").database == "postgresql://h/d"


def test_a_repositorys_own_file_sets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "config.toml").write_text("batch = 2\n")
    (work / ".env").write_text("BULLPEN_BATCH=2\n")
    monkeypatch.chdir(work)
    assert read_settings().batch == 8
