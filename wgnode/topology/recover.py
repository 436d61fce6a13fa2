"""A mesh out of what its hosts still have: each gateway's configuration, secrets and opened bundle. Pure.

What hosts say must fit together: one mesh, one tunnel, no index twice, keys that belong to their public halves. A host
that is merely behind (it did not have its `up` after a change of the mesh) is no contradiction: each site's own word
counts for its keys, most peers' word for its LANs and its endpoint, and the difference is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network
from itertools import takewhile
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.nodeconfig import NodeConfig, NodeSecrets, PeerConfig
from wgnode.topology import labels, presharedkey
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import Network, TopologyError

Said = TypeVar("Said")


class RecoveryError(TopologyError):
    """What the hosts have is not one mesh; `problems` has all reasons, each with the way out."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, repr=False)
class Remains:
    """What the host of `site`, as its stack calls it, still has of its gateway. `bundle` is None if it can't be read.

    `label` says where it comes from ("stack dev-berlin"), for messages; `recorded_id` is the host's own record of whose
    gateway it has, `former` the name that the site had before, which its host may still have.
    """

    site: str
    label: str
    config: NodeConfig
    secrets: NodeSecrets | None
    bundle: Bundle | None = None
    recorded_id: str | None = None
    former: str | None = None

    @property
    def id(self) -> str | None:
        return self.recorded_id or (self.bundle.id if self.bundle else None)


@dataclass(frozen=True, repr=False)
class RecoveredSite:
    """`private_keys` is empty for a site whose host is lost; then `lans` and `endpoint` are what its peers know.

    `id` is None where its host has none (it is older than ids, or lost), `lan_mac` where the host is lost. `labels` are
    those of the pre-shared keys that it has with others.
    """

    index: int
    lans: tuple[str, ...]
    endpoint: str | None
    private_keys: tuple[bytes, ...] = ()
    id: str | None = None
    lan_mac: str | None = None
    labels: tuple[int, ...] = labels.NEW


@dataclass(frozen=True, repr=False)
class RecoveredMesh:
    """`keepalive` is None where no site has one, `mesh_secret` where no bundle was readable. `warnings` are for people:
    what differs between hosts, and what that means."""

    name: str
    tunnel: tuple[Network, ...]
    listen_port: int
    keepalive: int | None
    epoch: int | None
    mesh_secret: bytes | None
    sites: Mapping[str, RecoveredSite]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Sighting:
    """A peer as one site's configuration has it."""

    by: str
    peer: PeerConfig


def recover(remains: Sequence[Remains], lost: Collection[str] = ()) -> RecoveredMesh:
    """`lost` names the sites whose hosts are dead. Raises RecoveryError with everything that does not fit together."""
    if not remains:
        raise RecoveryError(["no host has a gateway's configuration, so there is nothing to recover a mesh from"])
    if problems := [*_mesh_problems(remains), *_key_problems(remains)]:
        raise RecoveryError(problems)
    remains = _under_their_names(remains)
    tunnel = _tunnel(remains[0].config)
    seen = _sightings(remains)
    alive = {one.site: one for one in remains}
    if problems := [
        *_unknown(alive, lost, seen),
        *_index_problems(tunnel, alive, seen),
        *_id_problems(remains),
        *_secret_problems(remains),
    ]:
        raise RecoveryError(problems)
    newest = max((one.bundle for one in remains if one.bundle), key=lambda bundle: bundle.epoch, default=None)
    warnings: list[str] = []
    sites = {}
    for name in sorted({*alive, *lost}):
        facts = _facts(name, alive.get(name), seen.get(name, []), tunnel, warnings)
        index = next(_indices(tunnel, name, alive.get(name), seen.get(name, [])))[1]
        sites[name] = RecoveredSite(index, *facts)
        if own := alive.get(name):
            used = _labels(own, alive, newest) if newest else labels.NEW
            sites[name] = replace(
                sites[name], private_keys=_private_keys(own), id=own.id, lan_mac=own.config.lan.mac, labels=used
            )
    warnings += _stale_keys(alive, seen)
    if newest:
        warnings += _stale_preshared_keys(alive, newest)
    return RecoveredMesh(
        name=remains[0].config.mesh,
        tunnel=tunnel,
        listen_port=_listen_port(remains, warnings),
        keepalive=max((peer.persistent_keepalive for one in remains for peer in one.config.peers), default=0) or None,
        epoch=newest.epoch if newest else None,
        mesh_secret=newest.mesh_secret if newest else None,
        sites=sites,
        warnings=tuple(warnings),
    )


