"""`wgnode rollout plan`: what it binds, what it predicts, and in which worlds there is no plan."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.config import SiteConfig
from pulumi_wgnode.call.kind import Secret
from pulumi_wgnode.components import Site
from pulumi_wgnode.components.compiled import compile_gateway
from pulumi_wgnode.hosts.host import Connection, HostUnreachable
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations.checking.stackfile import OfflineSite
from pulumi_wgnode.operations.rolling import planning
from pulumi_wgnode.operations.rolling.states import SiteState
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.many_sites import Project
from tests.unit.pulumi_wgnode.test_compiled import PIN, config, mesh
from tests.unit.pulumi_wgnode.test_components import Engine, engine, run
from tools import ROOT
from wgnode.cli import main
from wgnode.rollout.changes import changes
from wgnode.rollout.facts import Seen, Where
from wgnode.rollout.fingerprint import SECRET, SIGNATURE
from wgnode.rollout.plan import Plan
from wgnode.rollout.refusal import facts, moved
from wgnode.topology.compile import SiteFacts, host_routes, node_config
from wgnode.topology.model import Topology

__all__ = ["engine", "mesh"]
KINDS = {"HypervisorHost": HypervisorHost, "NatFirewall": NatFirewall, "Gateway": Gateway}
SURROUNDINGS = {"inside": ["203.0.113.64/28"], "outside": ["10.0.0.0/24"], "interfaces": ["dmz0"]}
OPEN = {"protocol": "udp", "port": 5}
ACCESS = {"agent": True, "hostKeys": [PIN]}
FORWARDING = {"versions": [4], "bridges": ["lan0"]}


def exported(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "resources": [{"urn": f"urn:pulumi:s::wgmesh::{one['type']}::{n}", **one} for n, one in enumerate(resources)]
    }


@pytest.mark.parametrize("reach", ["host-route", "proxy-arp", "masquerade"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "firewall": {
                "allow": [{"protocol": "tcp", "port": 443, "from": ["192.0.2.0/24"]}, {"protocol": "udp", "port": 5}]
            }
        },
        {"firewall": {"forward": [{"protocol": "tcp", "port": 80}], "keep": True, "leaveAlone": ["mgmt0"]}},
        {
            "host": {"address": "203.0.113.2", "port": 2222, "sshPort": 22, "user": "ops", "agent": True},
            "uplink": "br0",
        },
        {"gateway": {"memory": 256, "cpus": 2, "accelerator": "tcg", "image": "image.tar"}, "carrier": "t-mobile-us"},
    ],
)
def test_of_a_site_that_does_not_change_the_prediction_is_what_its_state_has(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, reach: str, more: dict[str, Any]
) -> None:
    """The state is made of what the component registers and each kind's own check, its host's own part with it."""
    pin = {"hostKeys": config(tmp_path).host.host_keys}
    site: SiteConfig = config(
        tmp_path, reach=reach, **{**more, **({"host": more["host"] | pin} if "host" in more else {})}
    )
    run(lambda: Site("cabin", site, topology=mesh["topology"], bundle=mesh["bundles"]["cabin"], root=tmp_path))
    secret = {"secrets": compile_gateway(site, mesh["topology"], mesh["bundles"]["cabin"])["secrets"]}
    olds = {"NatFirewall": {"surroundings": SURROUNDINGS}}
    resources = []
    for name, kind in KINDS.items():
        given = engine.inputs(name) | {"NatFirewall": {"forwarding": FORWARDING}, "Gateway": secret}.get(name, {})
        inputs = kind().check(given, olds.get(name, {}))  # type: ignore[attr-defined]
        resources.append({"type": f"wgnode:index:{name}", "inputs": inputs, "outputs": inputs})
    state = SiteState.of("dev-cabin", exported(*resources))
    model = OfflineSite.model_validate({**site.to_dict(), "recipientKey": "sealed", "gateway": site.gateway.to_dict()})
    before, after = state.picture, state.foreseen(model, Topology.from_dict(mesh["topology"]), tmp_path)
    assert before is not None
    assert changes(before, after) == []
    assert before.digests() == after.digests()
    assert "dmz0" in json.dumps(dict(before.rules.rules))


FAKE = """#!/bin/sh
here="$(dirname "$0")"
echo "$@" >> "$here/calls"
verb="$1 $2"; stack=; file=
while [ $# -gt 0 ]; do
  case "$1" in --stack) stack="$2";; --save-plan) file="$2";; esac; shift
