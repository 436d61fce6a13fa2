"""`wgnode mesh recover` with a fake engine and fake hosts: what is read, written, said and refused."""

from __future__ import annotations

import base64
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pulumi_wgnode import recovery, seal
from pulumi_wgnode.call.kind import Imported
from pulumi_wgnode.hosts.host import Connection, HostError
from pulumi_wgnode.hosts.owners import Owner, Record
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations.host_remains import read_files
from pulumi_wgnode.operations.stacks import SiteStack
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from tests.unit.pulumi_wgnode.fake_host import FakeHost
from tests.unit.pulumi_wgnode.operations.project import PIN, Folder
from tests.unit.pulumi_wgnode.test_mesh_topology import over_the_wire
from tests.unit.topology.meshes import SECRET, bundle_of, private_key, site, site_id, topology_of, two_sites
from wgnode import recipient
from wgnode.cli import main
from wgnode.image import layers, paths
from wgnode.nodeconfig import encode_key
from wgnode.topology import labels
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.identity import lan_mac_of_names
from wgnode.topology.model import Topology

ADDRESSES = {"berlin": "198.51.100.2", "cabin": "203.0.113.2", "farm": "203.0.113.9"}
RECIPIENTS = {name: recipient.generate() for name in ADDRESSES}


def mesh_configuration() -> dict[str, Any]:
    """As a stack file has it: LANs in another order than hosts have them."""
    raw = two_sites()
    raw["sites"]["farm"] = site("10.3.0.0/24", endpoint="203.0.113.9:51820")
    for name, entry in raw["sites"].items():
        entry["recipient"] = RECIPIENTS[name][1]
    raw["sites"]["berlin"]["lans"].reverse()
    raw["sites"]["cabin"].pop("endpoint")
    return raw


