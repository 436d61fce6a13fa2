"""`wgnode who`, and what was counted of devices, over a fake engine and hosts whose hostd keeps a real ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pulumi_wgnode.cli import who
from pulumi_wgnode.hosts import egress_record
from pulumi_wgnode.hosts import host as hosts
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import site_status, whose
from tests.unit.pulumi_wgnode.fake_host import FakeHost, said
from tests.unit.pulumi_wgnode.operations.project import Folder
from tests.unit.pulumi_wgnode.operations.status_case import CONFIG, health
from wgnode.cli.user import command as user_command
from wgnode.hostd.ledger import Ledger
from wgnode.nodeconfig import NodeConfig, PeerConfig, encode_key

NOW = 1_700_000_000.0
ALICE, BOB = bytes([7]) * 32, bytes([8]) * 32
ADDRESS = "10.1.0.130"


def config(name: str, key: bytes) -> NodeConfig:
    return replace(CONFIG, devices=(PeerConfig(name, (key,), (f"{ADDRESS}/32",)),))


FIRST, SECOND = config("alice/phone", ALICE), config("bob/tablet", BOB)


class Host(FakeHost):
    """`ledger` is None for a hostd of before there was one."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.now = NOW
        self.ledger: Ledger | None = Ledger(folder, lambda: self.now, pytest.fail)
        self.raised: hosts.HostError | None = None
        self.record = ""  # of public addresses

    def _sh(self, argv: list[str], input: bytes) -> hosts.Result:
        if argv[2] == egress_record._READ:
            return said("".join(line + "\n" for line in self.record.splitlines() if f" {argv[4]} " in line))
        if argv[2] not in (whose._ASK, site_status._READ):
            return super()._sh(argv, input)
        if self.raised:
            raise self.raised
        if self.ledger is None:
            return hosts.Result(2, "" if argv[2] == whose._ASK else f"{json.dumps(health())}\n\n\n", "")
        if argv[2] == whose._ASK:
            return said(json.dumps(self.ledger.holders(argv[5])) + "\n")
        return said(f"{json.dumps(health())}\n\nimages/{'ab' * 32}\n\n{json.dumps(self.ledger.accounts())}\n")

    def runs(self, at: float, config: NodeConfig, *peers: dict[str, Any]) -> None:
        assert self.ledger is not None
        self.now = NOW + at
        self.ledger.heard({"applied": config.digest, "run": "one", "peers": peers}, config, "guest")


@pytest.fixture
def host(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path / "bin")
    folder.site("berlin")
    monkeypatch.setattr(pool, "connect", lambda _: made)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(who.command, list(words))


def told(*words: str) -> dict[str, Any]:
    (site,) = json.loads(run(ADDRESS, "--json", *words).stdout)["sites"]
    return dict(site)


def at(seconds: float) -> tuple[str, str]:
    from time import gmtime, strftime

    return "--at", strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(NOW + seconds))


def test_whose_an_address_was_stays_exact_after_it_was_given_to_another(host: Host) -> None:
    host.runs(0, FIRST)
    host.runs(3600, FIRST)
    host.runs(3610, SECOND)
    before, after = run(ADDRESS, *at(1800)), run(ADDRESS)
    assert (before.exit_code, after.exit_code) == (0, 0)
    assert before.stdout == (
        f"{ADDRESS} at berlin: alice/phone  key {encode_key(ALICE)}  since 2023-11-14T22:13:20Z"
        " until 2023-11-14T23:13:20Z\n"
    )
    assert after.stdout == f"{ADDRESS} at berlin: bob/tablet  key {encode_key(BOB)}  since 2023-11-14T23:13:30Z\n"
    assert [told(*at(seconds))["holdings"][0]["user"] for seconds in (3600, 3610)] == ["alice", "bob"]


def test_an_address_is_the_same_however_it_is_written(host: Host) -> None:
    host.runs(0, FIRST)
    assert run(f"::ffff:{ADDRESS}").stdout == run(ADDRESS).stdout


def test_within_a_change_both_are_shown_and_none_is_claimed(host: Host) -> None:
    host.runs(0, FIRST)
    host.runs(3610, SECOND)
    found = run(ADDRESS, *at(3605))
    assert found.exit_code == 1
    assert found.stdout.splitlines()[0] == f"! {ADDRESS} at berlin was given or taken away just then:"
    assert [line.split()[0] for line in found.stdout.splitlines()[1:]] == ["alice/phone", "bob/tablet"]
    assert told(*at(3605))["state"] == "changing"


def test_a_time_at_which_only_something_else_of_a_device_changed_is_its_own(host: Host) -> None:
    host.runs(0, FIRST)
    longer = replace(FIRST, devices=tuple(replace(one, expires=2_000_000_000) for one in FIRST.devices))
    host.runs(3610, longer)
    assert "alice/phone" in run(ADDRESS, *at(3605)).stdout
    assert "expires 2033-05-18T03:33:20Z" in run(ADDRESS).stdout


def test_what_was_before_the_record_and_what_is_nobodys_are_told_apart(host: Host) -> None:
    host.runs(0, FIRST)
    found = run(ADDRESS, *at(-1))
    assert found.exit_code == 1
    assert "! berlin: its host's record begins at 2023-11-14T22:13:20Z" in found.stdout
    found = run("10.1.0.131", *at(100))
    assert (found.exit_code, found.stdout) == (1, "! 10.1.0.131 was no device's at berlin\n")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("10.1.0",), "'10.1.0' is not an address"),
        (("fe80::1%eth0",), "has a zone, which means something on one machine only"),
        ((ADDRESS, "--at", "soon"), "is no time"),
        ((ADDRESS, "--at", "2999-01-01"), "come"),
    ],
)
def test_what_is_no_address_or_no_time_that_was_is_wrong_usage(host: Host, words: tuple[str, ...], what: str) -> None:
    found = run(*words)
    assert (found.exit_code, what in found.output) == (2, True)


