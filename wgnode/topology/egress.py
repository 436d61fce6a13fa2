"""How a site's devices get to the internet, by what their groups say; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from wgnode.topology.users import Users

Egress = Literal["none", "masquerade", "pool"]
"""Not at all; by the host's address; by a public address of the device's own, one to one."""
NONE, MASQUERADE, POOL = KINDS = get_args(Egress)


def of_member(names: Iterable[Any] | None, groups: Mapping[str, Any] | None) -> Egress:
    """Of somebody in these groups: who may do what any of them may, and an address of one's own tells who it was.
    Raises ValueError for what none is."""
    found = [_of_group((groups or {}).get(name)) for name in names or ()]
    return max(found, key=KINDS.index, default=NONE)


def is_open(names: Iterable[Any] | None, groups: Mapping[str, Any] | None) -> bool:
    """Whether others outside may begin with somebody in these groups; what they may, the data plane judges."""
    rules = [rule for name in names or () for rule in _rules((groups or {}).get(name))]
    return any(rule.get("internet") or rule.get("networks") for rule in rules)


def leaving(users: Users) -> dict[str, Any] | None:
    """For the host and its firewall: `devices` by label, the `public` addresses of all, whether these are `routed`.
    None where nobody leaves."""
    there = [one for one in users.peers if one.egress != NONE]
    devices = {
        one.label: {
            "addresses": list(one.addresses),
            "public": list(one.public) if one.egress == POOL else [],
            "open": one.egress == POOL and one.is_open,
        }
        for one in there
    }
    public = [address for one in there if one.egress == POOL for address in one.public]
    return {"devices": devices, "public": public, "routed": users.egress_routed} if devices else None


def _of_group(group: Any) -> Egress:
    said: Egress = group.get("egress") or NONE if isinstance(group, Mapping) else NONE
    if said not in KINDS:
        raise ValueError(f"egress {said!r} is none of {', '.join(KINDS)}")
    return said


def _rules(group: Any) -> list[Mapping[str, Any]]:
    said = group.get("reachableFrom") if isinstance(group, Mapping) else None
    return [rule for rule in said if isinstance(rule, Mapping)] if isinstance(said, list) else []
