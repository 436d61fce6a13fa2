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
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.nodeconfig import NodeConfig, PeerConfig
from wgnode.topology import labels
from wgnode.topology.model import Network
from wgnode.topology.recover_identity import id_problems, labels_of, stale_preshared_keys, under_their_names
from wgnode.topology.remains import RecoveredMesh, RecoveredSite, RecoveryError, Remains

Said = TypeVar("Said")


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
    remains = under_their_names(remains)
    tunnel = _tunnel(remains[0].config)
    seen = _sightings(remains)
    alive = {one.site: one for one in remains}
    if problems := [
        *_unknown(alive, lost, seen),
        *_index_problems(tunnel, alive, seen),
        *id_problems(remains),
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
            used = labels_of(own, alive, newest) if newest else labels.NEW
            sites[name] = replace(
                sites[name],
                private_keys=_private_keys(own),
                id=own.id,
                lan_mac=own.config.lan.mac,
                labels=used,
                mtu=own.config.mtu,
            )
    warnings += _stale_keys(alive, seen)
    if newest:
        warnings += stale_preshared_keys(alive, newest)
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


def _tunnel(config: NodeConfig) -> tuple[Network, ...]:
    found = (ip_interface(text).network for text in config.addresses)
    return tuple(sorted(found, key=lambda network: network.version))


def _public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _sorted(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found), key=lambda text: (ip_network(text).version, ip_network(text).network_address)))


def _listed(items: Iterable[object]) -> str:
    return ", ".join(map(str, items)) or "none"
