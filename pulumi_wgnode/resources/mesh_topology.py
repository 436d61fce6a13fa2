"""MeshTopology: the whole mesh as one resource. Who has which id and address, the keys, and one sealed bundle a site.

Nothing outside the state belongs to it, so its old inputs are what it is compared with, and what it knows comes back
only through `update`. What a site was given once stays its own (mesh_state.py): no change of configuration makes
another of it, and there is none that replaces the resource. Why one resource: docs/decisions/one-mesh-topology.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pulumi_wgnode import recovery, seal
from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Diff, Imported, Properties, PropertyChange, Secret, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts.mesh_topology import CONTRACT
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.resources import mesh_notes
from pulumi_wgnode.resources.compare import changed, join
from pulumi_wgnode.resources.inputs import validated
from pulumi_wgnode.resources.mesh_state import Known, require_understood, resting
from wgnode.nodeconfig import KEY_LENGTH, decode_key, encode_key
from wgnode.topology import history
from wgnode.topology.allocate import Allocation, allocate
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import FOUND, MeshSpec, Topology, TopologyError
from wgnode.topology.plan import decide
from wgnode.topology.validate import mesh_problems

FIRST_EPOCH = 1
OUTPUTS = tuple(name for name in CONTRACT.produced if name != "written")


class MeshTopology:
    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def check(self, news: Properties, olds: Properties) -> Properties:
        checked = validated(CONTRACT.inputs, news)
        if failures := [(problem.path, problem.message) for problem in mesh_problems(checked)]:
            raise CheckError(failures)
        return checked

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        known = Known.of(state)
        if not has_unknown(news):
            spec = MeshSpec.from_dict(news)
            _judge(spec, known)
            self._tell(spec, known)
        return Diff((*_changes(old_inputs, news), *_taken_over(news, known)))

    def _tell(self, spec: MeshSpec, known: Known) -> None:
        """Once a process, hence once a preview or update: its refresh compares too."""
        notes = {(spec.name, note): Severity.INFO for note in mesh_notes.foreseen(spec, known)}
        notes |= {(spec.name, note): Severity.WARNING for note in mesh_notes.warnings(spec, known)}
        for (mesh, note), severity in notes.items():
            if (mesh, note) not in self._told:
                log(note, severity)
        self._told |= notes.keys()

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            _judge(MeshSpec.from_dict(inputs), Known())
            return "", _public(inputs) | dict.fromkeys(OUTPUTS, UNKNOWN)
        return name, _renewed(inputs, {})

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported:
        require_understood(state)
        if "privateKeys" in state:
            return _wrapped(state), inputs
        if id.startswith(recovery.PREFIX):
            return self._imported(recovery.read(id))
        raise ExplainedError(
            f"cannot import {id}: a mesh's keys exist only in its stack's state and on its hosts; bring the state back"
            " from a backup with `pulumi stack import`, read the keys from the hosts with `wgnode mesh recover`, or"
            " let `pulumi up` make a new mesh"
        )

    def _imported(self, found: recovery.Recovery) -> Imported:
        """The state that made the mesh which the hosts have."""
        inputs = self.check(dict(found.inputs), {})
        return Imported(found.name, _renewed(inputs, found.state()), inputs)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        return _foreseen(inputs, state) if preview else _renewed(inputs, state)

    def delete(self, id: str, state: Properties) -> None:
        """The keys go with the state; there is nothing else."""


def _judge(spec: MeshSpec, known: Known) -> None:
    """Raises CheckError for what doesn't fit what there was."""
    names = {name: one.renamed_from for name, one in known.allocations.items()}
    steps = {name: known.allocations[name].labels for name in known.present}
    if found := list(history.problems(spec, names, steps, known.forgotten)):
        raise CheckError([(problem.path, problem.message) for problem in found])


def _allocated(spec: MeshSpec, known: Known) -> dict[str, Allocation]:
    """Raises CheckError when the tunnel is full of sites that are there and that rest."""
    try:
        return allocate(spec, known.allocations, os.urandom)
    except TopologyError as error:
        raise CheckError([("tunnel", str(error))]) from None


def _renewed(inputs: Properties, state: Properties) -> Properties:
    """The state for these inputs: what was decided before stays, what is missing is made."""
    spec, known = MeshSpec.from_dict(inputs), Known.of(state)
    _judge(spec, known)
    allocations = _allocated(spec, known)
    keys = _moved_keys(known, allocations)
    keys |= {name: [_new_private_key()] for name in sorted(spec.sites) if name not in keys}
    secret = state.get("meshSecret") or encode_key(os.urandom(KEY_LENGTH))
    topology = _decide(spec, state, allocations, keys, known.listened)
    old_bundles = state.get("bundles", {})
    bundles = {
        name: seal.reseal(old_bundles.get(name), _bundle(topology, name, keys[name], secret), site.recipient)
        for name, site in sorted(spec.sites.items())
    }
    return _decided(inputs, spec, topology, bundles, allocations, keys, secret)


