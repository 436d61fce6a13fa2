"""`wgnode status` with a fake engine and fake hosts: exit codes, JSON, watching, and rows of what can't be asked."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from pulumi_wgnode.cli import status
from pulumi_wgnode.hosts.host import Connection, HostUnreachable, LoginRefused
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import looking
from pulumi_wgnode.operations.hosts import bounded
from pulumi_wgnode.provider import registry
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.keys import UNSHOWN
from tests.unit.pulumi_wgnode.operations.project import PIN, Folder
from tests.unit.pulumi_wgnode.resources.gateway_case import CONFIG
from tests.unit.pulumi_wgnode.resources.whole_site import SiteHost, WholeSite
from tests.unit.topology.meshes import topology_of, two_sites
from wgnode.cli import main
from wgnode.image.paths import PLAIN


class Hosts:
    """One host a site, by address, with all of the site on it."""

    def __init__(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch, self.by_address = folder, monkeypatch, dict[str, SiteHost]()

    def site(self, name: str, address: str) -> SiteHost:
        self.folder.site(name, host={"address": address, "hostKeys": [PIN], "agent": True})
        whole = WholeSite(self.folder.root, self.monkeypatch)
        self.folder.export(f"dev-{name}", whole.export())
        self.by_address[address] = whole.host
        return whole.host

    def connect(self, connection: Connection) -> SiteHost:
        host = self.by_address[connection.address]
        host._reach()
        return host

    def kind(self, token: str) -> OnHost:
        made = getattr(importlib.import_module(registry.MODULES[token]), token.rsplit(":", 1)[1])
        return OnHost(made(connect=self.connect), self.connect)


@pytest.fixture
def hosts(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts(folder, monkeypatch)
    monkeypatch.setattr(pool, "connect", made.connect)
    monkeypatch.setattr(registry, "kind", made.kind)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["status", *arguments])


def test_all_healthy_is_0_and_anything_wrong_is_1(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    assert run().exit_code == 0
    hosts.site("paris", "198.51.100.3").states[PLAIN.gateway_unit][0] = "inactive"
    done = run()
    assert done.exit_code == 1
    assert "berlin: running" in done.output
    assert "  ! the gateway is booting" in done.output
    assert f"  ! gateway: service {PLAIN.gateway_unit} is inactive" in done.output
    assert run("--stack", "dev-berlin").exit_code == 0


def flushed(host: SiteHost) -> None:
    host.table = None


def bridge_gone(host: SiteHost) -> None:
    del host.links["wgnode-br0"]


def uplink_gone(host: SiteHost) -> None:
    del host.links["wan0"], host.sysctls["net/ipv6/conf/wan0/accept_ra"]


@pytest.mark.parametrize("harm", [flushed, bridge_gone, uplink_gone])
def test_a_gateway_that_runs_on_a_host_that_is_not_as_wanted_is_1(
    hosts: Hosts, harm: Callable[[SiteHost], None]
) -> None:
    harm(hosts.site("berlin", "198.51.100.2"))
    done = run()
    assert (done.exit_code, "berlin: running" in done.output) == (1, True), done.output
    assert "`pulumi preview --diff --stack dev-berlin` shows all of it" in done.output


def test_a_stack_without_a_state_is_1_and_its_site_is_asked_all_the_same(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    hosts.folder.export("dev-berlin", '{"version": 3, "deployment": {}}')
    done = run()
    assert done.exit_code == 1
    assert "berlin: running" in done.output
    assert "  ! nothing is deployed: its stack has had no `pulumi up` yet" in done.output
    hosts.folder.export("dev-berlin", "no state")
    assert "gives no state that this version can read" in run().output


def test_somebody_whom_the_host_does_not_let_in_is_not_away(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.site("berlin", "198.51.100.2")

    def refuse(_: Connection) -> None:
        raise LoginRefused("host root@198.51.100.2: takes none of our keys")

    monkeypatch.setattr(pool, "connect", refuse)
    done = run()
    assert done.exit_code == 1
    assert done.stdout.startswith("berlin: refused ")


def test_a_host_that_lets_us_in_and_is_slow_is_not_away(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.site("berlin", "198.51.100.2")
    ended = threading.Event()
    monkeypatch.setattr(looking, "ask", lambda *_: ended.wait(60))
    monkeypatch.setattr(
        looking, "bounded", lambda ask, site, wait=0.5, late=HostUnreachable: bounded(ask, site, 0.5, late)
    )
    done = run()
    ended.set()
    assert done.stdout.startswith("berlin: unknown ")
    assert "no answer within 0.5 s" in done.output


@pytest.mark.parametrize(("comes_back", "word"), [(True, "unknown"), (False, "away")])
def test_a_host_whose_connection_breaks_is_away_only_if_no_other_can_be_made(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch, comes_back: bool, word: str
) -> None:
    host = hosts.site("berlin", "198.51.100.2")

    def broken(*_: object) -> None:
        host.reachable = comes_back
        raise HostUnreachable("host root@198.51.100.2: the connection broke in the middle of `sh`")

    monkeypatch.setattr(looking, "ask", broken)
    done = run()
    assert (done.exit_code, done.stdout.split()[1]) == (1, word)


def test_wrong_usage_is_2_and_says_the_way_out(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    assert run("--environment", "dev", "--stack", "dev-berlin").exit_code == 2
    done = run("--environment", "nowhere")
    assert done.exit_code == 2
    assert "`wgnode site new` writes the first" in done.output


def test_a_host_or_a_stack_that_is_away_is_a_row_and_the_others_answer(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    hosts.site("paris", "198.51.100.3").reachable = False
    hosts.site("rome", "198.51.100.4")
    (hosts.folder.bin / "dev-rome.json").unlink()
    done = run("--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert {site["stack"]: site["status"] for site in found["sites"]} == {
        "dev-berlin": "running",
        "dev-paris": "away",
        "dev-rome": "unknown",
    }
    assert "cannot connect" in found["sites"][1]["problems"][0]
    assert "no stack named 'dev-rome' found" in found["sites"][2]["problems"][0]


def test_json_has_ages_digests_and_health(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    found = json.loads(run("--json").stdout)
    assert found["healthy"] is True
    site = found["sites"][0]
    assert (site["loaded"], site["wanted"]) == (CONFIG.digest, CONFIG.digest)
    assert 4 < site["peers"][0]["handshake_age"] < 60
    assert {part["name"]: part["state"] for part in site["parts"]} == dict.fromkeys(
        ("host", "firewall", "image", "gateway"), "as wanted"
    )


def test_json_has_what_differs_by_path_with_what_was_found_and_wanted_and_no_secret(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2").sysctls["net/ipv4/ip_forward"] = "0"
    said = run("--json").stdout
    host = json.loads(said)["sites"][0]["parts"][0]
    assert host["differences"] == [{"path": ["sysctls", "net/ipv4/ip_forward"], "found": "0", "wanted": "1"}]
    assert UNSHOWN not in said


def test_watching_looks_again_until_it_is_interrupted(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.site("berlin", "198.51.100.2")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=wait, time=time.time))
    done = run("--watch")
    assert (done.exit_code, waits) == (0, [2.0, 2.0])
    assert done.output.count("berlin: running") == 2
    assert (hosts.folder.bin / "calls").read_text().count("config") == 1, "secrets are asked for once"
    assert (hosts.folder.bin / "calls").read_text().count("export") == 1


def test_watching_compares_a_host_that_is_as_wanted_only_now_and_then(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = hosts.site("berlin", "198.51.100.2")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            host.table = None
        if len(waits) == status.COMPARED + 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=wait, time=time.time))
    looks = run("--watch").output.split("berlin: running")[1:]
    found = ["firewall: none of its" in look for look in looks]
    assert found == [False] * status.COMPARED + [True] * 2, "once something differs, it is looked at each time"


def test_watching_takes_a_new_state_where_something_differs(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody runs `pulumi up` meanwhile."""
    host = hosts.site("berlin", "198.51.100.2")
    export = (hosts.folder.bin / "dev-berlin.export.json").read_text()
    hosts.folder.export("dev-berlin", export.replace("10.2.0.0/24", "10.7.0.0/24"))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        hosts.folder.export("dev-berlin", export)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=wait, time=time.time))
    done = run("--watch")
    assert done.exit_code == 0, done.output
    first, second = done.output.split("berlin: running")[1:]
    assert "route 10.7.0.0/24 is missing" in first
    assert "!" not in second
    assert host.events


