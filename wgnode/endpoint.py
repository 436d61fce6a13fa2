"""An endpoint as people configure it: "192.0.2.1:51820", "[2001:db8::1]:51820", "gate.example:51820".

Read in one way wherever one is taken: by the mesh, by a node's configuration, from `wg`, between our own programs, and
by the host that resolves names. Pure, and standard library only.
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
LONGEST = 300
"""Characters; a host name has at most 253."""
Address = IPv4Address | IPv6Address


def split(endpoint: str) -> tuple[Address | str, int]:
    """Address or name, and port 1 to 65535, as people configure them: nothing that only one machine knows.

    Raises ValueError with what to do.
    """
    host, bracketed, port = _parted(endpoint)
    if not port:
        raise ValueError(f"endpoint {endpoint!r} has no port at which anybody listens; give one from 1 to 65535")
    address = _address(endpoint, host, bracketed, port)
    if address is None:
        return host, port
    if "%" in host:
        raise ValueError(f"endpoint {endpoint!r} has a zone, which other machines have none of; leave it out")
    return plain(address), port


def literal(endpoint: object) -> tuple[Address, int]:
    """Address and port 0 to 65535, as `wg` writes them; also with a zone (or scope), which is this machine's own.

    Raises ValueError, for a name too.
    """
    host, bracketed, port = _parted(endpoint)
    address = _address(endpoint, host, bracketed, port)
    if address is None:
        raise ValueError(f"endpoint {endpoint!r}: {host!r} is a name; only an address is taken here")
    if not host.isascii():
        raise ValueError(f"endpoint {endpoint!r}: no interface of that name is its zone")
    return plain(address), port


def _parted(endpoint: object) -> tuple[str, bool, int]:
    """Host, whether it stood in brackets, and port."""
    if not isinstance(endpoint, str) or len(endpoint) > LONGEST or not endpoint.isprintable():
        raise ValueError(f"an endpoint is a printable text of at most {LONGEST} characters")
    host, colon, port = endpoint.rpartition(":")
    if not colon or not PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(
            f"endpoint {endpoint!r} has no port from 1 to 65535 in plain digits; write it like 192.0.2.1:51820 or"
            " [2001:db8::1]:51820"
        )
    bracketed = host.startswith("[") and host.endswith("]")
    return host[1:-1] if bracketed else host, bracketed, int(port)


def _address(endpoint: object, host: str, bracketed: bool, port: int) -> Address | None:
    """None for a name. Raises ValueError for what is neither, and for brackets where they don't belong."""
    try:
        address = ip_address(host)
    except ValueError:
        if why := f"{host!r} is no IPv6 address" if bracketed else no_name(host):
            raise ValueError(f"endpoint {endpoint!r}: {why}") from None
        return None
    if (address.version == 6) != bracketed:
        wrong = f"an IPv4 address has no brackets; write {host}:{port}"
        missing = f"an IPv6 address stands in brackets; write [{host}]:{port}"
        raise ValueError(f"endpoint {endpoint!r}: {wrong if bracketed else missing}")
    return address


def no_name(host: str) -> str | None:
    """Why this, which is no address, is no host name either; None where it is one."""
    if NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return (
            f"{host!r} is no IPv4 address, and some read it as another one; write four numbers from 0 to 255 without"
            " leading zeros, like 192.0.2.1"
        )
    if HOST_NAME.fullmatch(host):
        return None
    if not host.isascii():
        return f"{host!r} is no host name as DNS has it; write it in ASCII, as xn--bcher-kva.example for bücher.example"
    if HOST_NAME.fullmatch(host.removesuffix(".")):
        return f"{host!r} ends with a dot; leave it out: names are complete here"
    return f"{host!r} is neither an address nor a host name"


def plain(address: Address) -> Address:
    """[::ffff:192.0.2.1] is 192.0.2.1, which has no zone."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def canonical(endpoint: str) -> str:
    """Of two ways to write one address, the one; a name as it is. Raises ValueError."""
    return written(*split(endpoint))


def written(host: Address | str, port: int) -> str:
    """As `wg` writes it."""
    return f"[{host}]:{port}" if isinstance(host, IPv6Address) else f"{host}:{port}"
