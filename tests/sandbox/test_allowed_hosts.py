"""How hosts are written, and which addresses are private whatever they are wrapped in."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.sandbox.hosts import Host, is_public, parse_host

NO_HOSTS = [
    "127.1:80", "2130706433:80", "0x7f000001:80", "0177.0.0.1:80", "1.2.3.4.5:80", "256.1.1.1:80", "a.0x1:80",
    "a..b:80", ".a:80", "-a:80", "a-:80", "ä.example:80", "a:65536", "a:-1",
    "a:+1", "a:٣", "::1:80", "[::1]", "[a]:80", "[]:80", "a@b:80",
    "a/b:80",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "168.63.129.16", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "::127.0.0.1", "2001:0:4136:e378:8000:63bf:5601:5601",
]  # fmt: skip
PORTS = st.integers(1, 65535)
LABELS = st.text("abcXYZ09", min_size=1, max_size=9)
NAMES = st.builds(
    lambda labels, dot: ".".join(labels) + ".Org" + dot,
    st.lists(LABELS, max_size=3),
    st.sampled_from(["", "."]),
).filter(lambda name: not name.startswith("."))


@pytest.mark.req("BOX-02")
@given(name=NAMES, port=PORTS)
def test_a_name_has_one_spelling(name: str, port: int) -> None:
    host = parse_host(f"{name}:{port}")
    assert host == Host(name.lower().removesuffix("."), port)
    assert parse_host(str(host)) == host
    assert host.address is None


@pytest.mark.req("BOX-02")
@given(address=st.ip_addresses(), port=PORTS)
def test_an_address_has_one_spelling(address: ipaddress.IPv4Address, port: int) -> None:
    written = f"[{address.exploded.upper()}]" if address.version == 6 else str(address)
    host = parse_host(f"{written}:{port}")
    assert host.address == address
    assert parse_host(str(host)) == host


@given(text=st.text(max_size=40))
def test_any_text_is_a_host_or_refused(text: str) -> None:
    try:
        host = parse_host(text)
    except InvalidInput:
        return
    assert parse_host(str(host)) == host


@pytest.mark.req("BOX-02")
@pytest.mark.parametrize(
    "text",
    [*NO_HOSTS, f"{'a' * 64}.b:80", f"{'a.' * 127}com:80", "a: 80", "a b:80", "a\r\n:80"],
)
def test_what_a_resolver_might_take_for_something_else_is_no_host(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_host(text)


@pytest.mark.req("BOX-02", "BOX-04")
@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_internet_is_private(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "2606:4700::6810:1", "::ffff:8.8.8.8", "64:ff9b::808:808", "172.32.0.1"],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
