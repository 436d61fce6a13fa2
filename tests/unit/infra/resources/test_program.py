"""The program's resources keep the types and names that they were deployed under: others would be made anew."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import stack
from infra.config import parse_mesh
from tests.unit.pulumi_wgnode.test_compiled import MESH, config, mesh
from tests.unit.pulumi_wgnode.test_components import Engine, engine, run

__all__ = ["engine", "mesh"]


def registered(engine: Engine, monkeypatch: pytest.MonkeyPatch, configured: Any) -> set[tuple[str, str]]:
    monkeypatch.setattr(stack, "load", lambda: configured)
    monkeypatch.setattr(pulumi, "export", lambda name, value: None)
    run(lambda: runpy.run_module("infra.__main__"))
    return {(args.typ, args.name) for args in engine.registered}


def test_of_a_mesh(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registered(engine, monkeypatch, parse_mesh(MESH, "x")) == {
        ("wgnode:index:Mesh", "mesh"),
        ("wgnode:index:MeshTopology", "mesh"),
    }


def test_of_a_site(engine: Engine, mesh: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine.stack = {"topology": mesh["topology"], "bundles": mesh["bundles"]}
    monkeypatch.setattr(stack, "root", lambda: tmp_path)
    assert registered(engine, monkeypatch, config(tmp_path)) == {
        ("wgnode:index:Site", "site"),
        ("wgnode:index:HypervisorHost", "site-host"),
        ("wgnode:index:NatFirewall", "site-firewall"),
        ("wgnode:index:ApplianceImage", "site-image"),
        ("wgnode:index:Gateway", "site-gateway"),
    }
