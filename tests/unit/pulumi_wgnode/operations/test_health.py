"""`wgnode health` over hosts that are faked at the SSH seam: three verdicts, and which neighbour excuses a pair."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pulumi_wgnode.hosts import host as hosts
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Connection, HostUnreachable
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations.gating import asking, gate
from tests.unit.pulumi_wgnode.operations.project import PIN, Folder
from wgnode.cli import main
from wgnode.image import paths
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig, encode_key

IMAGE, LIVE = "ab" * 32, "cd" * 32
NAMES = ("berlin", "cabin", "oslo")
APPLIED_BEFORE = 60.0
"""Seconds."""


def key(name: str) -> bytes:
    return bytes([NAMES.index(name) + 1]) * 32


def config(name: str, *peers: str, endpoints: bool = True) -> NodeConfig:
    number = NAMES.index(name) + 1
    return NodeConfig(
        mesh="dev",
        name=name,
        public_keys=(key(name),),
        listen_port=51820,
        addresses=(f"10.99.0.{number}/24",),
        transit=LinkConfig("52:54:00:aa:bb:01", ("172.31.255.254/30",), ("172.31.255.253",)),
        lan=LinkConfig("52:54:00:aa:bb:cc", (f"10.{number}.0.2/24",)),
        peers=tuple(
            PeerConfig(
                peer,
                (key(peer),),
                (f"10.99.0.{NAMES.index(peer) + 1}/32",),
                f"198.51.100.{NAMES.index(peer) + 1}:51820" if endpoints else None,
            )
            for peer in peers
        ),
    )


@dataclass
class Site:
    """A host at the SSH seam whose clock is an hour ahead; `says` changes its node's health, `paths` by peer."""

    config: NodeConfig
    here: bool = True
    says: dict[str, Any] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: str = ""
    asked: list[bool] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)

    def run(self, argv: Sequence[str], **_: Any) -> hosts.Result:
        if argv[2] == asking._LOOK:
            self.asked.append("--fresh" in argv)
            self.searches.append(argv[6])
            now = time.time() + 3600
            self.kept = self.kept or json.dumps(self.health(now))
            said = self.kept if self.says.get("replays") else json.dumps(self.health(now))
            clock = f"{now} {5000.0}"
            started = int((5000.0 - self.says.get("runs", 61.0)) * 1e6)
            probing = json.dumps({"probing": True})
            return hosts.Result(0, f"{clock}\n{said}\n{clock}\n{started}\nimages/{IMAGE}\n\n{probing}\n{clock}\n", "")
        return hosts.Result(0, json.dumps(self.health(time.time())) + "\n", "")

    def read_file(self, path: str) -> None:
        return None

    def health(self, now: float) -> dict[str, Any]:
        peers = [
            {
                "name": one.name,
                "public_key": encode_key(one.public_keys[0]),
                "last_handshake": now - 3,
                "path_mtu": {
                    "size": 1440,
                    "evidence": "probe",
                    "since": now,
                    "round_trip": 0.02,
                    "small_sent": 8,
                    "small_answered": 8,
                },
                **self.peers.get(one.name, {}),
            }
            for one in self.config.peers
        ]
        known = {"status": "running", "time": now, "uptime": 60.0, "applied": self.config.digest, "live": LIVE}
        return {**known, "peers": peers, **{name: value for name, value in self.says.items() if name in known}}


class Mesh:
    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.sites: dict[str, Site] = {}
        for name in NAMES:
            self.site(name, Site(config(name, *(other for other in NAMES if other != name))))

    def site(self, name: str, site: Site) -> None:
        number = NAMES.index(name) + 1
        self.sites[name] = site
        address = {"address": f"198.51.100.{number}", "hostKeys": [PIN]}
        self.folder.site(name, host=address)
        gateway = {
            "type": "wgnode:index:Gateway",
            "urn": "x",
            "modified": f"{_utc(time.time() - APPLIED_BEFORE)}",
            "inputs": {
                "connection": address,
                "config": site.config.to_json().decode(),
                "image": {"directory": "/x", "sha256": IMAGE},
            },
            "outputs": {"applied": site.config.digest, "live": LIVE},
        }
        self.folder.export(f"dev-{name}", json.dumps({"deployment": {"resources": [gateway]}}))

    def connect(self, connection: Connection) -> Site:
        site = self.sites[NAMES[int(connection.address.rsplit(".", 1)[1]) - 1]]
        if not site.here:
            raise HostUnreachable(f"host {connection.address}: no answer")
        return site

    def health(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["health", "-C", str(self.folder.root), *arguments])

    def told(self, *arguments: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.health("--json", *arguments).output)
        return said


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Clock:
    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    made = Mesh(Folder(tmp_path))
    clock = Clock()
    monkeypatch.setenv("PATH", f"{made.folder.bin}:/usr/bin:/bin")
    monkeypatch.setattr(pool, "connect", made.connect)
    monkeypatch.setattr(owners, "paths_of", lambda found, site: paths.PLAIN)
    monkeypatch.setattr(asking, "answer", lambda host, query: None)
    monkeypatch.setattr("pulumi_wgnode.operations.site_status.answer", lambda host, query: None)
    monkeypatch.setattr(gate.gate, "__defaults__", (gate.gate.__defaults__[0], lambda: clock.now, clock.sleep))  # type: ignore[index]
    return made


def test_three_healthy_sites_pass_after_two_looks(mesh: Mesh) -> None:
    done = mesh.health("-e", "dev")
    assert done.exit_code == 0, done.output
    assert "3 sites: pass" in done.output
    assert "dev-berlin: 2 pairs, at most 20 ms there and back" in done.output
    assert mesh.sites["berlin"].asked == [True, False]  # handshakes are asked for once, and then are there


