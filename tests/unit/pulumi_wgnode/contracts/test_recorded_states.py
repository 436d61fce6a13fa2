"""What versions before recorded is what this one wants: nothing is replaced, no value is another's.

states/site-of-contracts.json has what a program gave, and what the first version with contracts recorded of it, on the
fake hosts of these tests; states/stack-of-before.json.gz the whole stack of the version before this one. Files of ours
on a host may have another text in each version; whatever else differs would be a change that nobody asked for, in every
stack there is.
"""

from __future__ import annotations

import gzip
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode import contracts
from pulumi_wgnode.contracts.node import upgraded
from pulumi_wgnode.hosts.host import Connection, Host, HostUnreachable
from pulumi_wgnode.provider import registry

STATES = Path(__file__).parents[1] / "states"
CASE = json.loads((STATES / "site-of-contracts.json").read_text())
BEFORE = json.loads(gzip.decompress((STATES / "stack-of-before.json.gz").read_bytes()))
MIGRATED = {"wgnode:index:HypervisorHost": {'links["wgnode-lan"]', 'links["wgnode-wan"]', 'users["wgnode-qemu"]'}}
"""By kind, what differs beside files, and is told by a preview in words too."""


def nowhere(_: Connection) -> Host:
    raise HostUnreachable("neither a check nor a comparison asks a host")


@pytest.mark.parametrize("token", CASE)
def test_a_recorded_resource_differs_in_our_own_files_at_most(token: str) -> None:
    made = getattr(importlib.import_module(registry.MODULES[token]), token.rsplit(":", 1)[1])
    kind: Any = made(connect=nowhere)
    given, inputs, state = (CASE[token][name] for name in ("given", "inputs", "state"))
    checked = kind.check(given, inputs)
    inputs = upgraded(inputs) if token.endswith(":Gateway") else inputs
    migrated = MIGRATED.get(token, set())
    ours = {"files", *(path.partition("[")[0] for path in migrated)}
    assert {name: checked[name] for name in inputs if name not in ours} == {
        name: value for name, value in inputs.items() if name not in ours
    }
    changes = kind.diff(state, CASE[token]["inputs"], checked).changes
    assert {change.path for change in changes if not change.path.startswith("files")} == migrated
    assert not [change for change in changes if change.replace]


def opened(value: Any) -> Any:
    """Without the marks of secrets."""
    if isinstance(value, dict):
        return json.loads(value["plaintext"]) if "plaintext" in value else {n: opened(one) for n, one in value.items()}
    return [opened(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("token", registry.MODULES)
def test_so_it_is_of_every_kind_that_the_version_before_has_recorded(token: str) -> None:
    found = [one for one in BEFORE["state"]["deployment"]["resources"] if one["type"] == token]
    assert found
    kind = registry.kind(token)
    for one in found:
        inputs, state = opened(one["inputs"]), opened(one["outputs"])
        asked = contracts.ALL[token].inputs.wire_names()
        checked = kind.check({name: value for name, value in inputs.items() if name in asked}, inputs)
        changes = kind.diff(state, inputs, checked).changes
        assert {change.path for change in changes if not change.path.startswith("files")} == MIGRATED.get(token, set())
        assert not [change for change in changes if change.replace]
