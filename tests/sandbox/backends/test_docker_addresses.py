"""Where an engine is, and which are refused before a word is said to them."""

from pathlib import Path

import pytest

from bullpen.domain.errors import InvalidInput, Missing, PermissionRefused
from bullpen.sandbox.backends._docker_address import Address, check_local, read_address
from bullpen.sandbox.backends.docker import Docker
from bullpen.sandbox.backends.remote_docker import RemoteDocker


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("not one")
    return tmp_path


@pytest.mark.req("BOX-01")
@pytest.mark.parametrize(
    "host", ["", "unix:///run/docker.sock", "tcp://127.0.0.1:2375", "tcp://localhost:1", "[::1]:2375"]
)
def test_an_engine_of_this_machine_is_local(host: str) -> None:
    check_local(host)


@pytest.mark.req("BOX-01")
@pytest.mark.parametrize(
    "host", ["tcp://192.0.2.1:2376", "ssh://me@build.example", "https://build.example:1"]
)
async def test_the_plain_backend_refuses_another_machine_and_names_the_one_that_can(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Missing, match="another machine") as refused:
        check_local(host)
    assert "remote_docker" in refused.value.remedy
    monkeypatch.setenv("DOCKER_HOST", host)
    probe = await Docker().probe()
    assert not probe.works
    assert "another machine" in probe.reason
    assert "remote_docker" in probe.remedy


@pytest.mark.req("BOX-01")
@pytest.mark.parametrize("host", ["", "unix:///run/docker.sock"])
async def test_where_no_other_machine_is_named_it_is_said_how_to(host: str) -> None:
    probe = await RemoteDocker(environment={"DOCKER_HOST": host}).probe()
    assert not probe.works
    assert "names no other machine" in probe.reason
    assert "ssh://" in probe.remedy


@pytest.mark.req("BOX-01")
@pytest.mark.parametrize("host", ["tcp://192.0.2.1:2375", "192.0.2.1", "tcp://build.example"])
def test_an_unencrypted_way_to_another_machine_is_refused(host: str) -> None:
    with pytest.raises(PermissionRefused, match="unencrypted"):
        read_address({"DOCKER_HOST": host})


def test_an_unencrypted_way_on_this_machine_is_not() -> None:
    assert read_address({"DOCKER_HOST": "tcp://127.0.0.1:4"}) == Address("tcp", "127.0.0.1", 4)


def test_certificates_are_taken_from_where_dockers_own_client_looks(certificates: Path) -> None:
    environment = {"DOCKER_HOST": "tcp://build.example", "DOCKER_CERT_PATH": str(certificates)}
    assert read_address(environment) == Address("tcp", "build.example", 2376, certificates)


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"no ca\.pem and no cert\.pem and no key\.pem"):
        read_address({"DOCKER_HOST": "tcp://a.example", "DOCKER_CERT_PATH": str(tmp_path)})


async def test_certificates_that_are_none_are_said(certificates: Path) -> None:
    environment = {"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_CERT_PATH": str(certificates)}
    probe = await RemoteDocker(environment=environment).probe()
    assert "cannot be used" in probe.reason


def test_a_machine_that_is_reached_by_ssh() -> None:
    assert read_address({"DOCKER_HOST": "ssh://me@build.example:23"}) == Address(
        "ssh", "build.example", 23, user="me"
    )
    named = read_address({"DOCKER_HOST": "ssh://build.example/run/user/7/docker.sock"})
    assert (named.path, named.port, named.user) == ("/run/user/7/docker.sock", 0, "")


@pytest.mark.parametrize(
    "host",
    ["ssh://-oProxyCommand=x", "ssh://-lx@a", "ftp://a", "tcp://a:99999", "ssh://a:b@c", "tcp://", "ssh://"],
)
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(InvalidInput):
        read_address({"DOCKER_HOST": host})


async def test_a_machine_that_does_not_answer_is_said() -> None:
    probe = await RemoteDocker(environment={"DOCKER_HOST": "tcp://127.0.0.1:9"}).probe()
    assert not probe.works
    assert "does not answer" in probe.reason