# What can't be: one mesh, each site once


def _mesh_problems(remains: Sequence[Remains]) -> Iterator[str]:
    first = remains[0]
    taken: dict[str, str] = {}
    for one in remains:
        if one.config.name not in (one.site, one.former):
            yield (
                f"{one.label}: its host runs the gateway of site {one.config.name!r}, not of {one.site!r}; correct"
                " site.host.address in its stack file"
            )
        elif (other := taken.setdefault(one.site, one.label)) != one.label:
            yield f"{other} and {one.label} are both of site {one.site!r}; name one of them by --stack"
        for what, mine, others in (
            ("mesh", one.config.mesh, first.config.mesh),
            ("tunnel", _listed(_tunnel(one.config)), _listed(_tunnel(first.config))),
        ):
            if mine != others:
                yield (
                    f"{one.label} has {what} {mine}, {first.label} has {others}: not one mesh; recover those that"
                    " belong together, by --stack, or bring the one that is behind up to date first"
                )


def _key_problems(remains: Sequence[Remains]) -> Iterator[str]:
    for one in remains:
        if one.secrets is None and one.bundle is None:
            yield (
                f"site {one.site!r}: its host has no private key any more (neither secrets nor a bundle); take what its"
                f" peers know of it by --lost {one.site}, then it gets a new key"
            )
        elif not _private_keys(one):
            yield (
                f"site {one.site!r}: the private key on its host is not that of its configuration, so one of both is"
                f" not its own; --lost {one.site} gives it a new key"
            )


def _unknown(alive: Collection[str], lost: Collection[str], seen: Mapping[str, Sequence[_Sighting]]) -> Iterator[str]:
    for name in sorted(seen.keys() - {*alive, *lost}):
        yield (
            f"site {name!r} is a peer of {_listed(sighting.by for sighting in seen[name])}, but its host was not asked:"
            f" name its stack too, or, when its host is dead or it has left the mesh, --lost {name}"
        )
    for name in sorted({*lost} - seen.keys()):
        yield f"--lost {name}: no host has a peer of that name"


def _index_problems(
    tunnel: Sequence[Network], alive: Mapping[str, Remains], seen: Mapping[str, Sequence[_Sighting]]
) -> Iterator[str]:
    owners: dict[int, str] = {}
    for name in sorted({*alive, *seen}):
        found = dict[int, str]()
        for who, index in _indices(tunnel, name, alive.get(name), seen.get(name, [])):
            found.setdefault(index, who)
        if not found:
            yield f"site {name!r} has no address in the tunnel {_listed(tunnel)} for anybody"
        if len(found) > 1:
            listed = ", ".join(f"{index} for {who}" for index, who in sorted(found.items()))
            yield f"site {name!r} has several indices in the tunnel: {listed}; addresses never change, so ask which is"
        for index in found:
            if (other := owners.setdefault(index, name)) != name:
                yield f"sites {other!r} and {name!r} have the same index {index} in the tunnel; --lost one of them"


