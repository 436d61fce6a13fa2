"""Who is who among the hosts of a lost mesh: names, ids, and which pre-shared keys they have with each other. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from wgnode.nodeconfig import NodeConfig, PeerConfig
from wgnode.topology import labels, presharedkey
from wgnode.topology.bundle import Bundle
from wgnode.topology.remains import Remains


def under_their_names(remains: Sequence[Remains]) -> list[Remains]:
    """A site that was renamed is still known by its old name to who had no `up` since: its key says who it is."""
    names = {key: one.site for one in remains for key in one.config.public_keys}
    return [replace(one, config=_renamed(one.config, one.site, names)) for one in remains]


def _renamed(config: NodeConfig, own: str, names: Mapping[bytes, str]) -> NodeConfig:
    peers = (replace(peer, name=names.get(peer.public_keys[0], peer.name)) for peer in config.peers)
    return replace(config, name=own, peers=tuple(peers))


def id_problems(remains: Sequence[Remains]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for one in remains:
        if one.recorded_id and one.bundle and one.bundle.id and one.bundle.id != one.recorded_id:
            yield (
                f"site {one.site!r}: its host's record says id {one.recorded_id}, its bundle {one.bundle.id}; one of"
                f" both is another site's: --lost {one.site} gives it a new id and key"
            )
        if one.id and (other := owners.setdefault(one.id, one.site)) != one.site:
            yield f"sites {other!r} and {one.site!r} have the same id {one.id}; --lost one of them"


def stale_preshared_keys(alive: Mapping[str, Remains], bundle: Bundle) -> Iterator[str]:
    """Pairs whose pre-shared key will change, because it is none that the bundle gives."""
    for one in alive.values():
        for peer in one.config.peers if one.secrets else ():
            if not _pair_labels(one, peer, alive.get(peer.name), bundle)[:1]:
                yield (
                    f"site {one.site!r} has another pre-shared key with {peer.name!r} than the mesh secret gives; its"
                    f" next `up` changes it, and until {peer.name} had its own the two may not talk"
                )


def labels_of(own: Remains, alive: Mapping[str, Remains], bundle: Bundle) -> tuple[int, ...]:
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
