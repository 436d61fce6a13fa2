"""What a preview of the mesh says in words, beside the differences that it shows by path."""

from __future__ import annotations

from collections.abc import Iterator

from pulumi_wgnode.resources.mesh_state import Known
from wgnode.topology import history, mtu, reached
from wgnode.topology.allocate import Allocation
from wgnode.topology.model import MeshSpec


def foreseen(spec: MeshSpec, known: Known) -> Iterator[str]:
    """Judged before; the same at every preview and `up`, as long as it is so."""
    if known.without_ids:
        yield _taken_over(sorted(known.present))
    moves = history.renames(spec, {name: one.renamed_from for name, one in known.allocations.items()})
    for name, source in moves.items():
        yield f"site {source!r} becomes {name!r}: id, keys, index and MAC address go with it"
    gone = [name for name in sorted(known.allocations) if name not in spec.sites and name not in moves.values()]
    for name in gone:
        yield _gone(name, known.allocations[name], spec, known)
    unset = [name for name, one in sorted(spec.sites.items()) if not (one.mtu or spec.mtu)]
    if known.unset_mtu_unsaid and unset:
        yield _mtu_found(unset)


def warnings(spec: MeshSpec, known: Known) -> Iterator[str]:
    """What works after this update, and not for long. At every preview and `up`, as long as it is so."""
    for name, site in sorted(spec.sites.items()):
        for port in sorted(known.listened):
            if said := reached.former_port(name, site.endpoint, spec.listen_port, port):
                yield said


def _taken_over(names: list[str]) -> str:
    return (
        f"this mesh is from before sites had ids: {', '.join(names)} get one each. Names, indices, addresses, keys and"
        " MAC addresses stay, and no gateway restarts: with each site's next `up` its node accepts the pre-shared keys"
        " that derive from ids beside those of now, in any order of the sites"
    )


def _mtu_found(names: list[str]) -> str:
    return (
        f"{', '.join(names)}: nobody has set an `mtu`, so the tunnel had {mtu.UNSEARCHED}; after this `up` it has up to"
        f" {mtu.LARGEST}, as far as the way to each peer carries it, with each site's own next `up` and live; who wants"
        f" {mtu.UNSEARCHED} gives `mtu: {mtu.UNSEARCHED}`"
    )


def _gone(name: str, one: Allocation, spec: MeshSpec, known: Known) -> str:
    has = f"index {one.index}" + ("" if name in known.private_keys else ", its private key is lost")
    if name in spec.forget:
        return f"site {name!r} ({has}) is forgotten: its id, keys and index end, and nothing brings them back"
    verb = "leaves and rests" if name in known.present else "rests"
    return (
        f"site {name!r} {verb} ({has}): it comes back as it was when it stands under `sites` again, and its index is"
        f" given to nobody else; to give it up for good: `forget: [{name}]`"
    )