def _foreseen(inputs: Properties, state: Properties) -> Properties:
    """The outputs as far as a preview can know them: a new site's id and key, and a bundle to seal, only come with
    `up`."""
    spec, known = MeshSpec.from_dict(inputs), Known.of(state)
    _judge(spec, known)
    allocations = _allocated(spec, known)
    keys = _moved_keys(known, allocations)
    if known.without_ids or not spec.sites.keys() <= keys.keys():
        return _wrapped(state | _public(inputs) | dict.fromkeys(OUTPUTS, UNKNOWN) | {"meshSecret": state["meshSecret"]})
    topology = _decide(spec, state, allocations, keys, known.listened)
    secret = state["meshSecret"]
    same = spec.sites.keys() == state["bundles"].keys() and all(
        seal.is_current(state["bundles"][name], _bundle(topology, name, keys[name], secret), site.recipient)
        for name, site in spec.sites.items()
    )
    return _decided(inputs, spec, topology, state["bundles"] if same else UNKNOWN, allocations, keys, secret)


def _decided(
    inputs: Properties,
    spec: MeshSpec,
    topology: Topology,
    bundles: Any,
    allocations: Mapping[str, Allocation],
    keys: Mapping[str, list[str]],
    secret: str,
) -> Properties:
    public = {name: [encode_key(_public_key(key)) for key in pair] for name, pair in keys.items()}
    decided = {
        "topology": topology.to_dict(),
        "bundles": bundles,
        "resting": resting(spec, allocations, public),
        "forgotten": sorted(set(spec.forget)),
    }
    return _wrapped(_public(inputs) | decided | {"privateKeys": dict(keys), "meshSecret": secret})


def _moved_keys(known: Known, allocations: Mapping[str, Allocation]) -> dict[str, list[str]]:
    """Private keys by name, of sites that rest too: keys belong to an id, whatever its name is now."""
    made_for = {
        (one.id, one.key_generation): known.private_keys[name]
        for name, one in known.allocations.items()
        if name in known.private_keys
    }
    kept = {name: made_for.get((one.id, one.key_generation)) for name, one in sorted(allocations.items())}
    return {name: keys for name, keys in kept.items() if keys}


def _decide(
    spec: MeshSpec,
    state: Properties,
    allocations: Mapping[str, Allocation],
    keys: Mapping[str, list[str]],
    listened: Set[int],
) -> Topology:
    public = {name: tuple(_public_key(key) for key in keys[name]) for name in spec.sites}
    return decide(spec, allocations, public, state.get("topology", {}).get("epoch", FIRST_EPOCH), listened)


def _bundle(topology: Topology, site: str, keys: list[str], secret: str) -> Bundle:
    pair = tuple(decode_key(key) for key in keys)
    return Bundle(topology.mesh, site, pair, decode_key(secret), topology.epoch, topology.sites[site].id)


def _taken_over(news: Properties, known: Known) -> Iterator[PropertyChange]:
    """A state of an older version is a difference, though nothing of the configuration is."""
    sites = news.get("sites")
    if known.without_ids and isinstance(sites, dict):
        yield from (PropertyChange(f"sites.{name}.id", kind="ADD") for name in sorted(sites))
    elif known.unset_mtu_unsaid:
        yield from (PropertyChange(name, kind="ADD") for name in FOUND)


def _public(inputs: Properties) -> Properties:
    """Inputs that are repeated as outputs: not `sites`, whose recipient keys are as long as their bundles."""
    return {name: value for name, value in inputs.items() if name not in CONTRACT.unrepeated}


def _wrapped(state: Properties) -> Properties:
    secret = {name: Secret(state[name]) for name in CONTRACT.secrets if state.get(name) is not UNKNOWN}
    return state | secret


def _new_private_key() -> str:
    return encode_key(X25519PrivateKey.generate().private_bytes_raw())


def _public_key(private: str) -> bytes:
    return X25519PrivateKey.from_private_bytes(decode_key(private)).public_key().public_bytes_raw()


def _changes(old: Any, new: Any, path: str = "", depth: int = 3) -> Iterator[PropertyChange]:
    """Down to a site's properties, and their elements ("sites.cabin.lans[1]"); a new or gone site is one change."""
    if old == new:
        return
    if depth and isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(name), new.get(name), join(path, name), depth - 1)
    elif isinstance(old, list) and isinstance(new, list):
        yield from changed(old, new, path)
    else:
        yield PropertyChange(path, kind="ADD" if old is None else "DELETE" if new is None else "UPDATE")
