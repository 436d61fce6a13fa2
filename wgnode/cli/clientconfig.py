"""What a device is given: WireGuard's configuration (wg-quick(8)), as text and as a QR code."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from wgnode.nodeconfig import encode_key
from wgnode.topology.model import DEFAULT_KEEPALIVE, Topology

NO_SEGNO = "no QR code without segno: pip install 'wgnode[users]'"


@dataclass(frozen=True, repr=False)
class ClientConfig:
    """`private_key` is None where the device has made its own. `reached` are networks."""

    addresses: Sequence[str]
    private_key: str | None
    preshared_key: str
    public_key: str
    endpoint: str
    reached: Sequence[str]

    def text(self) -> str:
        """As wg-quick and its like read it. The MTU is left out: the gateway finds it."""
        own = ", ".join(str(ip_network(address)) for address in self.addresses)
        key = f"PrivateKey = {self.private_key}" if self.private_key else "# PrivateKey = the device's own"
        return (
            f"[Interface]\n{key}\nAddress = {own}\n\n"
            f"[Peer]\nPublicKey = {self.public_key}\nPresharedKey = {self.preshared_key}\nEndpoint = {self.endpoint}\n"
            f"AllowedIPs = {', '.join(self.reached)}\nPersistentKeepalive = {DEFAULT_KEEPALIVE}\n"
        )


def of_device(
    topology: Topology,
    home: str,
    addresses: Sequence[str],
    private_key: str | None,
    preshared_key: bytes,
    reached: Sequence[str],
) -> ClientConfig:
    """`reached`: see topology.access.ways. Raises ValueError for a home that nobody can call."""
    site = topology.sites[home]
    if site.endpoint is None:
        raise ValueError(f"site {home!r} has no endpoint")
    return ClientConfig(
        addresses,
        private_key,
        encode_key(preshared_key),
        encode_key(site.public_keys[0]),
        site.endpoint,
        reached,
    )


def qr_lines(text: str) -> str | None:
    """For a terminal; None where the library for it is missing."""
    if (code := _code(text)) is None:
        return None
    out = io.StringIO()
    code.terminal(out, compact=True)
    return out.getvalue()


def write_png(text: str, path: Path) -> bool:
    """For its owner only: it has the private key. Whether there is the library for it. Raises OSError."""
    if (code := _code(text)) is None:
        return False
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as out:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a device is everybody's, like /dev/null
            os.fchmod(descriptor, 0o600)
        code.save(out, kind="png", scale=6)
    return True


def _code(text: str) -> Any:
    try:
        import segno  # of the extra `users`
    except ImportError:
        return None
    return segno.make(text, error="l", micro=False)
