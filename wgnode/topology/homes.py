"""A person and a device have one home: what the sites of a mesh say of the same one is a contradiction; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wgnode.nodeconfig import decode_key
from wgnode.topology.validate import Problem

WAY_OUT = (
    "whoever roams between two sites calls one of them, and is reached at its address of that LAN; take one of both out"
    " (`wgnode user remove`)"
)


class SecondHome(NamedTuple):
    """`problem` is of this site's configuration (paths as in user_problems.py)."""

    site: str
    problem: Problem


def second_homes(users: Mapping[str, Any]) -> Iterator[SecondHome]:
    """Of what stands under `users` by site; what has another type is passed over."""
    people: dict[str, str] = {}
    keys: dict[bytes, tuple[str, str]] = {}
    for site, said in users.items():
        for name, user in (said if isinstance(said, Mapping) else {}).items():
            if (home := people.setdefault(name, site)) != site:
                yield SecondHome(
                    site, Problem(f".users.{name}", f"user {name!r} has a home already, site {home!r}: {WAY_OUT}")
                )
                continue
            devices = user.get("devices") if isinstance(user, Mapping) else None
            for device, one in (devices if isinstance(devices, Mapping) else {}).items():
                path, label = f".users.{name}.devices.{device}.publicKey", f"{name}/{device}"
                key = _key(one)
                if key is None or (first := keys.setdefault(key, (site, label)))[0] == site:
                    continue  # twice at one site is told there
                there = f"the public key of {first[1]} at site {first[0]!r}"
                yield SecondHome(site, Problem(path, f"device {label} has {there}: {WAY_OUT}"))


def _key(device: Any) -> bytes | None:
    try:
        return decode_key(device["publicKey"])
    except (KeyError, TypeError, ValueError):
        return None
