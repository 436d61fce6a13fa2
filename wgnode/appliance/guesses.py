"""Where a gateway's searches of path MTUs begin: what is said of its carrier, and what the node before has found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wgnode.appliance.heard import Learned as Heard
from wgnode.io.paths import Paths
from wgnode.io.way_told import Learned
from wgnode.nodeconfig import NodeConfig, decode_key
from wgnode.pathmtu.known import Evidence, Guess


def tell_profile(paths: Paths | None, config: NodeConfig) -> None:
    """Of the network that the node sends into; for ways that begin from now on."""
    if paths is not None:
        up = config.carrier.up if config.carrier else None
        paths.profile = None if up is None else Guess(up, Evidence.PROFILE)


def offer(paths: Paths | None, heard: Mapping[str, Sequence[Heard]]) -> None:
    """What the host remembers, by public key; keys that are none are left out."""
    if paths is not None:
        paths.offer(_learned(heard))


def _learned(heard: Mapping[str, Sequence[Heard]]) -> Iterator[Learned]:
    for text, entries in heard.items():
        try:
            key = decode_key(text)
        except ValueError:
            continue
        for each in entries:
            yield Learned(key, each.family, each.own, each.size, 0.0)
