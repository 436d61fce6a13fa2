"""An endpoint as people configure it: "192.0.2.1:51820", "[2001:db8::1]:51820", "gate.example:51820".

Judged in one way wherever one is taken: by the mesh, by a node's configuration, and by the host that resolves names.
Pure, and standard library only.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_INNER = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_LAST = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({_INNER}\.)*{_LAST}")
NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
"""What no name ends with: resolvers read "010.0.0.1", "10.1" and "0x7f.1" as addresses, octal and shortened ones."""
PORT = re.compile(r"[0-9]{1,5}")
Address = IPv4Address | IPv6Address


def split(endpoint: str) -> tuple[Address | str, int]:
    """Address or name, and port 1 to 65535. An IPv4-mapped IPv6 address is the IPv4 address that it stands for.

    Raises ValueError with what to do.
    """
    host, colon, port = endpoint.rpartition(":")
    if not colon or not PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"endpoint {endpoint!r} has no port; write it like 192.0.2.1:51820 or [2001:db8::1]:51820")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    try:
        address = ip_address(host)
    except ValueError:
        if why := f"{host!r} is no IPv6 address" if bracketed else no_name(host):
            raise ValueError(f"endpoint {endpoint!r}: {why}") from None
        return host, int(port)
    if "%" in host:
        raise ValueError(f"endpoint {endpoint!r} has a zone, which other machines have none of; leave it out")
    if (address.version == 6) != bracketed:
        wrong = f"an IPv4 address has no brackets; write {host}:{port}"
        missing = f"only an IPv6 address stands in brackets; write [{host}]:{port}"
        raise ValueError(f"endpoint {endpoint!r}: {wrong if bracketed else missing}")
    return plain(address), int(port)


def no_name(host: str) -> str | None:
    """Why this, which is no address, is no host name either; None where it is one."""
    if NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return (
            f"{host!r} is no IPv4 address, and some read it as another one; write four numbers from 0 to 255 without"
            " leading zeros, like 192.0.2.1"
        )
    return None if HOST_NAME.fullmatch(host) else f"{host!r} is neither an address nor a host name"


def plain(address: Address) -> Address:
    """[::ffff:192.0.2.1] is 192.0.2.1."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def canonical(endpoint: str) -> str:
    """Of two ways to write one address, the one; a name as it is. Raises ValueError."""
    host, port = split(endpoint)
    return f"[{host}]:{port}" if isinstance(host, IPv6Address) else f"{host}:{port}"