def _id_problems(remains: Sequence[Remains]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for one in remains:
        if one.recorded_id and one.bundle and one.bundle.id and one.bundle.id != one.recorded_id:
            yield (
                f"site {one.site!r}: its host's record says id {one.recorded_id}, its bundle {one.bundle.id}; one of"
                f" both is another site's: --lost {one.site} gives it a new id and key"
            )
        if one.id and (other := owners.setdefault(one.id, one.site)) != one.site:
            yield f"sites {other!r} and {one.site!r} have the same id {one.id}; --lost one of them"


def _secret_problems(remains: Sequence[Remains]) -> Iterator[str]:
    found: dict[int, Remains] = {}
    for one in remains:
        if one.bundle is None:
            continue
        first = found.setdefault(one.bundle.epoch, one)
        assert first.bundle is not None
        if first.bundle.mesh_secret != one.bundle.mesh_secret:
            yield (
                f"the bundles of {first.site!r} and {one.site!r} have different mesh secrets of the same epoch"
                f" {one.bundle.epoch}, so they are of two meshes; recover one, with --lost for the sites of the other"
            )


# What is known of a site


def _under_their_names(remains: Sequence[Remains]) -> list[Remains]:
    """A site that was renamed is still known by its old name to who had no `up` since: its key says who it is."""
    names = {key: one.site for one in remains for key in one.config.public_keys}
    return [replace(one, config=_renamed(one.config, one.site, names)) for one in remains]


def _renamed(config: NodeConfig, own: str, names: Mapping[bytes, str]) -> NodeConfig:
    peers = (replace(peer, name=names.get(peer.public_keys[0], peer.name)) for peer in config.peers)
    return replace(config, name=own, peers=tuple(peers))


def _sightings(remains: Sequence[Remains]) -> dict[str, list[_Sighting]]:
    seen: dict[str, list[_Sighting]] = {}
    for one in remains:
        for peer in one.config.peers:
            seen.setdefault(peer.name, []).append(_Sighting(one.site, peer))
    return seen


def _indices(
    tunnel: Sequence[Network], name: str, own: Remains | None, sightings: Iterable[_Sighting]
) -> Iterator[tuple[str, int]]:
    """(who says so, index), of every address of a site in the tunnel."""
    if own:
        for text in own.config.addresses:
            yield from ((f"{name} itself", index) for index in _index_of(tunnel, text.split("/")[0]))
    for sighting in sightings:
        for text in sighting.peer.allowed_ips:
            network = ip_network(text)
            if network.prefixlen == network.max_prefixlen:
                yield from ((sighting.by, index) for index in _index_of(tunnel, str(network.network_address)))


def _index_of(tunnel: Iterable[Network], address: str) -> Iterator[int]:
    return (int(ip_address(address)) - int(net.network_address) for net in tunnel if ip_address(address) in net)


def _facts(
    name: str, own: Remains | None, sightings: Sequence[_Sighting], tunnel: Sequence[Network], warnings: list[str]
) -> tuple[tuple[str, ...], str | None]:
    """(LANs, endpoint): what most peers have; of a site that no peer is left of, what its own LAN interface shows."""
    if not sightings and own:
        warnings.append(
            f"no other host knows site {name!r}: its LANs are those of its own interface, its endpoint is in the mesh's"
            " stack file only"
        )
        return _sorted(str(ip_interface(text).network) for text in own.config.lan.addresses), None
    lans = _agreed(name, "LANs", [(s.by, _lans(s.peer, tunnel)) for s in sightings], warnings)
    endpoint = _agreed(name, "endpoint", [(s.by, s.peer.endpoint) for s in sightings], warnings)
    for text in own.config.lan.addresses if own else ():
        if str(ip_interface(text).network) not in lans:
            warnings.append(
                f"site {name!r} has {text} in its LAN, which its peers do not know; its or their next `up` mends that"
            )
    return lans, endpoint


def _agreed(name: str, what: str, said: Sequence[tuple[str, Said]], warnings: list[str]) -> Said:
    counted = Counter(value for _, value in said)
    chosen = min(counted, key=lambda value: (-counted[value], str(value)))
    if len(counted) > 1:
        listed = "; ".join(f"{by} has {_listed(v) if isinstance(v, tuple) else v or 'none'}" for by, v in said)
        warnings.append(
            f"the peers of site {name!r} differ about its {what} ({listed}); the next `up` of each mends it"
        )
    return chosen


def _lans(peer: PeerConfig, tunnel: Sequence[Network]) -> tuple[str, ...]:
    outside = (net for net in map(ip_network, peer.allowed_ips) if not any(_in(net, prefix) for prefix in tunnel))
    return _sorted(map(str, outside))


def _in(network: Network, prefix: Network) -> bool:
    return network.version == prefix.version and network.network_address in prefix


def _private_keys(one: Remains) -> tuple[bytes, ...]:
    """Those that belong to the configuration; () if none do. Secrets and bundle differ after half an `up`."""
    for keys in (one.secrets.private_keys if one.secrets else (), one.bundle.private_keys if one.bundle else ()):
        if keys and tuple(map(_public_of, keys)) == one.config.public_keys:
            return keys
    return ()


def _listen_port(remains: Sequence[Remains], warnings: list[str]) -> int:
    return _agreed("of the mesh", "port", [(one.site, one.config.listen_port) for one in remains], warnings)


# Who is behind


def _stale_keys(alive: Mapping[str, Remains], seen: Mapping[str, Sequence[_Sighting]]) -> Iterator[str]:
    for name, own in sorted(alive.items()):
        for sighting in seen.get(name, []):
            if sighting.peer.public_keys != own.config.public_keys:
                yield (
                    f"site {sighting.by!r} has another public key of {name!r} than {name} itself, so the two don't talk"
                    f" now; the next `up` of {sighting.by} mends that"
                )


def _stale_preshared_keys(alive: Mapping[str, Remains], bundle: Bundle) -> Iterator[str]:
    """Pairs whose pre-shared key will change, because it is none that the bundle gives."""
    for one in alive.values():
        for peer in one.config.peers if one.secrets else ():
            if not _pair_labels(one, peer, alive.get(peer.name), bundle)[:1]:
                yield (
                    f"site {one.site!r} has another pre-shared key with {peer.name!r} than the mesh secret gives; its"
                    f" next `up` changes it, and until {peer.name} had its own the two may not talk"
                )


def _labels(own: Remains, alive: Mapping[str, Remains], bundle: Bundle) -> tuple[int, ...]:
    """Those that it has with most peers as old as itself: with younger ones it only ever had the new label."""
    pairs = [_pair_labels(own, peer, alive.get(peer.name), bundle) for peer in own.config.peers if own.secrets]
    old = Counter(pair for pair in pairs if 1 in pair)
    return min(old, key=lambda pair: (-old[pair], pair)) if old else labels.NEW


def _pair_labels(own: Remains, peer: PeerConfig, there: Remains | None, bundle: Bundle) -> tuple[int, ...]:
    """The labels of a site's pre-shared keys with a peer, in its order, up to the first of unknown origin."""
    assert own.secrets is not None
    secret, epoch = bundle.mesh_secret, bundle.epoch
    label = {presharedkey.of_keys(secret, epoch, own.config.public_keys[0], peer.public_keys[0]): 1}
    if own.id and there and there.id:
        label[presharedkey.of_ids(secret, epoch, own.id, there.id)] = 2
    keys = own.secrets.preshared_keys.get(peer.public_keys[0], ())
    return tuple(takewhile(bool, (label.get(key, 0) for key in keys)))


def _tunnel(config: NodeConfig) -> tuple[Network, ...]:
    found = (ip_interface(text).network for text in config.addresses)
    return tuple(sorted(found, key=lambda network: network.version))


def _public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _sorted(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found), key=lambda text: (ip_network(text).version, ip_network(text).network_address)))


def _listed(items: Iterable[object]) -> str:
    return ", ".join(map(str, items)) or "none"
