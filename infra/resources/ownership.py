"""Who may make, change and delete a gateway's things on a host: judged by its owner records (infra/hosts/owners.py).

`decide` and `may_delete` are pure. A creation stamps a new claim for its kind into the record; a deletion whose claim
is no longer there leaves everything, because another resource has taken it over: that is what makes renamed resources,
changed parents and components of components lose nothing, the engine making the new ones before it deletes the old.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import version
from ipaddress import ip_network
from typing import Literal

from pydantic import Field

from infra.hosts import owners
from infra.hosts.host import Host, HostError
from infra.hosts.owners import Owner, Record, Seen
from infra.hosts.query import answer
from infra.provider.codec import has_unknown
from infra.provider.kind import Properties, PropertyChange
from infra.provider.log import Severity, log
from infra.resources.inputs import Inputs
from wgnode.image import layers
from wgnode.image.paths import PLAIN

ResourceKind = Literal["host", "firewall", "gateway"]


class SiteInputs(Inputs):
    """Whose resource it is."""

    id: str = Field(pattern=r"^[0-9a-f]{16}$", description="the site's, from its allocation in the mesh, for ever")
    mesh: str
    name: str


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


@dataclass(frozen=True)
class Taken:
    """What was judged to be ours: the record as it is to be."""

    kind: ResourceKind
    record: Record
    seen: Seen

    def stamp(self, host: Host) -> Properties:
        """Write the record with our claim, before anything else; what the state keeps of it. Raises HostError."""
        if self.record != self.seen.of(self.record.owner.id):
            owners.write(host, self.record)
            _require_alone(host, self.record)
        claim = self.record.claims[self.kind]
        return {"claim": claim, "machineId": self.seen.machine, "owner": described(self.record, self.kind)}


def judge(host: Host, kind: ResourceKind, wanted: Wanted, known: Known) -> Taken:
    """Whether the gateway there is ours to make or change. Raises HostError, which names whose it is."""
    seen = answer(host, owners.QUERY)
    try:
        decided = decide(seen, wanted, known)
    except HostError as error:
        raise HostError(f"host {host.name}: {error}") from None
    token = known.claim or secrets.token_hex(8)
    return Taken(kind, replace(decided, claims={**decided.claims, kind: token}), seen)


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


def release(host: Host, kind: ResourceKind, state: Properties) -> Seen | None:
    """What the host has, where the resource's own things may be deleted; None, having said why, where not."""
    seen = answer(host, owners.QUERY)
    if reason := may_delete(seen, owner_of(state), kind, Known.of(state)):
        log(f"host {host.name}: the {kind} there stays as it is: {reason}", Severity.WARNING)
        return None
    return seen


def forget(host: Host, kind: ResourceKind, state: Properties, seen: Seen) -> None:
    """The resource is gone: so is its claim."""
    owner = owner_of(state)
    record = seen.of(owner.id) if owner else None
    if record is None or kind not in record.claims:
        return
    left = {one: token for one, token in record.claims.items() if one != kind}
    if left:
        owners.write(host, replace(record, claims=left))
    else:
        owners.remove(host, record.owner.id)


def others(seen: Seen, owner: Owner | None) -> bool:
    """Whether the host has other gateways than ours; a record that can't be read is another's."""
    return any(owner is None or one.owner.id != owner.id for one in seen.records) or any(
        owner is None or id != owner.id for id in seen.damaged
    )


def kept(state: Properties) -> Properties:
    """What a resource has of its ownership."""
    return {name: state[name] for name in ("claim", "machineId", "owner") if name in state}


def announce(inputs: Properties, known: Known) -> None:
    """In a preview: what becomes of a resource of a version without owner records."""
    if known.exists and known.claim is None and (owner := owner_of(inputs)):
        log(
            f"made by a version that kept no owner records: taken over as {owner}; nothing is restarted for that",
            Severity.INFO,
        )


def found(seen: Seen, kind: ResourceKind, inputs: Properties, instance: str) -> str | None:
    """The record as `described`, "" for none; None where what is there belongs to somebody else.

    Inputs of versions without owner records don't say whose they are: the next update does.
    """
    owner = owner_of(inputs)
    if owner is None:
        return ""
    if (record := seen.of(owner.id)) is not None:
        return described(record, kind)
    return None if seen.at(instance) is not None else ""


def claimed(seen: Seen, kind: ResourceKind, state: Properties) -> bool:
    """Whether the record has the resource's claim: it is still there, if only as what a deletion cut short has left."""
    owner = owner_of(state)
    record = seen.of(owner.id) if owner else None
    return record is not None and "claim" in state and record.claims.get(kind) == state["claim"]


def differences(state: Properties, news: Properties, kind: ResourceKind) -> list[PropertyChange]:
    """Where the record on the host is not ours any more, or says something else of us."""
    owner = owner_of(news)
    if owner is None or "owner" not in state:
        return []
    wanted = _described(owner, state.get("claim", ""))
    return [] if state["owner"] == wanted else [PropertyChange("owner", drift=True)]


def replaced(old: Properties, news: Properties) -> tuple[str, ...]:
    """A path for `changed_inputs`: another site is another resource; one whose id was not known is none."""
    return ("site.id",) if (old.get("site") or {}).get("id") and "site" in news else ()


def owner_of(properties: Properties) -> Owner | None:
    """None in states of versions without owner records, and where it is not known yet."""
    site = properties.get("site")
    if not isinstance(site, dict) or has_unknown(site):
        return None
    return Owner(site["id"], site["mesh"], site["name"])


def id_of(properties: Properties, otherwise: str) -> str:
    """The resource's id: its site's, which one of an older version gets when it is next read."""
    owner = owner_of(properties)
    return owner.id if owner else otherwise


def described(record: Record, kind: ResourceKind) -> str:
    return _described(record.owner, record.claims.get(kind, ""))


def _described(owner: Owner, claim: str) -> str:
    return f"{owner}, claim {claim or 'none'}"


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


def _require_alone(host: Host, record: Record) -> None:
    """Two first deployments at once may have chosen the same: the one with the greater id gives way."""
    for other in answer(host, owners.QUERY).records:
        same = other.instance == record.instance or other.protocol == record.protocol
        if same and other.owner.id < record.owner.id:
            host.remove(record.path)
            raise HostError(f"host {host.name}: {other.owner} is being deployed at the same time; run it again")


_WAY_OUT = (
    "nothing was changed. Correct wgmesh:site.host.address in this stack's file, or `pulumi destroy` the stack of that"
    " site first"
)


def wanted(inputs: Properties) -> Wanted:
    """Of a resource that needs no more of a host than its host's resource has taken."""
    owner = owner_of(inputs)
    assert owner is not None  # check has seen to it
    return Wanted(owner)


def moved(state: Properties, inputs: Properties) -> bool:
    """Whether it is to be reached at another address."""
    return bool(state) and bool(state["connection"]["address"] != inputs["connection"]["address"])
