"""The function by which a program in any language gets what `Site` compiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Secret
from pulumi_wgnode.components.compiled import compile_gateway
from pulumi_wgnode.components.site_configuration import SiteConfigurationOutputs, site_configuration
from pulumi_wgnode.contracts.hypervisor_host import HypervisorHostInputs
from pulumi_wgnode.resources.inputs import validated
from tests.unit.pulumi_wgnode.test_compiled import PRIVATE, config, mesh
from wgnode import recipient

__all__ = ["mesh"]


def asked(mesh: dict[str, Any], **changes: Any) -> dict[str, Any]:
    given = {
        "name": "cabin",
        "topology": mesh["topology"],
        "bundle": mesh["bundles"]["cabin"],
        "recipientKey": PRIVATE,
        "gatewayAddresses": ["10.2.0.2"],
    }
    return given | changes


def test_it_gives_what_site_compiles(mesh: dict[str, Any], tmp_path: Path) -> None:
    compiled = compile_gateway(config(tmp_path), mesh["topology"], mesh["bundles"]["cabin"])
    made = site_configuration(asked(mesh))
    assert made["secrets"] == Secret(compiled["secrets"]), "and nobody else may see them"
    assert made["site"] == {"id": compiled["id"], "mesh": "dev", "name": "cabin"}
    assert made["gateway"] == compiled["lan"]
    same = ("config", "routes", "whose", "peers", "listenPort")
    assert {name: made[name] for name in same} == {name: compiled[name] for name in same}
    plain = {**made, "secrets": made["secrets"].value}
    assert SiteConfigurationOutputs.model_validate(plain).to_dict() == plain, "as the schema has it"


def test_what_it_gives_is_what_a_host_takes(mesh: dict[str, Any]) -> None:
    made = site_configuration(asked(mesh))
    of_host = {name: made[name] for name in ("routes", "whose", "peers", "gateway")}
    networks = {"uplink": "wan0", "lanInterface": "lan0", **of_host}
    pin = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    connection = {"address": "192.0.2.1", "hostKeys": [pin], "agent": True}
    given = {"connection": connection, "site": made["site"], "listenPort": made["listenPort"], "networks": networks}
    assert validated(HypervisorHostInputs, given)["networks"]["routes"] == made["routes"]


@pytest.mark.parametrize(
    ("changes", "path", "says"),
    [
        ({"name": "farm"}, "", "site 'farm' is not in mesh 'dev'"),
        ({"recipientKey": recipient.generate()[0]}, "", "its bundle in the mesh is sealed to recipient"),
        ({"recipientKey": recipient.generate()[0], "meshStack": "dev-mesh"}, "", "its bundle in mesh stack 'dev-mesh'"),
        ({"bundle": "x"}, "", "damaged"),
        ({"topology": {}}, "", "the mesh: "),
        ({"gatewayAddresses": ["10.9.0.2"]}, "", "10.9.0.2"),
        ({"gatewayAddresses": ["10.2.0.300"]}, "gatewayAddresses[0]", "is not an address"),
        ({"reach": "magic"}, "reach", "must be"),
        ({"topology": UNKNOWN}, "", "must be known"),
    ],
)
def test_what_does_not_fit_is_named(mesh: dict[str, Any], changes: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(CheckError) as refused:
        site_configuration(asked(mesh, **changes))
    ((found, reason),) = refused.value.failures
    assert (found, says in reason) == (path, True), reason
    assert PRIVATE not in reason
