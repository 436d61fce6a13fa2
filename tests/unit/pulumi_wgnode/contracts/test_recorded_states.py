"""What the first version with contracts recorded is what this one wants: nothing is replaced, no value is another's.

states/site-of-contracts.json has what a program gave, and what that version recorded of it, on the fake hosts of these
tests. Files of ours on a host may have another text in each version; whatever else differs would be a change that
nobody asked for, in every stack there is.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.contracts.node import upgraded
from pulumi_wgnode.hosts.host import Connection, Host, HostUnreachable
from pulumi_wgnode.provider import registry

CASE = json.loads((Path(__file__).parents[1] / "states" / "site-of-contracts.json").read_text())


def nowhere(_: Connection) -> Host:
    raise HostUnreachable("neither a check nor a comparison asks a host")


@pytest.mark.parametrize("token", CASE)
def test_a_recorded_resource_differs_in_our_own_files_at_most(token: str) -> None:
    made = getattr(importlib.import_module(registry.MODULES[token]), token.rsplit(":", 1)[1])
    kind: Any = made(connect=nowhere)
    given, inputs, state = (CASE[token][name] for name in ("given", "inputs", "state"))
    checked = kind.check(given, inputs)
    inputs = upgraded(inputs) if token.endswith(":Gateway") else inputs
    assert {name: checked[name] for name in inputs if name != "files"} == {
        name: value for name, value in inputs.items() if name != "files"
    }
    changes = kind.diff(state, CASE[token]["inputs"], checked).changes
    assert [change.path for change in changes if change.replace or not change.path.startswith("files")] == []