def test_a_host_that_keeps_no_record_or_is_away_is_named(host: Host) -> None:
    host.raised = hosts.HostUnreachable("host berlin: no route")
    assert "! berlin: host berlin: no route" in run(ADDRESS).stdout
    host.raised, host.ledger = None, None
    found = run(ADDRESS)
    assert (found.exit_code, "older than this; `pulumi up` of its stack renews it" in found.stdout) == (1, True)


def test_a_public_address_is_whose_it_led_to_then(host: Host) -> None:
    host.runs(0, FIRST)
    host.runs(3600, FIRST)
    host.record = (
        f"{int(NOW)} {int(NOW) + 1} 203.0.113.33 {ADDRESS}\n{int(NOW) + 1800} {int(NOW) + 1802} 203.0.113.33 -\n"
    )
    found = run("203.0.113.33", *at(900))
    assert found.stdout.startswith(f"203.0.113.33 ({ADDRESS} in the LAN) at berlin: alice/phone  key")
    assert run("203.0.113.33").stdout == "! 203.0.113.33 was no device's at berlin\n"
    found = run("203.0.113.33", *at(1801))
    assert (found.exit_code, "was given or taken away just then" in found.stdout) == (1, True)
    assert "alice/phone" in found.stdout
    assert "its host's record begins at 2023-11-14T22:13:21Z" in run("203.0.113.33", *at(-100)).stdout


# What was counted


def counted(folder: Folder) -> None:
    file = folder.root / "stacks/Pulumi.dev-berlin.yaml"
    said = yaml.safe_load(file.read_text())
    phone = {"publicKey": encode_key(ALICE), "addresses": [ADDRESS]}
    tablet = {"publicKey": encode_key(BOB), "addresses": ["10.1.0.131"]}
    said["config"]["wgmesh:site"] |= {
        "pool": {"v4": "10.1.0.128/26"},
        "groups": {"staff": {"reach": "all"}},
        "users": {"alice": {"groups": ["staff"], "devices": {"phone": phone, "tablet": tablet}}},
    }
    file.write_text(yaml.safe_dump(said))


def show(*words: str) -> Result:
    return CliRunner().invoke(user_command, list(words))


PHONE = {
    "public_key": encode_key(ALICE),
    "serial": 1,
    "rx_bytes": 2048,
    "tx_bytes": 1024,
    "rx_packets": 9,
    "tx_packets": 5,
    "sessions": 2,
    "last_handshake": NOW,
    "endpoint": "192.0.2.7:1000",
    "denied": 3,
    "denials": [
        {
            "outgoing": True,
            "rule": "",
            "source": "10.1.0.130",
            "destination": "10.1.0.7",
            "protocol": 6,
            "port": 22,
            "packets": 3,
            "at": NOW,
        }
    ],
}


def test_a_users_devices_are_shown_with_what_was_counted_of_each(host: Host, folder: Folder) -> None:
    counted(folder)
    host.runs(0, FIRST, PHONE)
    (phone, tablet) = json.loads(show("show", "alice", "--json").stdout)["devices"]
    assert phone["counted"] == {
        **{name: PHONE[name] for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "sessions", "denied")},
        "denials": PHONE["denials"],
        "first_seen": NOW,
        "last_seen": NOW,
        "endpoints": [{"endpoint": "192.0.2.7:1000", "first": NOW, "last": NOW}],
    }
    assert tablet["counted"] is None
    lines = show("show", "alice").stdout.splitlines()
    assert lines[1].split()[-4:] == ["last", "seen", "received", "sent"]
    assert lines[2].split()[-4:] == ["2.0", "KiB", "1.0", "KiB"]
    assert lines[4] == "  phone came from 192.0.2.7:1000, 2023-11-14T22:13:20Z to 2023-11-14T22:13:20Z"
    assert lines[5] == "  phone: 3 packets denied in all"
    file = folder.root / "stacks/Pulumi.dev-berlin.yaml"
    (line,) = [n for n, text in enumerate(file.read_text().splitlines(), 1) if "reach:" in text]
    assert lines[6] == (
        "  phone: denied 2023-11-14T22:13:20Z: 3 packets to 10.1.0.7, TCP port 22: nothing allows it; see"
        f" groups.staff.reach (stacks/{file.name}:{line})"
    )
    (phone, _) = json.loads(show("list", "--counted", "--json").stdout)["devices"]
    assert phone["counted"]["rx_packets"] == 9


@pytest.mark.parametrize("words", [("show", "alice", "--offline"), ("list",)])
def test_nobody_is_asked_who_need_not_be(host: Host, folder: Folder, words: tuple[str, ...]) -> None:
    counted(folder)
    host.raised = hosts.HostUnreachable("away")
    found = show(*words)
    assert (found.exit_code, found.stderr) == (0, "")


def test_a_host_that_is_away_or_older_costs_only_what_it_would_have_told(host: Host, folder: Folder) -> None:
    counted(folder)
    host.raised = hosts.HostUnreachable("host berlin: no route")
    found = show("show", "alice")
    assert (found.exit_code, found.stderr) == (
        0,
        "note: what was counted at berlin is not known: host berlin: no route\n",
    )
    assert "may connect" in found.stdout
    host.raised, host.ledger = None, None
    assert json.loads(show("show", "alice", "--json").stdout)["devices"][0]["counted"] is None
