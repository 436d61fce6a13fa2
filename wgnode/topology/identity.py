"""Who a site is: a random id from its allocation, for ever. Its name is a label, its addresses and keys may change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

ID_LENGTH = 8
"""Bytes: 64 random bits, so that sites of different meshes on one host don't meet either."""
ID = re.compile(rf"[0-9a-f]{{{2 * ID_LENGTH}}}")
MAC_PREFIX = "52:54:00"
"""QEMU's: locally administered addresses of virtual machines."""


def new_id(random: Callable[[int], bytes]) -> str:
    """16 lower-case hexadecimal digits; `random(n)` gives n random bytes."""
    return random(ID_LENGTH).hex()


def parse_id(text: object) -> str:
    """Raises ValueError for what is none."""
    if not isinstance(text, str) or not ID.fullmatch(text):
        raise ValueError(f"{text!r} is not a site's id: {2 * ID_LENGTH} lower-case hexadecimal digits")
    return text


def lan_mac(id: str) -> str:
    """The MAC address of a site's gateway on its LAN."""
    return _mac(f"wgnode lan mac 1\0{id}")


def lan_mac_of_names(mesh: str, site: str) -> str:
    """The same of a site that is older than ids: it keeps the one that was derived from its names then."""
    return _mac(f"{mesh}/{site}")


def _mac(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{MAC_PREFIX}:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}"
