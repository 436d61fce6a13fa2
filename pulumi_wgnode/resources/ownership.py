"""Who may make, change and delete a gateway's things on a host: judged by its owner records (hosts/owners.py).

The judging itself is pure, in owner_judgement.py. A creation stamps a new claim for its kind into the record; a
deletion whose claim is no longer there leaves everything, because another resource has taken it over: that is what
makes renamed resources, changed parents and components of components lose nothing, the engine making the new ones
before it deletes the old.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from pulumi_wgnode.call.kind import Properties, PropertyChange, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.owners import Owner, Record, Seen
from pulumi_wgnode.hosts.packages import supported
from pulumi_wgnode.hosts.query import answer, ask
from pulumi_wgnode.resources.owner_judgement import Known, ResourceKind, Wanted, decide, may_delete

_leaving: set[str] = set()
"""The provider's process is of one run of the engine."""


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


def leaves(state: Properties) -> None:
    """In a preview: a resource of that owner is to be replaced, so that its record is gone before another is made."""
    if owner := owner_of(state):
        _leaving.add(owner.id)


def foresee(host: Host, kind: ResourceKind, wanted: Wanted, known: Known) -> Taken:
    """As `judge` will once all that leaves has left. Raises HostError."""
    seen = _seen(host)
    stay = tuple(one for one in seen.records if one.owner.id not in _leaving or one.owner.id == wanted.owner.id)
    return _judged(host, kind, replace(seen, records=stay), wanted, known)


def judge(host: Host, kind: ResourceKind, wanted: Wanted, known: Known) -> Taken:
    """Whether the gateway there is ours to make or change. Raises HostError, which names whose it is."""
    return _judged(host, kind, _seen(host), wanted, known)


def _seen(host: Host) -> Seen:
    """What precedes every change: also refuses a host of a system that gateways are not run on. Deletions never do."""
    asked = ask(host, {"release": supported.QUERY, "owners": owners.QUERY})
    supported.require(host.name, asked["release"])
    seen: Seen = asked["owners"]
    return seen


def _judged(host: Host, kind: ResourceKind, seen: Seen, wanted: Wanted, known: Known) -> Taken:
    require_understood(host, seen, wanted.owner)
    try:
        decided = decide(seen, wanted, known)
    except HostError as error:
        raise HostError(f"host {host.name}: {error}") from None
    token = known.claim or secrets.token_hex(8)
    return Taken(kind, replace(decided, claims={**decided.claims, kind: token}), seen)


def require_understood(host: Host, seen: Seen, owner: Owner | None) -> None:
    """Raises HostError where a newer version wrote the gateway's record, or may have: it is that one's to change."""
    if theirs := [id for id in sorted(seen.newer) if owner is None or id == owner.id]:
        raise HostError(f"host {host.name}: {seen.damaged[theirs[0]]}")


def release(host: Host, kind: ResourceKind, state: Properties) -> Seen | None:
    """What the host has, where the resource's own things may be deleted; None, having said why, where not."""
    seen = answer(host, owners.QUERY)
    require_understood(host, seen, owner_of(state))
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


def found(host: Host, seen: Seen, kind: ResourceKind, inputs: Properties, instance: str) -> str | None:
    """The record as `described`, "" for none; None where what is there belongs to somebody else.

    Inputs of versions without owner records don't say whose they are: the next update does. Raises HostError.
    """
    owner = owner_of(inputs)
    require_understood(host, seen, owner)
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


def _require_alone(host: Host, record: Record) -> None:
    """Two first deployments at once may have chosen the same: the one with the greater id gives way."""
    for other in answer(host, owners.QUERY).records:
        same = other.instance == record.instance or other.protocol == record.protocol
        if same and other.owner.id < record.owner.id:
            host.remove(record.path)
            raise HostError(f"host {host.name}: {other.owner} is being deployed at the same time; run it again")


def wanted(inputs: Properties) -> Wanted:
    """Of a resource that needs no more of a host than its host's resource has taken."""
    owner = owner_of(inputs)
    assert owner is not None  # check has seen to it
    return Wanted(owner)


def moved(state: Properties, inputs: Properties) -> bool:
    """Whether it is to be reached at another address."""
    return bool(state) and _address(state) != _address(inputs)


def _address(properties: Properties) -> tuple[str | None, str | None]:
    """What leads to the host, whoever asks from wherever."""
    connection = properties["connection"]
    return connection.get("address"), None if connection.get("address") else connection.get("sshHost")
