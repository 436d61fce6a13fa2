"""What a site reads of its mesh is checked, and every error names the stack, the reason and the way out."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.config import SiteConfig, parse_site
from infra.config_errors import ConfigurationError
from pulumi_wgnode import seal
from pulumi_wgnode.components.arguments import SiteArgs
from pulumi_wgnode.components.compiled import SiteError, compile_gateway
from pulumi_wgnode.components.mesh_stack import MeshStackError, checked
from pulumi_wgnode.contracts.node import config_of, secrets_of
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from wgnode import recipient
from wgnode.nodeconfig import CarrierConfig
from wgnode.topology import users

PRIVATE, PUBLIC = recipient.generate()
PIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
MESH = {
    "name": "dev",
    "tunnel": {"v4": "10.99.0.0/24"},
    "sites": {
        "berlin": {"lans": ["10.1.0.0/24"], "recipient": PUBLIC, "endpoint": "198.51.100.2:51820"},
        "cabin": {"lans": ["10.2.0.0/24"], "recipient": PUBLIC},
    },
}


@pytest.fixture(scope="module")
def mesh() -> dict[str, Any]:
    kind = MeshTopology()
    return kind.create("mesh", kind.check(MESH, {}), False)[1]


def config(tmp_path: Path, name: str = "cabin", reach: str = "host-route", **more: Any) -> SiteConfig:
    (tmp_path / "image.tar").touch()
    raw = {
        "name": name,
        "mesh": "dev-mesh",
        "host": {"address": "203.0.113.2", "hostKeys": [PIN], "agent": True},
        "managementNetworks": ["192.0.2.0/24"],
        "uplink": "wan0",
        "lan": {"interface": "lan0", "gatewayAddresses": ["10.2.0.2"], "reach": reach},
        "recipientKey": PRIVATE,
        "gateway": {"image": "image.tar"},
    }
    return parse_site(raw | more, "x", tmp_path)


def test_a_site_compiles_its_own_configuration_secrets_and_routes(mesh: dict[str, Any], tmp_path: Path) -> None:
    compiled = compile_gateway(config(tmp_path), mesh["topology"], mesh["bundles"]["cabin"])
    node = config_of(compiled["config"])
    secrets = secrets_of(compiled["secrets"])
    assert (node.name, [peer.name for peer in node.peers]) == ("cabin", ["berlin"])
    assert set(secrets.preshared_keys) == {node.peers[0].public_keys[0]}
    assert compiled["routes"] == [{"to": "10.1.0.0/24", "via": "10.2.0.2"}, {"to": "10.99.0.0/24", "via": "10.2.0.2"}]
    assert (compiled["listenPort"], compiled["endpoint"]) == (51820, None)
    assert not node.lan.proxy_arp
    assert not node.lan.masquerade


def test_with_proxy_arp_the_gateway_answers_and_the_host_needs_no_routes(mesh: dict[str, Any], tmp_path: Path) -> None:
    compiled = compile_gateway(config(tmp_path, reach="proxy-arp"), mesh["topology"], mesh["bundles"]["cabin"])
    assert compiled["routes"] == []
    lan = config_of(compiled["config"]).lan
    assert (lan.proxy_arp, lan.masquerade) == (True, False)


def test_with_masquerade_the_gateway_translates_and_nobody_needs_routes(mesh: dict[str, Any], tmp_path: Path) -> None:
    compiled = compile_gateway(config(tmp_path, reach="masquerade"), mesh["topology"], mesh["bundles"]["cabin"])
    assert compiled["routes"] == []
    node = config_of(compiled["config"])
    assert (node.lan.proxy_arp, node.lan.masquerade, node.transit.masquerade) == (False, True, False)


def test_a_site_missing_in_the_mesh_is_told_where_to_add_it(mesh: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SiteError) as caught:
        compile_gateway(config(tmp_path, "farm"), mesh["topology"], None)
    assert "site 'farm' is not in mesh 'dev' (its sites: berlin, cabin)" in str(caught.value)
    assert "wgmesh:mesh.sites in stacks/Pulumi.dev-mesh.yaml" in str(caught.value)
    assert "pulumi up -s dev-mesh" in str(caught.value)


def test_a_bundle_for_another_recipient_is_told_with_the_way_out_and_no_key(
    mesh: dict[str, Any], tmp_path: Path
) -> None:
    other = recipient.generate()[0]
    with pytest.raises(SiteError) as caught:
        compile_gateway(config(tmp_path, recipientKey=other), mesh["topology"], mesh["bundles"]["cabin"])
    text = str(caught.value)
    assert "its bundle in mesh stack 'dev-mesh' is sealed to recipient" in text
    assert "wgmesh:mesh.sites.cabin.recipient in stacks/Pulumi.dev-mesh.yaml" in text
    assert other.removeprefix(recipient.PRIVATE_PREFIX) not in text


def test_a_program_of_another_kind_is_told_nothing_of_our_stack_files(mesh: dict[str, Any], tmp_path: Path) -> None:
    def told(topology: dict[str, Any], **changed: Any) -> str:
        own = config(tmp_path, **changed)
        plain = SiteArgs(**{name: getattr(own, name) for name in SiteArgs.model_fields})
        with pytest.raises(SiteError) as caught:
            compile_gateway(plain, topology, None)
        return str(caught.value)

    renamed = copy.deepcopy(mesh["topology"])
    renamed["sites"]["lodge"] = {**renamed["sites"].pop("cabin"), "renamedFrom": "cabin"}
    said = told(mesh["topology"], name="farm"), told(mesh["topology"]), told(renamed)
    assert not [text for text in said if "wgmesh" in text or "stacks/" in text]
    assert "add it to the sites of the mesh's MeshTopology" in said[0]
    assert "must be its `recipient` among the mesh's sites" in said[1]
    assert "give the site the name 'lodge'" in said[2]


def test_the_id_of_the_site_comes_along_whatever_its_name_is(mesh: dict[str, Any], tmp_path: Path) -> None:
    made = compile_gateway(config(tmp_path), mesh["topology"], mesh["bundles"]["cabin"])
    assert made["id"] == mesh["topology"]["sites"]["cabin"]["id"]
    topology = copy.deepcopy(mesh["topology"])
    topology["sites"]["lodge"] = {**topology["sites"].pop("cabin"), "renamedFrom": "cabin"}
    renamed = compile_gateway(config(tmp_path, name="lodge"), topology, mesh["bundles"]["cabin"])
    assert renamed["id"] == made["id"]
    assert renamed["secrets"] == made["secrets"]
    with pytest.raises(SiteError, match=r"site 'cabin' is called 'lodge' in mesh 'dev' now: .*wgmesh:site\.name lodge"):
        compile_gateway(config(tmp_path), topology, None)


def test_a_bundle_of_another_site_or_none_is_refused(mesh: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"sealed for the site with id [0-9a-f]{16}, not for 'cabin'"):
        compile_gateway(config(tmp_path), mesh["topology"], mesh["bundles"]["berlin"])
    with pytest.raises(SiteError, match="its bundle in mesh stack 'dev-mesh' is missing"):
        compile_gateway(config(tmp_path), mesh["topology"], None)


def test_keys_of_another_run_of_the_mesh_are_refused(mesh: dict[str, Any], tmp_path: Path) -> None:
    bundle = seal.open_sealed(mesh["bundles"]["cabin"], PRIVATE, "dev", "cabin")
    stale = {**mesh["topology"], "epoch": bundle.epoch + 1}
    with pytest.raises(SiteError, match="the bundle has epoch 1, the topology 2"):
        compile_gateway(config(tmp_path), stale, mesh["bundles"]["cabin"])
    with pytest.raises(
        SiteError, match="format 1, this version reads 2; run `pulumi up -s dev-mesh` with this version"
    ):
        compile_gateway(config(tmp_path), {**mesh["topology"], "format": 1}, mesh["bundles"]["cabin"])


def test_everything_that_does_not_fit_the_mesh_comes_at_once(mesh: dict[str, Any], tmp_path: Path) -> None:
    site = config(tmp_path, lan={"interface": "lan0", "gatewayAddresses": ["10.2.0.255", "10.7.0.2"]})
    with pytest.raises(SiteError) as caught:
        compile_gateway(site, mesh["topology"], mesh["bundles"]["cabin"])
    assert "10.2.0.255 is the network or broadcast address of 10.2.0.0/24" in str(caught.value)
    assert "10.7.0.2 is in none of the site's lans" in str(caught.value)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({}, "mesh stack 'dev-mesh' exists but never ran: run `pulumi up -s dev-mesh` first"),
        ({"addresses": [], "name": "x"}, "is no mesh stack: it exports addresses, name, but not topology"),
        ({"topology": {}, "bundles": {}}, "its output 'topology' came back empty"),
        ({"topology": {"format": 1}, "bundles": None}, "its output 'bundles' came back empty"),
        ({"topology": "", "bundles": {}}, "a secret under another passphrase"),
    ],
)
def test_outputs_that_are_no_meshs_are_told_apart(outputs: dict[str, Any], says: str) -> None:
    with pytest.raises(MeshStackError) as caught:
        checked("dev-mesh", outputs)
    assert says in str(caught.value)


def test_errors_across_stacks_are_shown_without_a_traceback() -> None:
    assert issubclass(MeshStackError, pulumi.RunError)
    assert issubclass(SiteError, pulumi.RunError)


def test_a_carrier_is_compiled_as_what_is_said_of_each_way(mesh: dict[str, Any], tmp_path: Path) -> None:
    told = config(tmp_path, carrier="t-mobile-us")
    node = config_of(compile_gateway(told, mesh["topology"], mesh["bundles"]["cabin"])["config"])
    assert node.carrier == CarrierConfig("t-mobile-us", 1440, 1440)
    node = config_of(compile_gateway(config(tmp_path), mesh["topology"], mesh["bundles"]["cabin"])["config"])
    assert node.carrier is None


@pytest.mark.parametrize(("said", "searches"), [("off", False), (False, False), ("auto", True), (True, True)])
def test_a_site_that_wants_no_path_mtus_searched_says_so_to_its_node(
    mesh: dict[str, Any], tmp_path: Path, said: Any, searches: bool
) -> None:
    """To some readers of YAML `off` is false."""
    told = config(tmp_path, pathMtu=said)
    node = config_of(compile_gateway(told, mesh["topology"], mesh["bundles"]["cabin"])["config"])
    assert node.path_mtu is searches
    assert (b"pathMtu" in node.to_json()) is not searches, "a site that never said a word of it stays what it is"


def people(**more: Any) -> dict[str, Any]:
    phone = {"publicKey": base64.b64encode(b"p" * 32).decode(), "addresses": ["10.1.0.130"]}
    users = {"alice": {"groups": ["staff"], "expires": "2027-01-31", "devices": {"phone": phone}}}
    secret = base64.b64encode(b"s" * 32).decode()
    lan = {"interface": "lan0", "gatewayAddresses": ["10.1.0.2"]}
    pool = {"v4": "10.1.0.128/26", "released": {"10.1.0.131": "2026-01-31"}}
    groups = {"staff": {"reach": "all"}}
    return {"pool": pool, "groups": groups, "users": users, "deviceSecret": secret, "lan": lan, **more}


def test_a_sites_users_get_peers_and_keys_and_the_secret_is_shown_nowhere(mesh: dict[str, Any], tmp_path: Path) -> None:
    given = config(tmp_path, "berlin", **people())
    made = compile_gateway(given, mesh["topology"], mesh["bundles"]["berlin"])
    phone = config_of(made["config"]).devices[0]
    assert (phone.name, phone.allowed_ips, phone.expires) == ("alice/phone", ("10.1.0.130/32",), 1801353600)
    assert secrets_of(made["secrets"]).preshared_keys[b"p" * 32] == (users.preshared_key(b"s" * 32, b"p" * 32),)
    assert (
        made["routes"]
        == compile_gateway(
            config(tmp_path, "berlin", lan=people()["lan"]), mesh["topology"], mesh["bundles"]["berlin"]
        )["routes"]
    )
    assert people()["deviceSecret"] not in repr(given)
    with pytest.raises(ConfigurationError, match=r"\.deviceSecret: .*`wgnode user add` makes one") as caught:
        config(tmp_path, "berlin", **people(deviceSecret="geheim"))
    assert "geheim" not in str(caught.value)


def test_a_site_without_users_compiles_to_what_it_was(mesh: dict[str, Any], tmp_path: Path) -> None:
    made = compile_gateway(config(tmp_path), mesh["topology"], mesh["bundles"]["cabin"])
    assert "devices" not in made["config"]