done
case "$verb" in
  "stack tag") echo '{}'; exit;;
  "stack export") kind=export;; config*) kind=config;;
  preview*) echo "the engine's plan of $stack" > "$file"; exit;;
esac
cat "$here/$stack.$kind" 2>/dev/null || { echo "error: no stack named '$stack' found" >&2; exit 6; }
"""


class Deployed(Project):
    """A committed project whose stacks have run: states as the engine exports them, and hosts that answer."""

    def __init__(self, root: Path, sites: int = 3) -> None:
        super().__init__(root, sites)
        self.bin = root / "bin"
        self.bin.mkdir()
        (self.bin / "pulumi").write_text(FAKE)
        (self.bin / "pulumi").chmod(0o755)
        image = root / "build/image/appliance.tar"
        image.parent.mkdir(parents=True)
        image.write_bytes(b"the image")
        (root / ".gitignore").write_text("bin\nbuild\n*.plan*\n")
        self.state: dict[str, Any] = {}
        self.up()
        self.commit()
        self.commit()

    def up(self) -> None:
        """Of everything, as it stands in the files."""
        kind = MeshTopology()
        inputs = kind.check(copy.deepcopy(self.mesh) | {"keepalive": 25, "listenPort": 51820}, {})
        self.state = (
            kind.update("mesh", self.state, inputs, False) if self.state else kind.create("mesh", inputs, False)[1]
        )
        outputs = {
            key: sealed(value.value) if isinstance(value, Secret) else value for key, value in self.state.items()
        }
        self.state = {key: value.value if isinstance(value, Secret) else value for key, value in self.state.items()}
        self.export("prod-mesh", {"type": "wgnode:index:MeshTopology", "inputs": inputs, "outputs": outputs})
        for name in self.own:
            self.up_site(name)

    def up_site(self, name: str) -> None:
        own, topology = self.own[name], Topology.from_dict(self.state["topology"])
        addresses = tuple(str(ip_address(text)) for text in own["lan"]["gatewayAddresses"])
        connection = {
            "address": own["host"]["address"],
            "hostKeys": own["host"]["hostKeys"],
            "user": "root",
            "port": 22,
        }
        shared = {"connection": connection, "site": {"id": topology.sites[name].id, "mesh": "prod", "name": name}}
        routes = [{"to": one.to, "via": one.via} for one in host_routes(topology, name, addresses)]
        networks = {"uplink": own["uplink"], "lanInterface": own["lan"]["interface"], "routes": routes}
        firewall = {**shared, "uplink": own["uplink"], "managementNetworks": own["managementNetworks"]}
        firewall |= {"leaveAlone": [own["lan"]["interface"]], "allow": own["firewall"]["allow"]}
        gateway = {
            **shared,
            "machine": {"accelerator": "tcg", "memory": own["gateway"]["memory"], "cpus": own["gateway"]["cpus"]},
            "image": {"directory": "/x", "sha256": hashlib.sha256(b"the image").hexdigest()},
            "config": node_config(topology, name, SiteFacts(addresses)).to_json().decode(),
            "secrets": sealed("the private key"),
        }
        firewall, when = NatFirewall().check(firewall, {}), {"modified": "2026-11-30T08:00:00Z"}
        self.export(
            f"prod-{name}",
            {"type": "wgnode:index:HypervisorHost", "inputs": {**shared, "networks": networks}, "outputs": {}} | when,
            {"type": "wgnode:index:NatFirewall", "inputs": firewall, "outputs": firewall} | when,
            {"type": "wgnode:index:Gateway", "inputs": gateway, "outputs": {"live": "x", "applied": "x"}} | when,
        )
        plain = {
            "wgmesh:site": {"objectValue": {**own, "recipientKey": "k", "host": {**own["host"], "privateKey": "k"}}}
        }
        (self.bin / f"prod-{name}.config").write_text(json.dumps(plain))

    def export(self, stack: str, *resources: dict[str, Any]) -> None:
        (self.bin / f"{stack}.export").write_text(json.dumps({"version": 3, "deployment": exported(*resources)}))

    def plan(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["rollout", "plan", "-C", str(self.root), "-e", "prod", *arguments])

    def made(self) -> Plan:
        """Of what is committed now."""
        self.commit()
        file = self.root / "x.plan"
        done = self.plan("--output", str(file))
        assert done.exit_code == 0, done.output
        return Plan.from_json(file.read_bytes())


def sealed(value: Any) -> dict[str, str]:
    return {SIGNATURE: SECRET, "plaintext": json.dumps(value)}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    made = Deployed(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    monkeypatch.setattr(pool, "connect", lambda connection: None)
    return made


def test_where_nothing_changes_nothing_is_to_be_done(project: Deployed) -> None:
    plan = project.made()
    assert plan.course.stacks == ()
    assert set(plan.stacks) == {"prod-mesh", "prod-site0", "prod-site1", "prod-site2"}
    assert (plan.engine_plan, plan.groups, plan.unknown) == (None, (), {})
    assert "preview" not in (project.bin / "calls").read_text()


def test_a_new_site_is_planned_for_all_and_comes_true_after_the_meshs_up(project: Deployed) -> None:
    project.add("oslo")
    project.export("prod-oslo")
    (project.bin / "prod-oslo.config").write_text((project.bin / "prod-site0.config").read_text())
    plan = project.made()
    assert plan.course.mesh == "prod-mesh"
    assert plan.engine_plan == hashlib.sha256((project.root / "x.plan.engine").read_bytes()).hexdigest()
    assert plan.waves == (("prod-site0",), ("prod-oslo",), ("prod-site1", "prod-site2"))
    assert plan.unknown == {"oslo": ""}
    assert [(group.sites, group.lines[0]) for group in plan.groups] == [
        (("prod-site0", "prod-site1", "prod-site2"), "+ peer oslo (its key is not made yet)"),
        (("prod-oslo",), "+ it is deployed for the first time"),
    ]
    project.up()
    for stack in ("prod-site0", "prod-site1", "prod-site2"):
        deployment = json.loads((project.bin / f"{stack}.export").read_text())["deployment"]
        picture = SiteState.of(stack, deployment).picture
        assert picture is not None
        assert picture.digests(plan.unknown) == plan.stacks[stack].after
        assert picture.digests() != plan.stacks[stack].after


def test_the_plan_binds_each_state_as_it_is(project: Deployed) -> None:
    project.open_port(0, 443)
    plan = project.made()
    assert plan.waves == (("prod-site0",),)
    seen: dict[str, Seen | None] = {name: Seen(one.before, one.state) for name, one in plan.stacks.items()}
    assert moved(plan, seen) == {}
    file = project.bin / "prod-site1.export"
    file.write_text(file.read_text().replace('"live": "x"', '"live": "y"'))
    again = project.made()
    seen["prod-site1"] = Seen(again.stacks["prod-site1"].before, again.stacks["prod-site1"].state)
    assert moved(plan, seen) == {"prod-site1": "wgnode:index:Gateway 2: other outputs"}
    assert not facts(plan, seen).undoing
    assert replace(again, commit=plan.commit, base=plan.base).digest != plan.digest


def test_what_an_up_before_it_left_in_the_middle_is_planned_though_nothing_else_of_it_changes(
    project: Deployed,
) -> None:
    file = project.bin / "prod-site1.export"
    state = json.loads(file.read_text())
    state["deployment"]["resources"][-1]["initErrors"] = ["it does not boot"]
    file.write_text(json.dumps(state))
    plan = project.made()
    assert plan.waves == (("prod-site1",),)
    assert plan.stacks["prod-site1"].before == plan.stacks["prod-site1"].after
    assert [group.lines for group in plan.groups] == [(planning.UNFINISHED,)]
    seen: dict[str, Seen | None] = {name: Seen(one.before, one.state) for name, one in plan.stacks.items()}
    assert facts(plan, seen).places == {"prod-site1": Where.OLD}


def test_no_secret_is_in_the_plan_and_a_changed_one_is_another_state(project: Deployed) -> None:
    text = project.made().to_json().decode()
    assert not [one for one in [project.state["meshSecret"], "the private key"] if one in text]
    assert not [key for keys in project.state["privateKeys"].values() for key in keys if key in text]
    plan = project.made()
    file = project.bin / "prod-site1.export"
    file.write_text(file.read_text().replace("the private key", "another key"))
    assert project.made().stacks["prod-site1"].state != plan.stacks["prod-site1"].state


def test_outages_what_lasts_and_who_is_away_are_named(project: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    project.own["site0"]["gateway"]["memory"] = 256
    project.sites["site1"]["keyGeneration"] = 2
    project.write("site0")
    project.commit()

    def connect(connection: Connection) -> None:
        if connection.address.endswith(".3"):
            raise HostUnreachable(f"host root@{connection.address}: no answer")

    monkeypatch.setattr(pool, "connect", connect)
    done = project.plan("--output", str(project.root / "x.plan"))
    assert "prod-site0: a new guest: gateway.memory" in done.output
    assert "site 'site1' gets a new key" in done.output
    assert "prod-site2: host root@198.51.100.3: no answer" in done.output
    assert "first: prod-mesh\n  canary: prod-site0" in done.output
    plan = Plan.from_json((project.root / "x.plan").read_bytes())
    assert plan.away == ("prod-site2",)
    assert plan.digest in done.output
    assert plan.digest in project.plan("--markdown").output
    assert json.loads(project.plan("--json").output)["commit"] == plan.commit


def another_version(project: Deployed) -> None:
    file = project.bin / "prod-site1.export"
    file.write_text(file.read_text().replace('\\"format\\":1', '\\"format\\":0'))


def dirty(project: Deployed) -> None:
    (project.root / "stacks/Pulumi.prod-site0.yaml").write_text("config: {}\n")


def no_mesh(project: Deployed) -> None:
    project.export("prod-mesh")


def broken(project: Deployed) -> None:
    project.sites["site1"]["lans"] = ["10.128.0.0/24"]
    project.write()
    project.commit()


def lost(project: Deployed) -> None:
    (project.bin / "prod-site2.export").unlink()
    (project.bin / "prod-site1.export").unlink()


def no_image(project: Deployed) -> None:
    (project.root / "build/image/appliance.tar").unlink()


def no_passphrase(project: Deployed) -> None:
    project.open_port(1, 443)
    project.commit()
    (project.bin / "prod-site1.config").unlink()


def no_engine(project: Deployed) -> None:
    (project.bin / "pulumi").unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dirty, ["there are changes that no commit has (stacks/Pulumi.prod-site0.yaml)"]),
        (no_mesh, ["mesh stack 'prod-mesh' has not run yet"]),
        (broken, ["the stack files have problems:", "overlaps"]),
        (lost, ["stack 'prod-site1': no stack named", "stack 'prod-site2': no stack named"]),
        (no_image, ["stack 'prod-site0': its image", "make image"]),
        (no_passphrase, ["not every stack could be read", "prod-site1"]),
        (no_engine, ["no `pulumi` on PATH"]),
        (another_version, ["stack 'prod-site1': its gateway was deployed by another version"]),
    ],
)
def test_there_is_no_plan_and_it_says_why(
    project: Deployed, change: Callable[[Deployed], None], said: list[str]
) -> None:
    change(project)
    done = project.plan("--output", str(project.root / "x.plan"))
    assert done.exit_code == 1, done.output
    assert [text for text in said if text not in done.output] == []
    assert not (project.root / "x.plan").exists()


def test_a_base_that_is_none_and_no_environment_are_told(project: Deployed) -> None:
    done = project.plan("--base", "v41")
    assert done.exit_code == 1
    assert "there is no commit 'v41' here to go back to" in done.output
    assert CliRunner().invoke(main, ["rollout", "plan", "-C", str(project.root)]).exit_code == 2


def pulumi_of(environment: Mapping[str, str], folder: Path) -> Callable[..., str]:
    def run_it(*words: str) -> str:
        argv = ["pulumi", *words, "--non-interactive"]
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_it


def test_with_the_real_engine(
    tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mesh that ran, a site that never did, and a change of the mesh's file."""
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, 1)
    for name in ("infra", "plugin", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / ".gitignore").write_text("infra\nplugin\n.venv\n")
    project.own["site0"]["gateway"]["sha256"] = "ab" * 32
    project.own["site0"]["host"] = {**project.own["site0"]["host"], "agent": True}
    del project.own["site0"]["host"]["privateKey"]
    project.write("site0")
    environment = {**pulumi_environment(), "PWD": str(folder), "VIRTUAL_ENV": str(ROOT / ".venv")}
    pulumi = pulumi_of(environment, folder)
    for stack in ("prod-mesh", "prod-site0"):
        pulumi("stack", "init", stack)
    pulumi("config", "set", "--path", "wgmesh:site.recipientKey", "--secret", "k", "--stack", "prod-site0")
    pulumi("up", "--yes", "--skip-preview", "--stack", "prod-mesh", "--suppress-outputs")
    project.commit()
    file = folder / "stacks/Pulumi.prod-mesh.yaml"
    file.write_text(file.read_text().replace("198.51.100.1:51820", "198.51.100.99:51820"))
    project.commit()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pool, "connect", lambda connection: None)
    done = CliRunner().invoke(
        main, ["rollout", "plan", "-C", str(folder), "-e", "prod", "--output", str(tmp_path / "x")]
    )
    assert done.exit_code == 0, done.output
    assert "~ site site0: endpoint: 198.51.100.1:51820 → 198.51.100.99:51820" in done.output
    assert Plan.from_json((tmp_path / "x").read_bytes()).course.stacks == ("prod-mesh", "prod-site0")
    state = json.loads(pulumi("stack", "export", "--show-secrets", "--stack", "prod-mesh"))["deployment"]["resources"]
    outputs = next(one for one in state if one["type"].endswith("MeshTopology"))["outputs"]
    secrets = [
        json.loads(outputs["meshSecret"]["plaintext"]),
        *json.loads(outputs["privateKeys"]["plaintext"])["site0"],
    ]
    written = (tmp_path / "x").read_text() + (tmp_path / "x.engine").read_text() + done.output
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in written]


