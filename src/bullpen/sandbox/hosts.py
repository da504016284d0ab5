"""Hosts a command may reach: how they are written, and which addresses only count when they are named themselves."""

import ipaddress
import re
from dataclasses import dataclass

from bullpen.domain.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_LONGEST_NAME = 253
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_OF_THE_CLOUD = frozenset({ipaddress.IPv4Address("168.63.129.16")})  # answers only to machines in Azure


@dataclass(frozen=True, slots=True)
class Host:
    """A name or an address (in its one spelling, without brackets), and a port."""

    name: str
    port: int

    @property
    def address(self) -> Address | None:
        """The address, where the host is named by it."""
        try:
            return ipaddress.ip_address(self.name)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def parse_host(text: str) -> Host:
    """A host from ``name:port``, ``192.0.2.1:port`` or ``[2001:db8::1]:port``.

    Raises:
        InvalidInput: it is none of these. Numbers that only some resolvers take for an address (``127.1``) are refused.
    """
    name, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or not 0 < int(port) < 65536:
        raise InvalidInput(f"{text!r} is not a host and a port, such as example.org:443.")
    return Host(_name(name, text), int(port))


def is_public(address: Address) -> bool:
    """Whether it belongs to the public internet, also when it wraps another address (RFC 4291, 3056, 4380, 6052)."""
    inner = _wrapped(address)
    if inner is not None:
        return is_public(inner)
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special and address not in _OF_THE_CLOUD


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _name(name: str, text: str) -> str:
    if name.startswith("["):
        return _literal(name, text)
    lowered = name.lower().removesuffix(".")
    try:
        return str(ipaddress.IPv4Address(lowered))
    except ValueError:
        last = lowered.rpartition(".")[2]
        if len(lowered) > _LONGEST_NAME or not _NAME.fullmatch(lowered) or _NUMBERS.fullmatch(last):
            raise InvalidInput(f"{text!r} does not name a host.") from None
        return lowered


def _literal(name: str, text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(name[1:-1] if name.endswith("]") else ""))
    except ValueError:
        raise InvalidInput(f"{text!r} does not name a host.") from None
