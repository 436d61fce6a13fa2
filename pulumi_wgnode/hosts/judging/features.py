"""A feature of a host's uplink that the kernel leaves off: datagrams that are only forwarded are joined into trains.

A host has no ethtool: it runs wgnode/platform/linux/features.py, which network.sh holds for boots. Why: see
docs/decisions/virtio.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from pulumi_wgnode.hosts.host import Host, Result
from pulumi_wgnode.hosts.query import Query

FEATURE = "rx-udp-gro-forwarding"
"""Since Linux 5.12. Without it only datagrams for the host's own sockets are joined."""
ON = {FEATURE: "on"}


def source() -> str:
    return files("wgnode").joinpath("platform", "linux", "features.py").read_text()


def program(verb: str, *interfaces: str) -> list[str]:
    """`verb` is show, on or off."""
    return ["python3", "-I", "-c", source(), verb, FEATURE, *interfaces]


def query(interface: str) -> Query[dict[str, str]]:
    """ "on" or "off" by interface; nothing where it can't be changed, or without Python, as on a bare host."""
    return Query(program("show", interface), _states)


def _states(said: Result) -> dict[str, str]:
    lines = (line.partition("=") for line in said.stdout.splitlines())
    return {interface: state for interface, _, state in lines if state in ("on", "off")}


def change(host: Host, wanted: Mapping[str, str]) -> None:
    """By interface; one that is not there (any more), or cannot, is passed over."""
    for interface, state in wanted.items():
        host.run(program(state, interface), check=False)


def shell() -> str:
    """The function `join_forwarded VERB INTERFACE` of network.sh."""
    return f"""
join_forwarded() {{
    python3 -I - "$1" {FEATURE} "$2" <<'WGNODE_PYTHON'
{source()}WGNODE_PYTHON
}}
"""