def followed(project: Deployed) -> dict[str, Any]:
    done = CliRunner().invoke(
        main, ["rollout", "status", "-C", str(project.root), str(project.root / "x.plan"), "--json"]
    )
    found: dict[str, Any] = json.loads(done.output)
    assert done.exit_code == (0 if set(found["stacks"].values()) <= {"new"} and not found["unread"] else 1)
    return found


def test_a_plan_is_followed_through_its_waves_whoever_runs_up(project: Deployed) -> None:
    project.add("oslo")
    project.export("prod-oslo")
    (project.bin / "prod-oslo.config").write_text((project.bin / "prod-site0.config").read_text())
    project.made()
    before = {name: (project.bin / f"prod-{name}.export").read_text() for name in project.own}
    assert followed(project)["next"] == ["prod-mesh"]
    project.up()
    after = {name: (project.bin / f"prod-{name}.export").read_text() for name in project.own}
    for name, text in before.items():
        (project.bin / f"prod-{name}.export").write_text(text)
    for turn in (["site0"], ["oslo"], ["site1", "site2"]):
        found = followed(project)
        assert found["next"] == [f"prod-{name}" for name in turn]
        assert (found["moved"].keys() - {"prod-mesh", "prod-site0", "prod-oslo"}, found["against"]) == (set(), [])
        for name in turn:
            (project.bin / f"prod-{name}.export").write_text(after[name])
    assert followed(project)["next"] == []
    argv = ["rollout", "status", "-C", str(project.root), str(project.root / "x.plan")]
    assert CliRunner().invoke(main, argv).output.startswith("environment prod, commit ")
    assert "5 of 5 stacks done" in CliRunner().invoke(main, argv).output


