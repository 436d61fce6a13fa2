"""Who is told of an endpoint that will not be reached for ever: the mesh of a port, the site of its own address."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_wgnode.call.log import Severity
from pulumi_wgnode.components import Site
from pulumi_wgnode.resources import mesh_topology
from pulumi_wgnode.resources.mesh_topology import MeshTopology

from .test_compiled import config, mesh
from .test_components import Engine, engine, run
from .test_mesh_topology import created
from .test_mesh_topology import mesh as inputs

__all__ = ["created", "engine", "mesh"]


def test_a_mesh_warns_where_an_endpoint_keeps_the_former_port(
    created: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, Severity]] = []
    monkeypatch.setattr(mesh_topology, "log", lambda text, severity: told.append((text, severity)))
    kind = MeshTopology()
    kind.diff(created, inputs(), inputs())
    assert not told
    for _ in range(2):
        kind.diff(created, inputs(), inputs(listenPort=51999))
    (found,) = told
    assert found[1] is Severity.WARNING
    assert "site 'berlin'" in found[0]
    assert "the former listenPort 51820" in found[0]


def warnings_of(state: dict[str, Any], news: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of a preview in a run of its own."""
    told: list[tuple[str, Severity]] = []
    monkeypatch.setattr(mesh_topology, "log", lambda text, severity: told.append((text, severity)))
    MeshTopology().diff(state, news, news)
    return [text for text, severity in told if severity is Severity.WARNING]


def test_the_warning_stays_as_long_as_it_is_true(created: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    state = created
    for port in (51999, 52000):
        state = plain(MeshTopology().update("mesh", state, inputs(listenPort=port), False))
        (found,) = warnings_of(state, inputs(listenPort=port), monkeypatch)
        assert f"the former listenPort 51820, but the gateways listen on {port}" in found
        assert state["topology"]["formerListenPorts"] == [51820], "51999 was nobody's endpoint"
    for mended in (inputs(listenPort=52000), inputs()):
        mended["listenPort"] = mended.get("listenPort", 51820)
        for site in mended["sites"].values():
            if site.get("endpoint"):
                site["endpoint"] = f"{site['endpoint'].rpartition(':')[0]}:{mended['listenPort']}"
        after = plain(MeshTopology().update("mesh", state, mended, False))
        assert warnings_of(after, mended, monkeypatch) == []
        assert "formerListenPorts" not in after["topology"]


def plain(state: dict[str, Any]) -> dict[str, Any]:
    """As the engine gives it back."""
    return {name: getattr(value, "value", value) for name, value in state.items()}


def test_a_site_is_warned_of_its_own_endpoint(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: told.append(text))
    topology = copy.deepcopy(mesh["topology"])
    topology["sites"]["cabin"]["endpoint"] = "203.0.113.7:1234"
    engine.facts["uplinkAddresses"] = {"203.0.113.7": True}
    run(lambda: Site("cabin", config(tmp_path), topology=topology, bundle=mesh["bundles"]["cabin"], root=tmp_path))
    assert [("port is 51820" in text, "on lease" in text) for text in told] == [(True, False), (False, True)]