class Mesh:
    """Three sites' hosts as `up` has left them, and their stacks."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.topology = topology_of(mesh_configuration(), {"berlin": 4, "cabin": 2, "farm": 9}, epoch=3)
        self.hosts = {ADDRESSES[name]: self.host(self.topology, name) for name in ADDRESSES}
        folder.mesh(**mesh_configuration())
        for name in ADDRESSES:
            self.stack(name)

    def host(self, topology: Topology, name: str) -> FakeHost:
        made = FakeHost(f"root@{ADDRESSES[name]}")
        lans = topology.sites[name].lans
        gateways = tuple(lan.replace("::/64", "::2").replace(".0/24", ".2") for lan in lans)
        config, secrets = compile_site(topology, name, bundle_of(topology, name), SiteFacts(gateways))
        sealed = seal.seal(bundle_of(topology, name), RECIPIENTS[name][1])
        made.files[paths.PLAIN.config_layer] = (layers.config_layer(config), 0o644, "root")
        made.files[paths.PLAIN.secrets_layer] = (layers.secrets_layer(secrets), 0o600, paths.USER)
        made.files[paths.PLAIN.sealed_bundle] = (sealed.encode(), 0o644, "root")
        return made

    def become_older_than_ids(self) -> None:
        """As the version before ids left its hosts."""
        sites = {
            name: replace(there, labels=labels.OLD, lan_mac=lan_mac_of_names("dev", name))
            for name, there in self.topology.sites.items()
        }
        older = replace(self.topology, sites=sites)
        for name, address in ADDRESSES.items():
            self.hosts[address] = self.host(older, name)
            plain = replace(bundle_of(older, name), id=None)
            public = RECIPIENTS[name][1]
            ciphertext = seal.SUITE.encrypt(
                plain.to_json(), recipient.parse_public(public), seal._info(seal.FORMAT_WITHOUT_ID, "dev", name)
            )
            header = bytes([seal.FORMAT_WITHOUT_ID]) + recipient.fingerprint(public) + seal._digest(plain.to_json())
            sealed = base64.b64encode(header + ciphertext)
            self.hosts[address].files[paths.PLAIN.sealed_bundle] = (sealed, 0o644, "root")

    def stack(self, name: str, **changes: Any) -> None:
        host = {"address": ADDRESSES[name], "hostKeys": [PIN], "agent": True}
        self.folder.site(name, **{"host": host, "recipientKey": RECIPIENTS[name][0], **changes})

    def connect(self, connection: Connection) -> FakeHost:
        host = self.hosts[connection.address]
        host._reach()
        return host


@pytest.fixture
def mesh(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    made = Mesh(folder)
    monkeypatch.setattr(pool, "connect", made.connect)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["mesh", "recover", *arguments])


def written(folder: Folder, name: str = "dev-mesh.recovery.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder.root / name).read_text())["recovered"]
    return content


def test_everything_comes_back_and_the_configuration_shows_no_difference(mesh: Mesh) -> None:
    done = run("--environment", "dev")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    found = written(mesh.folder)
    assert found["private_keys"] == {name: [encode_key(private_key(name))] for name in ADDRESSES}
    assert (found["mesh_secret"], found["epoch"]) == (encode_key(SECRET), 3)
    assert {name: one["index"] for name, one in found["allocations"].items()} == {"berlin": 4, "cabin": 2, "farm": 9}
    assert {name: one["id"] for name, one in found["allocations"].items()} == {n: site_id(n) for n in ADDRESSES}
    kind = MeshTopology()
    imported = kind.read(f"recovered:{mesh.folder.root / 'dev-mesh.recovery.json'}", {}, {})
    assert isinstance(imported, Imported)
    assert kind.diff({}, imported.inputs, kind.check(mesh_configuration(), {})).changes == ()
    assert imported.state["topology"] == mesh.topology.to_dict()
    sealed = {name: mesh.hosts[at].files[paths.PLAIN.sealed_bundle][0].decode() for name, at in ADDRESSES.items()}
    assert imported.state["bundles"] == sealed


def test_the_commands_to_go_on_with_are_printed_and_no_secret_is(mesh: Mesh) -> None:
    done = run("--output", "here file.json")
    file = mesh.folder.root / "here file.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"pulumi import --file '{file}' --stack dev-mesh --generate-code=false --yes" in done.output
    steps = [line.strip() for line in done.output.splitlines()]
    ups = ["pulumi up --suppress-outputs --stack dev-mesh", *(f"pulumi up --stack dev-{name}" for name in ADDRESSES)]
    assert steps[-len(ups) :] == ups
    assert steps[-len(ups) - 2] == f"rm '{file}'"
    for secret in (encode_key(SECRET), *(encode_key(private_key(name)) for name in ADDRESSES)):
        assert secret not in done.output
    assert (mesh.folder.bin / "calls").read_text().count("config --json --show-secrets") == 4, "nothing was changed"
    assert not [event for host in mesh.hosts.values() for event in host.events]


def test_a_file_that_is_there_stays(mesh: Mesh) -> None:
    (mesh.folder.root / "dev-mesh.recovery.json").write_text("mine")
    done = run()
    assert done.exit_code == 1
    assert "is already there, and was left as it is" in done.stderr
    assert (mesh.folder.root / "dev-mesh.recovery.json").read_text() == "mine"


def test_a_host_that_is_away_stops_it_and_names_the_way_out(mesh: Mesh) -> None:
    mesh.hosts[ADDRESSES["farm"]].reachable = False
    done = run()
    assert done.exit_code == 1
    assert "dev-farm: host root@203.0.113.9: cannot connect" in done.stderr
    assert "--lost farm" in done.stderr
    assert not (mesh.folder.root / "dev-mesh.recovery.json").exists()


def test_a_dead_host_is_left_to_get_a_new_key_at_its_old_address(mesh: Mesh) -> None:
    mesh.hosts[ADDRESSES["farm"]].reachable = False
    (mesh.folder.bin / "dev-farm.json").unlink()
    done = run("--lost", "farm")
    assert done.exit_code == 0, done.output
    assert "the private key of 'farm' is lost (index 9, LANs 10.3.0.0/24" in done.stderr
    assert "pulumi up --stack dev-farm" not in done.output
    found = written(mesh.folder)
    assert set(found["inputs"]["sites"]) == set(found["private_keys"]) == {"berlin", "cabin"}
    assert found["allocations"]["farm"]["index"] == 9


@pytest.mark.parametrize("lost", ["nothing on the host", "another recipient key"])
def test_a_mesh_secret_that_nobody_can_open_is_made_anew_and_its_price_is_told(mesh: Mesh, lost: str) -> None:
    for name, address in ADDRESSES.items():
        if lost == "nothing on the host":
            del mesh.hosts[address].files[paths.PLAIN.sealed_bundle]
        else:
            mesh.stack(name, recipientKey=recipient.generate()[0])
    done = run()
    assert done.exit_code == 0, done.output
    assert "the mesh secret is lost, because no site's bundle opens" in done.stderr
    assert ("its host has none" if lost == "nothing on the host" else "sealed to recipient") in done.stderr
    assert "all pre-shared keys change" in done.stderr
    found = written(mesh.folder)
    assert found["mesh_secret"] != encode_key(SECRET)
    assert found["bundles"] == {}
    assert found["private_keys"]["cabin"] == [encode_key(private_key("cabin"))]


def test_one_bundle_that_opens_saves_the_mesh_secret_and_the_others_are_sealed_anew(mesh: Mesh) -> None:
    public = recipient.generate()
    mesh.stack("berlin", recipientKey=public[0])
    del mesh.hosts[ADDRESSES["farm"]].files[paths.PLAIN.sealed_bundle]
    done = run()
    assert "these sites get a newly sealed bundle, which changes nothing for them" in done.stderr
    found = written(mesh.folder)
    assert found["mesh_secret"] == encode_key(SECRET)
    assert set(found["bundles"]) == {"cabin"}
    assert found["inputs"]["sites"]["berlin"]["recipient"] == public[1]


def test_a_site_whose_recipient_key_is_lost_takes_the_public_half_of_the_meshs_file_or_is_told(mesh: Mesh) -> None:
    mesh.stack("berlin", recipientKey=None)
    assert run("--output", "first").exit_code == 0
    assert written(mesh.folder, "first")["inputs"]["sites"]["berlin"]["recipient"] == RECIPIENTS["berlin"][1]
    mesh.folder.mesh()
    done = run("--output", "second")
    assert done.exit_code == 1
    assert "site 'berlin': its stack has no recipientKey" in done.stderr


def test_a_lost_stack_file_of_the_mesh_is_printed_as_the_hosts_have_it(mesh: Mesh) -> None:
    mesh.folder.mesh()
    done = run()
    assert done.exit_code == 0, done.output
    head, _, text = done.stderr.partition("put it there:\n")
    assert "Pulumi.dev-mesh.yaml has no mesh" in head
    config = yaml.safe_load(text)["config"]
    assert config["wgmesh:role"] == "mesh"
    kind = MeshTopology()
    assert (
        kind.diff({}, kind.check(written(mesh.folder)["inputs"], {}), kind.check(config["wgmesh:mesh"], {})).changes
        == ()
    )


def test_what_hosts_have_that_the_stack_file_has_otherwise_stays_a_difference(mesh: Mesh) -> None:
    changed = mesh_configuration()
    changed["sites"]["farm"]["lans"] = ["10.33.0.0/24"]
    mesh.folder.mesh(**changed)
    assert run().exit_code == 0
    kind = MeshTopology()
    changes = kind.diff({}, kind.check(written(mesh.folder)["inputs"], {}), kind.check(changed, {})).changes
    assert [change.path for change in changes] == ["sites.farm.lans[0]"]


def test_hosts_that_contradict_each_other_stop_it_with_all_reasons(mesh: Mesh) -> None:
    host = mesh.hosts[ADDRESSES["cabin"]]
    config = layers.config_of(host.files[paths.PLAIN.config_layer][0])
    other = replace(config, mesh="prod", name="paris")
    host.files[paths.PLAIN.config_layer] = (layers.config_layer(other), 0o644, "root")
    done = run()
    assert done.exit_code == 1
    assert "its host runs the gateway of site 'paris', not of 'cabin'" in done.stderr
    assert "stack dev-cabin has mesh prod, stack dev-berlin has dev" in done.stderr


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (paths.PLAIN.config_layer, None, "so no gateway of ours"),
        (paths.PLAIN.config_layer, b"070701", "no newc header"),
        (paths.PLAIN.secrets_layer, b"\0" * 512, "no etc/wgnode/secrets.json"),
    ],
)
def test_damaged_files_are_named_with_their_host(mesh: Mesh, path: str, content: bytes | None, said: str) -> None:
    files = mesh.hosts[ADDRESSES["berlin"]].files
    if content is None:
        del files[path]
    else:
        files[path] = (content, 0o644, "root")
    done = run()
    assert done.exit_code == 1
    assert f"host root@{ADDRESSES['berlin']}:" in done.stderr
    assert said in done.stderr


def test_a_bundle_of_a_newer_version_ends_it_by_name_and_is_not_taken_for_lost(mesh: Mesh) -> None:
    files = mesh.hosts[ADDRESSES["berlin"]].files
    sealed = base64.b64decode(files[paths.PLAIN.sealed_bundle][0])
    newer = base64.b64encode(bytes([sealed[0] + 1]) + sealed[1:])
    files[paths.PLAIN.sealed_bundle] = (newer, 0o644, "root")
    done = run()
    assert done.exit_code == 1
    assert "site berlin: the bundle has format 3" in done.stderr


def test_sites_of_two_meshes_are_not_mixed(mesh: Mesh) -> None:
    mesh.stack("farm", mesh="prod-mesh")
    done = run()
    assert done.exit_code == 1
    assert "several meshes" in done.stderr
    assert run("--stack", "dev-berlin", "--stack", "dev-cabin", "--lost", "farm").exit_code == 0


def test_the_last_host_left_takes_its_endpoint_from_the_meshs_file(mesh: Mesh) -> None:
    done = run("--lost", "cabin", "--lost", "farm")
    assert done.exit_code == 0, done.output
    assert written(mesh.folder)["inputs"]["sites"]["berlin"]["endpoint"] == "198.51.100.2:51820"


def test_every_site_lost_is_refused(mesh: Mesh) -> None:
    done = run(*(word for name in ADDRESSES for word in ("--lost", name)))
    assert done.exit_code == 1
    assert "no host to recover anything from" in done.stderr


def test_wrong_usage_is_2(mesh: Mesh, tmp_path: Path) -> None:
    assert run("--environment", "dev", "--stack", "dev-berlin").exit_code == 2
    assert run("--environment", "nowhere").exit_code == 2


def test_hosts_of_before_ids_get_what_the_first_up_would_give_them(mesh: Mesh) -> None:
    mesh.become_older_than_ids()
    done = run()
    assert done.exit_code == 0, done.output
    found = written(mesh.folder)
    for name, address in ADDRESSES.items():
        one = found["allocations"][name]
        config = layers.config_of(mesh.hosts[address].files[paths.PLAIN.config_layer][0])
        assert one["lanMac"] == config.lan.mac == lan_mac_of_names("dev", name)
        assert len(one["id"]) == 16
    kind = MeshTopology()
    imported = kind.read(f"recovered:{mesh.folder.root / 'dev-mesh.recovery.json'}", {}, {})
    assert isinstance(imported, Imported)
    sites = imported.state["topology"]["sites"]
    assert [there["labels"] for there in sites.values()] == [[1, 2]] * 3
    assert {name: there["id"] for name, there in sites.items()} == {n: found["allocations"][n]["id"] for n in ADDRESSES}


def test_a_rename_that_hosts_do_not_know_of_yet_or_that_is_long_done_is_no_difference(mesh: Mesh) -> None:
    raw = mesh_configuration()
    raw["sites"]["lager"] = {**raw["sites"].pop("farm"), "renamedFrom": "farm"}
    raw["forget"] = ["elsewhere"]
    mesh.folder.mesh(**raw)
    mesh.folder.remove("dev-farm")
    mesh.hosts["203.0.113.9"] = mesh.hosts.pop(ADDRESSES["farm"])
    host = {"address": "203.0.113.9", "hostKeys": [PIN], "agent": True}
    mesh.folder.site("lager", host=host, recipientKey=RECIPIENTS["farm"][0])
    done = run()
    assert done.exit_code == 0, done.output
    kind = MeshTopology()
    imported = kind.read(f"recovered:{mesh.folder.root / 'dev-mesh.recovery.json'}", {}, {})
    assert isinstance(imported, Imported)
    assert imported.state["topology"]["sites"]["lager"]["id"] == site_id("farm")
    state = over_the_wire(imported.state)
    assert kind.diff(state, imported.inputs, kind.check(raw, {})).changes == ()


def test_the_engine_takes_an_unknown_key_beside_its_own(mesh: Mesh) -> None:
    run()
    content = json.loads((mesh.folder.root / "dev-mesh.recovery.json").read_text())
    assert set(content) == {"resources", "recovered"}
    assert recovery.read(content["resources"][1]["id"]).epoch == 3


def test_of_several_gateways_of_a_host_the_site_s_own_is_read(mesh: Mesh) -> None:
    host, name = mesh.hosts[ADDRESSES["farm"]], "farm"
    own = paths.Paths("3fa9c1d2")
    for number, (called, instance) in enumerate((("office", ""), (name, own.instance))):
        record = Record(Owner(f"3fa9c1d2e4b5060{number}", "dev", called), "1", instance, 119 + number)
        host.files[record.path] = (record.to_json().encode(), 0o644, "root")
    stack = SiteStack("dev-farm", name, "dev-mesh", Connection(ADDRESSES[name], (PIN,)), RECIPIENTS[name][0])
    with pytest.raises(HostError, match=r"there is no /var/lib/wgnode/gateway-3fa9c1d2/config\.cpio"):
        read_files(host, stack, {})
    for there in (paths.PLAIN.config_layer, paths.PLAIN.secrets_layer, paths.PLAIN.sealed_bundle):
        host.files[there.replace(paths.PLAIN.gateway, own.gateway)] = host.files.pop(there)
    assert read_files(host, stack, {}).remains.site == name


def recorded(host: FakeHost, *gateways: tuple[str, str, str, str]) -> None:
    """Records on a host, each (id, mesh, name, instance)."""
    for number, (id, of, called, instance) in enumerate(gateways):
        record = Record(Owner(id, of, called), "1", instance, 119 + number)
        host.files[record.path] = (record.to_json().encode(), 0o644, "root")


def test_an_id_comes_back_from_the_hosts_record_where_no_bundle_opens(mesh: Mesh) -> None:
    for name, address in ADDRESSES.items():
        recorded(mesh.hosts[address], (site_id(name), "dev", name, ""))
        del mesh.hosts[address].files[paths.PLAIN.sealed_bundle]
    done = run()
    assert done.exit_code == 0, done.output
    found = written(mesh.folder)["allocations"]
    assert {name: one["id"] for name, one in found.items()} == {name: site_id(name) for name in ADDRESSES}


def test_a_record_of_another_site_than_the_bundle_is_refused(mesh: Mesh) -> None:
    recorded(mesh.hosts[ADDRESSES["farm"]], ("3fa9c1d2e4b50600", "dev", "farm", ""))
    done = run()
    assert done.exit_code == 1
    assert f"its host's record says id 3fa9c1d2e4b50600, its bundle {site_id('farm')}" in done.stderr


@pytest.mark.parametrize(
    "other", [("3fa9c1d2e4b50600", "prod", "farm", "3fa9c1d2"), ("3fa9c1d2e4b50600", "dev", "office", "3fa9c1d2")]
)
@pytest.mark.parametrize("called", ["farm", "barn"])
def test_the_record_is_found_by_mesh_and_name_the_present_or_the_former(
    mesh: Mesh, other: tuple[str, str, str, str], called: str
) -> None:
    host = mesh.hosts[ADDRESSES["farm"]]
    recorded(host, other, (site_id("farm"), "dev", called, ""))
    stack = SiteStack("dev-farm", "farm", "dev-mesh", Connection(ADDRESSES["farm"], (PIN,)), RECIPIENTS["farm"][0])
    configured = {"name": "dev", "sites": {"farm": {"renamedFrom": "barn"}}}
    assert read_files(host, stack, configured).remains.recorded_id == site_id("farm")


# A program of one's own, whose stack files say nothing of sites


def named(there: Mesh, **more: Any) -> Path:
    """A file with its sites, and more."""
    file = there.folder.root / "sites.yaml"
    hosts = {name: {"address": at, "hostKeys": [PIN], "agent": True} for name, at in ADDRESSES.items()}
    sites = {name: {"host": host, "recipientKey": RECIPIENTS[name][0]} for name, host in hosts.items()}
    file.write_text(yaml.safe_dump({"sites": sites, **more}))
    return file


def test_by_a_file_of_hosts_a_mesh_goes_into_any_program_s_stack_under_its_own_name(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = run("--environment", "dev")
    assert done.exit_code == 0, done.output
    file = named(mesh, mesh=mesh_configuration())
    monkeypatch.chdir(tmp_path)
    by_file = run("--hosts", str(file), "--into", "org/own/prod", "--name", "backbone")
    assert by_file.exit_code == 0, by_file.output
    assert by_file.stderr == ""
    assert "--stack org/own/prod" in by_file.output
    content = json.loads((tmp_path / "prod.recovery.json").read_text())
    assert content["recovered"] == written(mesh.folder)
    assert [one["logicalName"] for one in content["resources"]] == ["backbone"] * 2
    imported = MeshTopology().read(f"recovered:{tmp_path / 'prod.recovery.json'}", {}, {})
    assert isinstance(imported, Imported)
    assert imported.id == "backbone"


def test_without_the_mesh_s_arguments_the_file_s_reader_is_told_them(mesh: Mesh) -> None:
    done = run("--hosts", str(named(mesh)), "--into", "prod", "--output", str(mesh.folder.root / "x.json"))
    assert done.exit_code == 0, done.output
    assert "note: the program has to give the mesh these arguments" in done.stderr
    assert "10.1.0.0/24" in done.stderr
    for private, _ in RECIPIENTS.values():
        assert private not in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sites: {}", "sites: is empty"),
        (
            "sites: {berlin: {host: {address: 192.0.2.1}}}",
            "sites.berlin.host.hostKeys: is missing: pin the host's keys",
        ),
        ("sites: {berlin: {recipientKey: secret-text}}", "sites.berlin.host: is missing: how its host is reached"),
        ("sites: [", "sites.yaml: "),
    ],
)
def test_a_file_of_hosts_that_can_t_be_is_refused_at_its_path(mesh: Mesh, text: str, said: str) -> None:
    file = mesh.folder.root / "sites.yaml"
    file.write_text(text)
    done = run("--hosts", str(file), "--into", "prod")
    assert done.exit_code == 1
    assert said in done.output
    assert "secret-text" not in done.output


@pytest.mark.parametrize("words", [["--hosts", "sites.yaml"], ["--into", "prod"]])
def test_a_file_of_hosts_and_a_stack_belong_together(mesh: Mesh, words: list[str]) -> None:
    named(mesh)
    done = run(*words)
    assert done.exit_code == 2
    assert "belong together" in done.output