def test_a_state_that_moved_under_a_plan_is_named_with_its_difference(project: Deployed) -> None:
    project.open_port(0, 443)
    project.made()
    for stack in ("prod-site0", "prod-site1"):
        file = project.bin / f"{stack}.export"
        file.write_text(file.read_text().replace('"live": "x"', '"live": "y"'))
    project.commit()
    argv = ["rollout", "status", "-C", str(project.root), str(project.root / "x.plan")]
    done = CliRunner().invoke(main, argv)
    assert done.exit_code == 1
    assert "make a new one:\n  prod-site0: wgnode:index:Gateway 2: other outputs\n  prod-site1: " in done.output
    assert "is checked out: check that out or plan anew" in done.output
    assert followed(project)["stacks"] == {"prod-site0": "moved"}


def test_a_state_that_can_not_be_read_is_not_done(project: Deployed) -> None:
    project.open_port(0, 443)
    project.made()
    (project.bin / "prod-site0.export").unlink()
    found = followed(project)
    assert found["stacks"] == {"prod-site0": "unknown"}
    assert "no stack named" in found["unread"]["prod-site0"]
    (project.bin / "prod-mesh.export").unlink()
    assert followed(project)["stacks"] == {"prod-site0": "unknown"}


def test_what_is_no_plan_is_wrong_usage(project: Deployed) -> None:
    (project.root / "x.plan").write_text("{}")
    done = CliRunner().invoke(main, ["rollout", "status", "-C", str(project.root), str(project.root / "x.plan")])
    assert done.exit_code == 2
    assert "this is no plan of a rollout" in done.output


def test_a_plan_that_can_not_be_written_is_an_error_and_one_without_an_engine_plan_leaves_none_beside(
    project: Deployed,
) -> None:
    done = project.plan("--output", str(project.root / "nowhere/x.plan"))
    assert (done.exit_code, "nowhere/x.plan" in done.output) == (1, True)
    (project.root / "x.plan.engine").write_text("of another plan")
    assert project.plan("--output", str(project.root / "x.plan")).exit_code == 0
    assert not (project.root / "x.plan.engine").exists()
