"""People and their devices, as a site's stack file has them, and the peers that they become; pure.

A group says what its members reach (groups.py). A user without a group gets nothing: such devices are no peers.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wgnode.nodeconfig import KEY_LENGTH, PeerConfig, decode_key
from wgnode.topology import egress
from wgnode.topology.egress import NONE, Egress
from wgnode.topology.groups import Group
from wgnode.topology.model import Network

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
FAMILIES = ("v4", "v6")
LABEL = b"wgnode device's preshared key 1\0"
_MOMENT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2}):([0-9]{2})Z)?")


@dataclass(frozen=True)
class Device:
    """A person's tunnel. `expires` is in seconds since 1970; `why_not` says why it is no peer, "" where it is one.
    `groups` are the person's, sorted. `egress` is how it gets to the internet, `public` its addresses there, `is_open`
    whether others may begin at them.
    """

    user: str
    name: str
    public_key: bytes
    addresses: tuple[str, ...]
    expires: int | None = None
    why_not: str = ""
    groups: tuple[str, ...] = ()
    egress: Egress = NONE
    public: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def label(self) -> str:
        """No site's name has a slash."""
        return f"{self.user}/{self.name}"

    def peer(self, access: int | None = None) -> PeerConfig:
        """Exactly its own addresses are routed to it. It calls, since nobody knows where it is. `access` is the number
        of its class in the site's access policy."""
        networks = tuple(sorted(str(ip_network(address)) for address in self.addresses))
        return PeerConfig(self.label, (self.public_key,), networks, expires=self.expires, access=access)


@dataclass(frozen=True)
class Users:
    """What a site says of its people: the pool's networks, all devices, sorted by name, and the groups by theirs.
    `egress_pool` has their public addresses, which lead to the host where they are `egress_routed`, else are its
    uplink's own network's."""

    pool: tuple[Network, ...] = ()
    devices: tuple[Device, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)
    egress_pool: tuple[Network, ...] = ()
    egress_routed: bool = False

    @classmethod
    def of(
        cls,
        pool: Mapping[str, Any] | None,
        users: Mapping[str, Any] | None,
        groups: Mapping[str, Any] | None = None,
        egress_pool: Mapping[str, Any] | None = None,
    ) -> Users:
        """From judged configuration (camelCase; see user_problems.py)."""
        found = (one for name, user in (users or {}).items() for one in _devices(name, user, groups))
        devices = tuple(sorted(found, key=lambda one: one.label))
        known = {name: Group.of(name, said) for name, said in (groups or {}).items()}
        routed = bool((egress_pool or {}).get("routed"))
        return cls(_networks(pool), devices, known, _networks(egress_pool), routed)

    @property
    def peers(self) -> tuple[Device, ...]:
        """The devices that may connect until they expire."""
        return tuple(one for one in self.devices if not one.why_not)


NOBODY = Users()


def _networks(pool: Mapping[str, Any] | None) -> tuple[Network, ...]:
    return tuple(ip_network(pool[family]) for family in FAMILIES if pool.get(family)) if pool else ()


def _devices(name: str, user: Mapping[str, Any], groups: Mapping[str, Any] | None) -> Iterator[Device]:
    expires, member = user.get("expires"), user.get("groups")
    leaves, is_open = egress.of_member(member, groups), egress.is_open(member, groups)
    for device, said in (user.get("devices") or {}).items():
        yield Device(
            name,
            device,
            decode_key(said["publicKey"]),
            tuple(str(ip_address(address)) for address in said["addresses"]),
            None if expires is None else moment(expires),
            _why_not(user, said),
            tuple(sorted(set(user.get("groups") or ()))),
            leaves,
            tuple(str(ip_address(address)) for address in said.get("egressAddresses") or ()),
            is_open,
        )


def _why_not(user: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    if user.get("disabled"):
        return "user is disabled"
    if device.get("disabled"):
        return "disabled"
    return "" if user.get("groups") else "user is in no group"


def expired(site: str, users: Mapping[str, Any] | None, wall: float) -> Iterator[str]:
    """What is to be said of users whose time is over at `wall` (seconds since 1970)."""
    for name, user in (users or {}).items():
        if user.get("devices") and user.get("expires") is not None and moment(user["expires"]) <= wall:
            yield (
                f"site {site!r}: user {name!r} has expired ({written(user['expires'])}), so the user's devices are"
                f" refused; `wgnode user remove {name}` takes them out, `wgnode user expire` gives more time"
            )


def without_groups(site: str, users: Mapping[str, Any] | None) -> Iterator[str]:
    """What is to be said of users who get nothing, and did nothing to deserve it."""
    for name, user in (users or {}).items():
        if user.get("devices") and not user.get("groups") and not user.get("disabled"):
            yield (
                f"site {site!r}: user {name!r} is in no group, so the user's devices can't connect; give groups in the"
                " stack file, such as `groups: [staff]`"
            )


def preshared_key(secret: bytes, public_key: bytes) -> bytes:
    """A device's 32 bytes, from the site's device secret: nothing is kept for each, and a new key has a new one."""
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=LABEL + public_key).derive(secret)


def moment(said: Any) -> int:
    """Seconds since 1970 of `2027-01-31`, which begins in UTC, or of `2027-01-31T18:00:00Z`; YAML may have made a date
    of it. Raises ValueError with what is wrong and what to do."""
    text = written(said)
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()) if found else (0,) * 6
    if not (
        year >= 1970
        and 1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and hour < 24
        and max(minute, second) < 60
    ):
        raise ValueError(f"{text!r} is no time; write it like 2027-01-31 or 2027-01-31T18:00:00Z (UTC)")
    return calendar.timegm((year, month, day, hour, minute, second))


def written(said: Any) -> Any:
    """A date or time of YAML's as text, anything else as it is. A time of no zone is UTC; of another it is none that
    `moment` takes."""
    if not hasattr(said, "isoformat"):
        return said
    if not hasattr(said, "hour") or said.utcoffset():
        return said.isoformat()
    return f"{said:%Y-%m-%dT%H:%M:%SZ}"
