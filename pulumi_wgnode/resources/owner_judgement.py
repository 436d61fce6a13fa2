"""Whether a gateway on a host is ours to make, change or delete, by the host's owner records: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import version
from ipaddress import ip_network
from typing import Literal

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.hosts.owners import Owner, Record, Seen
from wgnode.image import layers
from wgnode.image.paths import PLAIN

ResourceKind = Literal["host", "firewall", "gateway"]
_WAY_OUT = (
    "nothing was changed. Correct wgmesh:site.host.address in this stack's file, or `pulumi destroy` the stack of that"
    " site first"
)


@dataclass(frozen=True)
class Wanted:
    """What of a gateway can collide with another's on the same host."""

    owner: Owner
    uplink: str = ""
    transit: tuple[str, ...] = ()
    listen_port: int = 0


@dataclass(frozen=True)
class Known:
    """What the state says: "" and None where it is new, or of a version without owner records.

    `moved`: the resource is to be at another address now.
    """

    exists: bool = False
    claim: str | None = None
    machine: str = ""
    instance: str = ""
    moved: bool = False

    @classmethod
    def of(cls, state: Properties, moved: bool = False) -> Known:
        return cls(bool(state), state.get("claim"), state.get("machineId", ""), state.get("instance") or "", moved)


def decide(seen: Seen, wanted: Wanted, known: Known) -> Record:
    """The record of the gateway, with the instance that it has or gets. Raises HostError, which names whose it is."""
    owner, own = wanted.owner, seen.of(wanted.owner.id)
    others = _others(seen, owner, known)
    if own is None:
        _require_same_machine(seen, others, known)
        _require_unowned(seen, wanted, known, others)
    _require_apart(wanted, others)
    made = own or Record(owner, version("wgnode"), _instance(owner, others, known), owners.free_protocol(others))
    return replace(
        made,
        owner=owner,
        version=version("wgnode"),
        uplink=wanted.uplink or made.uplink,
        transit=wanted.transit or made.transit,
        listen_port=wanted.listen_port or made.listen_port,
    )


def may_delete(seen: Seen, owner: Owner | None, kind: ResourceKind, known: Known) -> str | None:
    """Why not, None where it is the resource's own."""
    own = seen.of(owner.id) if owner else None
    if own is not None:
        token = own.claims.get(kind)
        return None if token in (None, known.claim) else f"another resource of {own.owner} has taken it over"
    holder = seen.at(known.instance)
    if holder is not None and (owner is not None or kind in holder.claims):
        return f"it belongs to {holder.owner}"  # else an older version's, whose host alone was taken over so far
    if known.machine and known.machine != seen.machine:
        return "it is another machine than the one that was deployed"
    return None


def _others(seen: Seen, owner: Owner, known: Known) -> list[Record]:
    """All gateways of the host but ours, also one that an older version made, which has no record."""
    others = [one for one in seen.records if one.owner.id != owner.id]
    taken = seen.at("") is not None or (known.exists and not known.moved)
    legacy = None if taken or seen.plain is None else _legacy(seen.plain)
    if legacy is None or (legacy.owner.mesh, legacy.owner.name) == (owner.mesh, owner.name):
        return others
    return [*others, legacy]


def _legacy(layer: bytes) -> Record | None:
    """Raises HostError where nobody can tell whose it is."""
    try:
        config = layers.config_of(layer)
    except ValueError as error:
        raise HostError(
            f"there is a gateway without an owner record, and {PLAIN.config_layer} does not tell whose"
            f" ({error}); if it is of no use any more, remove that file there"
        ) from None
    networks = tuple(str(ip_network(address, strict=False)) for address in config.transit.addresses)
    owner = Owner("", config.mesh, config.name)
    return Record(owner, "", "", transit=networks, listen_port=config.listen_port)


def _require_same_machine(seen: Seen, others: Iterable[Record], known: Known) -> None:
    """A host is its machine-id, not its address; one that carries nothing at the same address was installed anew."""
    if not known.exists or (known.machine == seen.machine and known.machine):
        return
    if not known.machine:  # of a version that did not record it: only the gateway itself can tell
        if not known.moved or (seen.plain is not None and not list(others)):
            return
        what = "a host that carries no gateway of this site"
    elif not known.moved and not list(others):
        return
    else:
        what = f"another machine ({seen.machine[:8]}…) than the one that the site runs on ({known.machine[:8]}…)"
    raise HostError(
        f"this is {what}; nothing was changed. Correct wgmesh:site.host.address. To move the site to another machine:"
        " put the old address back, `pulumi destroy` this stack, then set the new one and `pulumi up`"
        " (docs/how-to/new-address.md)"
    )


def _require_unowned(seen: Seen, wanted: Wanted, known: Known, others: list[Record]) -> None:
    """Raises HostError for a host that is another site's of this mesh, or whose records nobody can read."""
    if known.exists and (holder := next((one for one in others if one.instance == known.instance), None)):
        raise HostError(f"the gateway there belongs to {holder.owner}; {_WAY_OUT}")
    for other in others:
        if other.owner.mesh == wanted.owner.mesh:
            raise HostError(f"it is the host of {other.owner}, and {wanted.owner} can't be there too; {_WAY_OUT}")
    if broken := {id: why for id, why in seen.damaged.items() if id != wanted.owner.id}:
        id, why = next(iter(broken.items()))
        if id in seen.newer:
            raise HostError(f"nobody can tell whose gateway there is: {why}")
        raise HostError(
            f"{owners.path_of(id)} is no owner record ({why}), so nobody can tell whose gateway that is; repair it by"
            " `pulumi up` of its stack, or remove it if there is none"
        )


def _require_apart(wanted: Wanted, others: Iterable[Record]) -> None:
    """Raises HostError for what two gateways of a host can't both have."""
    for other in others:
        for network in wanted.transit:
            if any(_overlap(network, one) for one in other.transit):
                raise HostError(
                    f"the link to the gateway of {other.owner} has the transit network {network} already; give"
                    " this site others, such as `transit: {v4: 172.31.255.248/30, v6: 'fd77:676e:6f64:6501::/126'}`"
                    " under `gateway` in its stack file"
                )
        if wanted.listen_port and (wanted.uplink, wanted.listen_port) == (
            other.uplink or wanted.uplink,
            other.listen_port,
        ):
            raise HostError(
                f"UDP port {wanted.listen_port} leads to the gateway of {other.owner} already; choose another"
                " `wgmesh:mesh.listenPort` for one of the two meshes"
            )


def _overlap(one: str, other: str) -> bool:
    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and first.overlaps(second)


def _instance(owner: Owner, others: Iterable[Record], known: Known) -> str:
    if known.exists and known.claim is None:
        return ""
    if known.exists:
        return known.instance
    return owner.id[:8] if any(other.instance == "" for other in others) else ""
