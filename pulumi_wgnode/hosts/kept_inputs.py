"""What the program said of the resources on a host, kept there for `pulumi import`: /etc/wgnode/owners/<id>.<kind>.

    {"format": 1, "inputs": {"uplink": "wan0", …}}

One file a resource, readable for root only, without secrets, connections, and what other files on the host have. It
goes with the owner record (owners.py). Nothing but an import reads it, so one that is missing or old harms nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pulumi_wgnode.hosts.host import Host, HostError
from wgnode import formats

FORMAT = 1


def write(host: Host, path: str, inputs: Mapping[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, "inputs": inputs}, indent=1, sort_keys=True)
    host.write_file(path, f"{text}\n".encode(), mode=0o600)


def read(host: Host, path: str) -> dict[str, Any]:
    """Raises HostError for a file that is not there, damaged or of a newer version."""
    data = host.read_file(path)
    if data is None:
        raise HostError(
            f"host {host.name}: there is no {path}, so nobody can tell what the resource was given: it was deployed by"
            " a version before this one. Declare it without importing it: `pulumi up` adopts what is there"
        )
    try:
        raw = json.loads(data)
        format, inputs = raw["format"], raw["inputs"]
    except (ValueError, TypeError, KeyError, RecursionError):
        format, inputs = None, None
    if why := formats.newer(path, format, FORMAT):
        raise HostError(f"host {host.name}: {why}")
    if format != FORMAT or not isinstance(inputs, dict):
        raise HostError(f"host {host.name}: {path} is damaged; declare the resource without importing it")
    return inputs