def test_handshakes_have_to_be_newer_than_the_last_change_of_anything_at_the_site(mesh: Mesh) -> None:
    """Its firewall too can cut a tunnel, whose session goes on for a while."""
    file = mesh.folder.bin / "dev-berlin.export.json"
    state = json.loads(file.read_text())
    state["deployment"]["resources"].append(
        {"type": "wgnode:index:NatFirewall", "urn": "y", "modified": _utc(time.time() - 10)}
    )
    mesh.sites["berlin"].peers["oslo"] = {"last_handshake": time.time() + 3600 - 20}
    assert mesh.told("-s", "dev-berlin")["verdict"] == "pass"
    file.write_text(json.dumps(state))
    (why,) = mesh.told("-s", "dev-berlin")["sites"]["dev-berlin"]["why"]
    assert why.startswith("with oslo: its last handshake is older than the change")


def test_a_pair_that_does_not_talk_fails_both_and_names_them(mesh: Mesh) -> None:
    mesh.sites["berlin"].peers["oslo"] = {"last_handshake": None}
    mesh.sites["oslo"].peers["berlin"] = {"last_handshake": None}
    said = mesh.told("-e", "dev")
    assert {name: one["verdict"] for name, one in said["sites"].items()} == {
        "dev-berlin": "fail",
        "dev-cabin": "pass",
        "dev-oslo": "fail",
    }
    assert said["sites"]["dev-berlin"]["why"] == ["with oslo: no handshake yet"]
    assert mesh.health("-s", "dev-oslo").exit_code == 1


def test_the_old_guests_answer_replayed_does_not_pass(mesh: Mesh) -> None:
    """It is of this configuration, as after a change of the image alone, and its handshakes are new enough."""
    mesh.sites["berlin"].says = {"replays": True, "runs": 20.0}
    done = mesh.health("-s", "dev-berlin")
    assert done.exit_code == 3
    assert "of a guest that runs for 60 s, but the host's has run for 20 s" in done.output


def test_a_kept_answer_grows_old(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    site = mesh.sites["berlin"]
    site.kept = json.dumps(site.health(time.time() + 3600 - 30))
    site.says = {"replays": True}
    done = mesh.health("-s", "dev-berlin")
    assert done.exit_code == 3
    assert re.search(r"its answer is 3\d s old", done.output)


def test_a_search_that_is_under_way_is_not_begun_anew_by_the_next_look(mesh: Mesh) -> None:
    site = mesh.sites["berlin"]
    site.peers["cabin"] = {"path_mtu": {"size": 1440, "evidence": "unknown", "since": 0.0, "small_sent": 0}}
    assert mesh.health("-s", "dev-berlin", "--handshake", "30").exit_code == 1
    assert site.searches[:3] == ["--fresh", "", "no"]


def away(mesh: Mesh) -> None:
    mesh.sites["oslo"].here = False


def stopped(mesh: Mesh) -> None:
    mesh.sites["oslo"].says["status"] = "stopped"


def not_deployed(mesh: Mesh) -> None:
    mesh.folder.export("dev-oslo", "{}")


def not_changed_yet(mesh: Mesh) -> None:
    mesh.site("oslo", Site(config("oslo", "cabin")))


def uncallable(mesh: Mesh) -> None:
    mesh.site("oslo", Site(config("oslo", "berlin", "cabin", endpoints=False)))
    mesh.site("berlin", Site(config("berlin", "oslo", endpoints=False)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (away, "its host does not let us ask it"),
        (stopped, "its gateway is stopped"),
        (not_deployed, "has no gateway yet"),
        (not_changed_yet, "one of the two does not know the other's key yet"),
        (uncallable, "neither of the two can be called"),
    ],
)
def test_a_peer_that_can_not_talk_yet_excuses_its_pair_and_is_told(mesh: Mesh, change: Any, why: str) -> None:
    change(mesh)
    mesh.sites["berlin"].peers["oslo"] = {"last_handshake": None}
    said = mesh.told("-s", "dev-berlin")
    assert said["verdict"] == "pass"
    assert why in said["sites"]["dev-berlin"]["notes"][0]


def test_who_is_away_was_not_measured_and_others_are_judged(mesh: Mesh) -> None:
    mesh.sites["oslo"].here = False
    for name in ("berlin", "cabin"):
        mesh.sites[name].peers["oslo"] = {"last_handshake": None}
    said = mesh.told("-e", "dev")
    assert said["verdict"] == "could not be measured"
    assert [one["verdict"] for one in said["sites"].values()] == ["pass", "pass", "could not be measured"]
    assert mesh.health("-e", "dev").exit_code == 3


def test_limits_and_soak_are_the_callers(mesh: Mesh) -> None:
    assert mesh.health("-s", "dev-berlin", "--round-trip", "19").exit_code == 1
    assert mesh.health("-s", "dev-berlin", "--round-trip", "20").exit_code == 0
    mesh.sites["berlin"].asked.clear()
    assert mesh.health("-s", "dev-berlin", "--soak", "60").exit_code == 0
    assert len(mesh.sites["berlin"].asked) == 2 + 60 / gate.INTERVAL


def test_wrong_usage_is_neither_verdict(mesh: Mesh) -> None:
    (mesh.folder.root / "no.plan").write_text("{}")
    assert mesh.health("-e", "dev", "--against", str(mesh.folder.root / "no.plan")).exit_code == 2
    assert mesh.health("-e", "nowhere").exit_code == 2
    assert mesh.health("-s", "dev-nowhere").exit_code == 3
