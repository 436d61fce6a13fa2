"""A mesh's exported state as the version before ids would have left it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NEWER = ("id", "lanMac", "labels")


def make_mesh_older(state: dict[str, Any]) -> None:
    """Without ids: what the first `up` takes over."""
    mesh = _mesh(state)["outputs"]
    mesh["indices"] = {name: site["index"] for name, site in mesh["topology"]["sites"].items()}
    for topology in _topologies(state):
        topology["format"] = 1
        for site in topology["sites"].values():
            for key in NEWER:
                site.pop(key, None)
    for key in ("resting", "forgotten"):
        mesh.pop(key, None)


def _mesh(state: dict[str, Any]) -> dict[str, Any]:
    resources = state["deployment"]["resources"]
    (found,) = [made for made in resources if made["type"].endswith(":MeshTopology")]
    return dict(found)


def _topologies(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The resource's, and the stack's own output, which sites read."""
    for made in state["deployment"]["resources"]:
        if isinstance(made.get("outputs", {}).get("topology"), dict):
            yield made["outputs"]["topology"]
