"""`wgnode status` with a fake engine and fake hosts: exit codes, JSON, watching, and rows of what can't be asked."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.commands import status
from infra.hosts import pool
from infra.hosts.host import Connection
from tests.unit.infra.commands.project import PIN, Folder
from tests.unit.infra.commands.test_site_status import CONFIG, IMAGE, StatusHost, health, peer
from wgnode.cli import main


class Hosts:
    """One host a site, by address; what its gateway says is the test's."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.said = folder, dict[str, StatusHost]()

    def site(self, name: str, address: str, report: dict[str, Any]) -> StatusHost:
        self.folder.site(name, host={"address": address, "hostKeys": [PIN], "agent": True})
        self.said[address] = StatusHost(json.dumps(report) + f"\nimages/{IMAGE}\n")
        return self.said[address]

    def connect(self, connection: Connection) -> StatusHost:
        host = self.said[connection.address]
        host._reach()
        return host


@pytest.fixture
def hosts(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts(folder)
    monkeypatch.setattr(pool, "connect", made.connect)
    return made


def report(**changes: Any) -> dict[str, Any]:
    """Of a gateway that is well just now."""
    now = time.time()
    peers = [peer(name, last_handshake=now - 5) for name in ("cabin", "farm")]
    return health(*peers, **changes)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["status", *arguments])


def test_all_healthy_is_0_and_anything_wrong_is_1(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2", report())
    assert run().exit_code == 0
    hosts.site("paris", "198.51.100.3", {"status": "stopped", "peers": []})
    done = run()
    assert done.exit_code == 1
    assert "berlin: running" in done.output
    assert "  ! the gateway is stopped" in done.output
    assert run("--stack", "dev-berlin").exit_code == 0


def test_wrong_usage_is_2_and_says_the_way_out(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2", report())
    assert run("--environment", "dev", "--stack", "dev-berlin").exit_code == 2
    done = run("--environment", "nowhere")
    assert done.exit_code == 2
    assert "`wgnode site new` writes the first" in done.output


def test_a_host_or_a_stack_that_is_away_is_a_row_and_the_others_answer(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2", report())
    hosts.site("paris", "198.51.100.3", report()).reachable = False
    hosts.site("rome", "198.51.100.4", report())
    (hosts.folder.bin / "dev-rome.json").unlink()
    done = run("--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert {site["stack"]: site["status"] for site in found["sites"]} == {
        "dev-berlin": "running",
        "dev-paris": "away",
        "dev-rome": "away",
    }
    assert "cannot connect" in found["sites"][1]["problems"][0]
    assert "no stack named 'dev-rome' found" in found["sites"][2]["problems"][0]


def test_json_has_ages_digests_and_health(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2", report())
    found = json.loads(run("--json").stdout)
    assert found["healthy"] is True
    site = found["sites"][0]
    assert (site["image"], site["loaded"], site["wanted"]) == (IMAGE, CONFIG.digest, CONFIG.digest)
    assert 4 < site["peers"][0]["handshake_age"] < 60


def test_watching_looks_again_until_it_is_interrupted(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.site("berlin", "198.51.100.2", report())
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


RESTING = {
    "cabin": {"index": 2, "addresses": ["10.99.0.2", "fd00:99::2"], "publicKeys": ["a key"]},
    "depot": {"index": 3, "addresses": ["10.99.0.3", "fd00:99::3"], "publicKeys": []},
}


def test_what_rests_is_listed_and_is_no_fault(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2", report())
    hosts.folder.outputs("dev-mesh", topology={}, resting=RESTING)
    done = run()
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(
        "\n\nresting in dev-mesh: cabin (index 2, 10.99.0.2, fd00:99::2),"
        " depot (index 3, 10.99.0.3, fd00:99::3, private key lost)\n"
    )
    assert json.loads(run("--json").stdout)["resting"] == {"dev-mesh": RESTING}


def test_a_mesh_in_which_nothing_rests_or_ever_could_adds_no_line(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2", report())
    for outputs in ({"topology": {}}, {"topology": {}, "resting": {}}):
        hosts.folder.outputs("dev-mesh", **outputs)
        assert "resting" not in run().output


def test_a_mesh_that_can_not_be_read_is_a_note_and_the_sites_are_shown(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2", report())
    done = run()
    assert done.exit_code == 0
    assert "note: what rests in dev-mesh is not known: stack 'dev-mesh': no stack named 'dev-mesh' found" in done.stderr
    assert "berlin: running" in done.stdout