RESTING = {
    "cabin": {"index": 2, "addresses": ["10.99.0.2", "fd00:99::2"], "publicKeys": ["a key"]},
    "depot": {"index": 3, "addresses": ["10.99.0.3", "fd00:99::3"], "publicKeys": []},
}


def test_what_rests_is_listed_and_is_no_fault(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    hosts.folder.outputs("dev-mesh", topology={}, resting=RESTING)
    done = run()
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(
        "\n\nresting in dev-mesh: cabin (index 2, 10.99.0.2, fd00:99::2),"
        " depot (index 3, 10.99.0.3, fd00:99::3, private key lost)\n"
    )
    assert json.loads(run("--json").stdout)["resting"] == {"dev-mesh": RESTING}


def test_a_mesh_in_which_nothing_rests_or_ever_could_adds_no_line(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    for outputs in ({"topology": {}}, {"topology": {}, "resting": {}}):
        hosts.folder.outputs("dev-mesh", **outputs)
        assert "resting" not in run().output


def test_a_mesh_that_can_not_be_read_is_a_note_and_the_sites_are_shown(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    done = run()
    assert done.exit_code == 0
    assert "note: what rests in dev-mesh is not known: stack 'dev-mesh': no stack named 'dev-mesh' found" in done.stderr
    assert "berlin: running" in done.stdout


def test_an_endpoint_with_a_former_port_is_noted_beside_its_site(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    outputs = {**topology_of(two_sites()).to_dict(), "listenPort": 51999, "formerListenPorts": [51820]}
    hosts.folder.outputs("dev-mesh", topology=outputs)
    done = run()
    assert (done.exit_code, done.output.count("  ? endpoint 198.51.100.2:51820 has the former listenPort 51820")) == (
        0,
        1,
    )
    (site,) = json.loads(run("--json").stdout)["sites"]
    assert len(site["notes"]) == 1
