"""A mesh, and what a site reads of it, as this version makes them, without an engine.

{"inputs": ..., "state": ... or null, "recorded": its inputs} -> the mesh's state, made new or of another version's, and
then with what differed (`changes`).
{"site": arguments of siteConfiguration} -> what that function says.
Either is {"refused": why} where this version says why it can't.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pulumi_wgnode.call.kind import CheckError, Secret
from pulumi_wgnode.components.site_configuration import site_configuration
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.provider import registry


def opened(value: Any) -> Any:
    if isinstance(value, Secret):
        return opened(value.value)
    if isinstance(value, dict):
        return {name: opened(one) for name, one in value.items()}
    return [opened(one) for one in value] if isinstance(value, list) else value


def answer(asked: dict[str, Any]) -> Any:
    if "site" in asked:
        return site_configuration(asked["site"])
    kind, state = registry.kind("wgnode:index:MeshTopology"), asked["state"]
    inputs = kind.check(asked["inputs"], {})
    if state is None:
        return kind.create("mesh", inputs, False)[1]
    found = kind.read("mesh", state, kind.check(asked["recorded"], {}))
    assert isinstance(found, tuple)
    seen, recorded = opened(found[0]), opened(found[1])
    changes = kind.diff(seen, recorded, inputs).changes
    return {**kind.update("mesh", seen, inputs, False), "changes": [change.path for change in changes]}


try:
    said = answer(json.load(sys.stdin))
except (ExplainedError, CheckError) as error:
    said = {"refused": str(error)}
print(json.dumps(opened(said)))
