"""MeshTopology: the whole mesh as one resource. Who has which address, the keys, and one sealed bundle a site.

Nothing outside the state belongs to it, so its old inputs are what it is compared with, and what it knows comes back
only through `update`. Keys and indices are kept by name: no change of configuration makes others of them, and there
is none that replaces the resource. Why one resource: docs/decisions/one-mesh-topology.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from infra import recovery, seal
from infra.config import MeshConfig
from infra.errors import ExplainedError
from infra.provider.kind import UNKNOWN, CheckError, Diff, Imported, Properties, PropertyChange, Secret
from infra.resources.inputs import validated
from wgnode.nodeconfig import KEY_LENGTH, decode_key, encode_key
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import MeshSpec, Topology
from wgnode.topology.plan import decide
from wgnode.topology.validate import mesh_problems

FIRST_EPOCH = 1
OUTPUTS = ("topology", "bundles", "indices", "privateKeys", "meshSecret")
SCHEMA = {
    "inputProperties": {
        "name": {"type": "string"},
        "tunnel": {"type": "object", "additionalProperties": {"type": "string"}},
        "sites": {"type": "object", "additionalProperties": {"$ref": "pulumi.json#/Any"}},
        "keepalive": {"type": "integer"},
        "listenPort": {"type": "integer"},
    },
    "requiredInputs": ["name", "tunnel", "sites"],
    "properties": {
        "name": {"type": "string"},
        "topology": {"$ref": "pulumi.json#/Any"},
        "bundles": {"type": "object", "additionalProperties": {"type": "string"}},
        "indices": {"type": "object", "additionalProperties": {"type": "integer"}},
        "privateKeys": {"$ref": "pulumi.json#/Any", "secret": True},
        "meshSecret": {"type": "string", "secret": True},
    },
    "required": ["name", *OUTPUTS],
}


class MeshTopology:
    def check(self, news: Properties, olds: Properties) -> Properties:
        checked = validated(MeshConfig, news)
        if failures := [(problem.path, problem.message) for problem in mesh_problems(checked)]:
            raise CheckError(failures)
        return checked

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        return Diff(tuple(_changes(old_inputs, news)))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", _public(inputs) | dict.fromkeys(OUTPUTS, UNKNOWN)
        return name, _renewed(inputs, {})

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported:
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
        return Imported(recovery.MESH, _renewed(inputs, found.state()), inputs)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        return _foreseen(inputs, state) if preview else _renewed(inputs, state)

    def delete(self, id: str, state: Properties) -> None:
        """The keys go with the state; there is nothing else."""


def _renewed(inputs: Properties, state: Properties) -> Properties:
    """The state for these inputs: what was decided before stays, what is missing is made."""
    spec = MeshSpec.from_dict(inputs)
    old_keys = state.get("privateKeys", {})
    keys = {name: old_keys.get(name) or [_new_private_key()] for name in sorted(spec.sites)}
    secret = state.get("meshSecret") or encode_key(os.urandom(KEY_LENGTH))
    topology, indices = _decide(spec, state, keys)
    old_bundles = state.get("bundles", {})
    bundles = {
        name: seal.reseal(old_bundles.get(name), _bundle(topology, name, keys[name], secret), site.recipient)
        for name, site in sorted(spec.sites.items())
    }
    decided = {"topology": topology.to_dict(), "bundles": bundles, "indices": indices}
    return _wrapped(_public(inputs) | decided | {"privateKeys": keys, "meshSecret": secret})


def _foreseen(inputs: Properties, state: Properties) -> Properties:
    """The outputs as far as a preview can know them: a new site's key, and a bundle to seal, only come with `up`."""
    spec = MeshSpec.from_dict(inputs)
    keys = {name: state["privateKeys"][name] for name in spec.sites if name in state["privateKeys"]}
    if keys.keys() != spec.sites.keys():
        return _wrapped(state | _public(inputs) | dict.fromkeys(OUTPUTS, UNKNOWN) | {"meshSecret": state["meshSecret"]})
    topology, indices = _decide(spec, state, keys)
    same = keys.keys() == state["bundles"].keys() and all(
        seal.is_current(
            state["bundles"][name], _bundle(topology, name, keys[name], state["meshSecret"]), site.recipient
        )
        for name, site in spec.sites.items()
    )
    decided = {"topology": topology.to_dict(), "bundles": state["bundles"] if same else UNKNOWN, "indices": indices}
    return _wrapped(_public(inputs) | decided | {"privateKeys": keys, "meshSecret": state["meshSecret"]})


def _decide(spec: MeshSpec, state: Properties, keys: Mapping[str, list[str]]) -> tuple[Topology, dict[str, int]]:
    public = {name: tuple(_public_key(key) for key in pair) for name, pair in keys.items()}
    epoch = state.get("topology", {}).get("epoch", FIRST_EPOCH)
    return decide(spec, state.get("indices", {}), public, epoch)


def _bundle(topology: Topology, site: str, keys: list[str], secret: str) -> Bundle:
    return Bundle(topology.mesh, site, tuple(decode_key(key) for key in keys), decode_key(secret), topology.epoch)


def _public(inputs: Properties) -> Properties:
    """Inputs that are repeated as outputs: not `sites`, whose recipient keys are as long as their bundles."""
    return {name: value for name, value in inputs.items() if name != "sites"}


def _wrapped(state: Properties) -> Properties:
    secret = {name: Secret(state[name]) for name in ("privateKeys", "meshSecret") if state.get(name) is not UNKNOWN}
    return state | secret


def _new_private_key() -> str:
    return encode_key(X25519PrivateKey.generate().private_bytes_raw())


def _public_key(private: str) -> bytes:
    return X25519PrivateKey.from_private_bytes(decode_key(private)).public_key().public_bytes_raw()


def _changes(old: Any, new: Any, path: str = "", depth: int = 3) -> Iterator[PropertyChange]:
    """Down to a site's properties ("sites.cabin.lans"), in order; a new or gone site is one change."""
    if old == new:
        return
    if depth and isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(name), new.get(name), f"{path}.{name}" if path else name, depth - 1)
    else:
        yield PropertyChange(path, kind="ADD" if old is None else "DELETE" if new is None else "UPDATE")
