"""How Mesh and Site wire their resources, seen by Pulumi's own mocks."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import Output
from pulumi.runtime import mocks

from infra.config import parse_mesh
from pulumi_wgnode.components import Mesh, Site
from pulumi_wgnode.components.bootstrap import COMMAND_HOST_KEYS, MissingCommands, command_connection
from pulumi_wgnode.components.given import mapping
from pulumi_wgnode.components.mesh_stack import MeshStackError, read_mesh
from pulumi_wgnode.components.site import former_names
from pulumi_wgnode.contracts import texts
from pulumi_wgnode.values import HOST_KEY_TYPES
from tests.unit.pulumi_wgnode.keys import KEY

from .test_compiled import MESH, PIN, config, mesh

__all__ = ["mesh"]
HOST_RESOURCES = ["HypervisorHost", "NatFirewall", "ApplianceImage", "Gateway"]


class Engine(mocks.Mocks):
    """Remembers what was registered; outputs are the inputs and what each kind adds."""

    def __init__(self, topology: dict[str, Any]) -> None:
        self.registered: list[mocks.MockResourceArgs] = []
        self.topology = topology
        self.facts: dict[str, Any] = {
            "kvm": True,
            "kvmReason": "kvm_intel is loaded",
            "udpSegmentation": True,
        }
        self.stack: dict[str, Any] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ.endswith(":NatFirewall"):
            time.sleep(0.2)  # what does not wait for it overtakes it
        self.registered.append(args)
        added = {
            "wgnode:index:MeshTopology": {"topology": self.topology["topology"], "bundles": self.topology["bundles"]},
            "wgnode:index:HypervisorHost": {
                "instance": "0b1c2d3e",
                "facts": self.facts,
                "traits": {"bridge": "br0"},
            },
            "wgnode:index:ApplianceImage": {"directory": "/var/lib/wgnode/images/x"},
        }
        return f"{args.name}-id", {**args.inputs, **added.get(args.typ, {})}

    def call(self, args: mocks.MockCallArgs) -> Any:
        assert args.token.endswith(":readStackOutputs")
        assert args.args == {"name": "organization/project/dev-mesh"}
        return {"name": args.args["name"], "outputs": self.stack, "secretOutputNames": []}

    def inputs(self, kind: str) -> dict[str, Any]:
        """With structures, as the resource reads them."""
        (found,) = [args.inputs for args in self.registered if args.typ.endswith(f":{kind}")]
        return texts.read(kind, dict(found))


@pytest.fixture
def engine(mesh: dict[str, Any]) -> Iterator[Engine]:
    asyncio.set_event_loop(asyncio.new_event_loop())
    made = Engine(mesh)
    mocks.set_mocks(made, project="project", stack="stack", preview=False, organization="organization")
    yield made
    asyncio.get_event_loop().close()


def run(program: Callable[[], Any]) -> Any:
    """Run a program until all its resources are registered."""
    made: list[Any] = []
    pulumi.runtime.test(lambda: made.append(program()))()
    return made[0]


def test_a_mesh_is_one_resource_whose_name_is_not_the_meshs(engine: Engine) -> None:
    made = run(lambda: Mesh("mesh", parse_mesh({**MESH, "name": "renamed"}, "x")))
    (resource,) = [args for args in engine.registered if args.custom]
    assert (resource.typ, resource.name) == ("wgnode:index:MeshTopology", "mesh")
    assert engine.inputs("MeshTopology")["name"] == "renamed"
    assert isinstance(made.topology, pulumi.Output)


def test_the_hosts_own_ssh_port_goes_to_its_firewall(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    site = config(tmp_path)
    site = site.model_copy(update={"host": site.host.model_copy(update={"port": 2222, "ssh_port": 22})})
    run(lambda: Site("cabin", site, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    assert engine.inputs("NatFirewall")["sshPort"] == 22
    assert engine.inputs("HypervisorHost")["connection"]["port"] == 2222


def test_a_site_is_host_firewall_image_and_gateway_in_this_order(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path
) -> None:
    run(
        lambda: Site(
            "cabin", config(tmp_path), topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path
        )
    )
    order = [args.typ.rsplit(":", 1)[1] for args in engine.registered if args.custom]
    assert {args.name for args in engine.registered if args.custom} == {
        "cabin-host",
        "cabin-firewall",
        "cabin-image",
        "cabin-gateway",
    }
    assert order[0] == "HypervisorHost"
    assert order[-1] == "Gateway"
    assert sorted(order) == sorted(HOST_RESOURCES)
    assert engine.inputs("HypervisorHost")["networks"]["routes"][0] == {"to": "10.1.0.0/24", "via": "10.2.0.2"}
    gateway = engine.inputs("HypervisorHost")["networks"]["gateway"]
    assert gateway["addresses"] == ["10.2.0.2/24"]
    assert gateway["mac"] == engine.inputs("Gateway")["config"]["lan"]["mac"]
    assert engine.inputs("NatFirewall")["managementNetworks"] == ["192.0.2.0/24"]
    assert engine.inputs("NatFirewall")["listenPort"] == 51820
    assert "sshPort" not in engine.inputs("NatFirewall")
    assert engine.inputs("ApplianceImage")["sha256"] == hashlib.sha256(b"").hexdigest()
    assert engine.inputs("ApplianceImage")["neededBy"] == engine.inputs("Gateway")["site"]
    gateway = engine.inputs("Gateway")
    assert gateway["machine"] == {
        "memory": 128,
        "cpus": 1,
        "accelerator": "auto",
        "kvm": {"usable": True, "reason": "kvm_intel is loaded"},
        "udpSegmentation": True,
    }
    assert gateway["image"] == {"directory": "/var/lib/wgnode/images/x", "sha256": hashlib.sha256(b"").hexdigest()}
    for kind in HOST_RESOURCES:
        assert engine.inputs(kind)["connection"]["hostKeys"] == [PIN]


@pytest.mark.parametrize(("asked", "tells"), [("kvm", True), ("tcg", False)])
def test_the_accelerator_that_was_asked_for_goes_to_the_gateway(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, asked: str, tells: bool
) -> None:
    site = config(tmp_path)
    site = site.model_copy(update={"gateway": site.gateway.model_copy(update={"accelerator": asked})})
    run(lambda: Site("cabin", site, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    machine = engine.inputs("Gateway")["machine"]
    assert (machine["accelerator"], "kvm" in machine) == (asked, tells)


def test_an_image_that_is_pinned_by_digest_needs_no_file(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    site = config(tmp_path)
    update = {"image": "not/built/here.tar", "sha256": "ab" * 32}
    site = site.model_copy(update={"gateway": site.gateway.model_copy(update=update)})
    run(lambda: Site("cabin", site, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    assert engine.inputs("ApplianceImage")["sha256"] == "ab" * 32


def test_a_gateways_secrets_are_secret_and_its_configuration_is_not(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path
) -> None:
    seen: dict[str, bool] = {}

    async def look(site: Site) -> None:
        for name in ("config", "secrets"):
            seen[name] = await site.gateway.output(name).is_secret()

    def program() -> pulumi.Output[Any]:
        site = Site(
            "cabin", config(tmp_path), topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path
        )
        return pulumi.Output.from_input(asyncio.ensure_future(look(site)))

    pulumi.runtime.test(program)()
    assert seen == {"config": False, "secrets": True}


@pytest.mark.parametrize("whose", ["host", "jump"])
def test_keys_of_a_host_and_of_those_that_lead_there_are_secret(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, whose: str
) -> None:
    way, key = {"address": "203.0.113.2", "hostKeys": [PIN]}, {"privateKey": KEY}
    host = {**way, **(key if whose == "host" else {}), "jumpHosts": [{**way, **(key if whose == "jump" else {})}]}
    given = {**mapping(config(tmp_path)), "host": host}
    run(lambda: Site("cabin", given, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    for kind in HOST_RESOURCES:
        connection = engine.inputs(kind)["connection"]
        assert connection["value"]["jumpHosts"][0]["hostKeys"] == [PIN], "the SDK makes a secret of what has one in it"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"uplink": "lan0"}, "lan.interface lan0 is the uplink"),
        ({"gateway": {"image": "https://a.example/x.tar"}}, "gateway.sha256 is missing: an image from a URL"),
        ({"gateway": {"image": "nowhere.tar"}}, "nowhere.tar can't be read (No such file or directory): `wgnode image"),
        ({"bootstrap": Output.from_input(["true"])}, "`bootstrap` must be known"),
        ({"uplink": 7, "reach": "x"}, "uplink must be a text"),
    ],
)
def test_a_mapping_that_can_not_be_a_site_is_refused(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    given = {**mapping(config(tmp_path)), **changes}
    with pytest.raises(pulumi.RunError) as refused:
        run(lambda: Site("cabin", given, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    assert says in str(refused.value)


def test_any_value_of_a_site_may_be_one_that_comes_later(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    plain = {**mapping(config(tmp_path)), "mesh": ""}
    run(lambda: Site("cabin", plain, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    wanted = {kind: engine.inputs(kind) for kind in HOST_RESOURCES}
    engine.registered.clear()

    def program() -> None:
        later = {name: value if name == "bootstrap" else Output.from_input(value) for name, value in plain.items()}
        later["host"] = {name: Output.from_input(value) for name, value in plain["host"].items()}
        Site("cabin", later, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path)

    run(program)
    assert {kind: engine.inputs(kind) for kind in HOST_RESOURCES} == wanted


def test_a_site_takes_a_meshs_outputs_of_the_same_program(engine: Engine, tmp_path: Path) -> None:
    def program() -> None:
        made = Mesh("mesh", parse_mesh(MESH, "x"))
        bundle = made.bundles.apply(lambda bundles: bundles["cabin"])
        Site("cabin", config(tmp_path), topology=made.topology, bundle=bundle, root=tmp_path)

    run(program)
    assert engine.inputs("Gateway")["config"]["name"] == "cabin"


def test_a_site_that_does_not_fit_its_mesh_registers_nothing(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(pulumi.RunError, match="is not in mesh"):
        run(lambda: Site("farm", config(tmp_path, "farm"), topology=mesh["topology"], bundle=None, root=tmp_path))
    assert engine.registered == []


def test_commands_of_ones_own_run_first_one_after_the_other_with_the_host_key_pinned(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path
) -> None:
    site = config(tmp_path, bootstrap=["apt-get update", "true"])
    run(lambda: Site("cabin", site, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    custom = [args for args in engine.registered if args.custom]
    assert [(args.typ, args.inputs.get("create")) for args in custom[:3]] == [
        ("command:remote:Command", "apt-get update"),
        ("command:remote:Command", "true"),
        ("wgnode:index:HypervisorHost", None),
    ]
    assert all(args.inputs["connection"]["value"]["hostKey"] == PIN for args in custom[:2])


def bootstrapped(engine: Engine, mesh: dict[str, Any], tmp_path: Path, *commands: str) -> dict[str, str]:
    """The commands by their resources' names, in the order in which they run."""
    engine.registered.clear()
    site = config(tmp_path, bootstrap=list(commands))
    run(lambda: Site("cabin", site, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    return {args.name: args.inputs["create"] for args in engine.registered if args.typ.endswith(":Command")}


def test_a_command_that_is_inserted_renames_no_other(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    before = bootstrapped(engine, mesh, tmp_path, "one", "two")
    after = bootstrapped(engine, mesh, tmp_path, "zero", "one", "one and a half", "two")
    assert list(after.values()) == ["zero", "one", "one and a half", "two"], "in their order"
    assert before.items() <= after.items()
    assert bootstrapped(engine, mesh, tmp_path, "two").items() <= before.items()


def test_equal_commands_are_two(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    before = bootstrapped(engine, mesh, tmp_path, "sync", "two")
    after = bootstrapped(engine, mesh, tmp_path, "sync", "two", "sync")
    assert list(after.values()) == ["sync", "two", "sync"]
    assert before.items() <= after.items()


def test_another_way_in_runs_no_command_again(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    bootstrapped(engine, mesh, tmp_path, "one")
    (command,) = [args.inputs for args in engine.registered if args.typ.endswith(":Command")]
    assert command["update"] == "true", "what pulumi-command runs when any input changes"


def test_commands_without_the_provider_that_runs_them_are_told_how_to_get_it(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pulumi_command", None)
    assert bootstrapped(engine, mesh, tmp_path) == {}, "who has none needs none"
    with pytest.raises(MissingCommands, match=r"pip install 'wgnode\[bootstrap\]'"):
        bootstrapped(engine, mesh, tmp_path, "one")


def test_of_several_pins_ones_own_commands_get_the_one_that_their_ssh_library_asks_for_first(tmp_path: Path) -> None:
    ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI"
    site = config(tmp_path)
    host = site.host.model_copy(update={"host_keys": [PIN, "ssh-rsa AAAAB3NzaC1yc2EA", ecdsa]})
    assert command_connection(mapping(site.model_copy(update={"host": host}))).host_key == ecdsa
    assert set(COMMAND_HOST_KEYS) == set(HOST_KEY_TYPES)


def test_where_a_runners_agent_listens_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/user/1000/agent")
    site = config(tmp_path)
    host = site.host.model_copy(update={"agent": True, "private_key": None})
    given = command_connection(mapping(site.model_copy(update={"host": host})))
    assert given.agent_socket_path is None, "the plugin looks for it itself"


def test_the_mesh_is_read_by_the_full_name_of_its_stack(engine: Engine, mesh: dict[str, Any]) -> None:
    engine.stack = {"topology": mesh["topology"], "bundles": mesh["bundles"]}
    assert run(lambda: read_mesh("dev-mesh")).topology["mesh"] == "dev"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ('invocation failed: unknown stack "organization/project/dev-mesh"', "run `pulumi stack init dev-mesh`, then"),
        ("no route to the backend", "mesh stack 'dev-mesh' (organization/project/dev-mesh) can't be read: no route"),
    ],
)
def test_a_mesh_stack_that_can_not_be_read_is_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: str, says: str
) -> None:
    def fail(*arguments: Any) -> Any:
        raise Exception(error)

    monkeypatch.setattr(pulumi.runtime, "invoke", fail)
    with pytest.raises(MeshStackError) as caught:
        read_mesh("dev-mesh")
    assert says in str(caught.value)


def test_a_site_s_resources_say_whose_they_are_and_which_of_the_host_s_gateways(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path
) -> None:
    run(
        lambda: Site(
            "site", config(tmp_path), topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path
        )
    )
    id = mesh["topology"]["sites"]["cabin"]["id"]
    for kind in ("HypervisorHost", "NatFirewall", "Gateway"):
        assert engine.inputs(kind)["site"] == {"id": id, "mesh": "dev", "name": "cabin"}
    for kind in ("NatFirewall", "Gateway"):
        assert engine.inputs(kind)["instance"] == "0b1c2d3e"
    assert engine.inputs("HypervisorHost")["listenPort"] == 51820


def test_what_a_site_was_called_in_programs_is_known_by_its_names_of_now_and_before(
    mesh: dict[str, Any], tmp_path: Path
) -> None:
    assert former_names(config(tmp_path), mesh["topology"]) == ["cabin"]
    sites = {**mesh["topology"]["sites"], "cabin": {**mesh["topology"]["sites"]["cabin"], "renamedFrom": "depot"}}
    assert former_names(config(tmp_path), {**mesh["topology"], "sites": sites}) == ["cabin", "depot"]
