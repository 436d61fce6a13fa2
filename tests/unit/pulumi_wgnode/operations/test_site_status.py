"""What counts as healthy: a gateway that runs what its host's disk has, with a session wherever one is kept alive."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import (
    Connection,
    HostError,
    HostHangs,
    HostKeyMismatch,
    HostUnreachable,
    LoginRefused,
    NoRoot,
    NoShell,
    NoSsh,
    NotAsked,
    OutOfTime,
    Result,
    ShutOut,
)
from pulumi_wgnode.hosts.owners import Owner, Record
from pulumi_wgnode.operations import site_status
from pulumi_wgnode.operations.counted import Counted
from pulumi_wgnode.operations.hosts import ask_all
from pulumi_wgnode.operations.site_parts import Difference, Part
from pulumi_wgnode.operations.site_status import Answer, judge
from pulumi_wgnode.operations.stacks import SiteStack, StackError
from pulumi_wgnode.operations.status_table import render
from tests.unit.pulumi_wgnode.fake_host import FakeHost
from tests.unit.pulumi_wgnode.operations.status_case import (
    CABIN,
    CONFIG,
    IMAGE,
    NOW,
    WELL,
    health,
    peer,
    status,
    with_parts,
)
from wgnode.hostd.accounts import Account, Counts
from wgnode.image import layers, paths
from wgnode.nodeconfig import PeerConfig, encode_key


def problems(raw: dict[str, Any]) -> str:
    return "\n".join(status(raw).problems)


def test_a_gateway_that_runs_what_its_disk_has_is_healthy() -> None:
    assert status(health()).healthy
    assert status(health(applied=CONFIG.digest, loaded="ef" * 32)).healthy


@pytest.mark.parametrize("word", ["stopped", "booting", "silent", "failed"])
def test_a_gateway_that_does_not_run_is_a_problem(word: str) -> None:
    assert f"the gateway is {word}: the guest is gone" in problems(
        {"status": word, "error": "the guest is gone", "peers": []}
    )


def test_what_a_guests_kernel_does_not_hold_is_a_note() -> None:
    assert status(health(unconfined=[])).notes == ()
    found = status(health(unconfined=["seccomp", "ptrace"]))
    assert found.healthy
    assert "its guest's kernel does not hold seccomp, ptrace" in found.notes[0]


def test_no_gateway_at_all_is_a_problem() -> None:
    assert "no gateway is deployed here" in "\n".join(status({}, config=None).problems)


def test_a_part_that_is_not_as_wanted_is_a_problem_of_a_site_whose_gateway_runs() -> None:
    rule = Difference(("rules", "masquerade-v4"), None, "postrouting: masquerade")
    found = with_parts((*WELL[:1], Part("firewall", "differs", (rule,), {"rules": 9}), *WELL[2:]))
    assert (found.status, found.problems) == ("running", ("firewall: rule masquerade-v4 is missing",))
    assert not with_parts((*WELL[:3], Part("gateway", "as wanted", said=("a warning",)))).healthy


def test_a_stack_that_was_never_run_or_whose_state_can_not_be_read_is_a_problem() -> None:
    never = tuple(replace(part, state="missing") for part in WELL)
    assert with_parts(never).problems == ("nothing is deployed: its stack has had no `pulumi up` yet",)
    assert with_parts(StackError("stack 'dev-berlin': incorrect passphrase")).problems == (
        "whether its host is as it should be is not known: stack 'dev-berlin': incorrect passphrase",
    )


@pytest.mark.parametrize(("age", "healthy"), [(180.0, True), (181.0, False)])
def test_a_session_that_a_site_without_endpoint_keeps_alive_is_never_older_than_180_s(
    age: float, healthy: bool
) -> None:
    found = status(health(peer("cabin", last_handshake=NOW - age), peer("farm")))
    assert found.healthy is healthy
    assert healthy or found.problems == ("no handshake with cabin for 181 s",)


def test_our_own_keepalive_keeps_a_session_alive_too() -> None:
    calling = replace(CONFIG, peers=tuple(replace(one, persistent_keepalive=25) for one in CONFIG.peers))
    old = [peer(name, last_handshake=NOW - 500, persistent_keepalive=25) for name in ("cabin", "farm")]
    assert len(status(health(*old, loaded=calling.digest), calling).problems) == 2


def test_two_sites_that_can_be_called_and_say_nothing_have_no_session_and_are_well() -> None:
    assert status(health(peer("cabin"), peer("farm", last_handshake=NOW - 5000))).healthy
    assert status(health(peer("cabin"), peer("farm", last_handshake=None, tx_bytes=0))).healthy


def test_a_peer_that_never_answered_is_a_problem() -> None:
    assert "no handshake with farm yet, it does not answer" in problems(
        health(peer("cabin"), peer("farm", last_handshake=None))
    )
    assert problems(health(peer("cabin", last_handshake=None, tx_bytes=0), peer("farm"))) == (
        "no handshake with cabin yet"
    )


PHONE = PeerConfig("alice/phone", (bytes([9]) * 32,), ("10.1.0.130/32",), expires=int(NOW))
PEOPLE = replace(CONFIG, devices=(PHONE,))


def phone(**changes: object) -> dict[str, object]:
    return {**peer("cabin"), "name": "alice/phone", "public_key": encode_key(PHONE.public_keys[0]), **changes}


def test_a_device_that_is_switched_off_is_no_problem_and_one_that_has_expired_is_told() -> None:
    raw = health(peer("cabin"), peer("farm"), phone(last_handshake=None), loaded=PEOPLE.digest)
    found = status(raw, replace(PEOPLE, devices=(replace(PHONE, expires=int(NOW) + 1),)))
    assert (found.healthy, found.notes, found.peers[2].device, found.peers[2].expired) == (True, (), True, False)
    found = status(raw, PEOPLE)
    assert found.healthy
    assert found.peers[2].expired
    assert found.notes == (
        "device alice/phone has expired (1970-01-12T13:46:40Z) and is refused; `wgnode user expire` gives more time",
    )
    assert render([found]).splitlines()[6].split()[:3] == ["alice/phone", "192.0.2.7:40000", "expired"]


def test_what_is_counted_in_all_is_shown_in_place_of_what_this_node_has_counted() -> None:
    counts = Counts(rx_bytes=5 << 20, tx_bytes=3 << 20, rx_packets=9, tx_packets=8, sessions=7)
    account = Account("cabin", (encode_key(CABIN),), counts=counts, first_seen=1.0, last_seen=2.0)
    gone = replace(account, name="former", left=5.0, counts=Counts())
    answer = Answer(health(), IMAGE, CONFIG, accounts=(account, gone))
    found = judge("dev-berlin", "berlin", "root@fake", answer, WELL, NOW)
    assert found.peers[0].counted == Counted(**counts._asdict(), first_seen=1.0, last_seen=2.0, endpoints=())
    assert found.peers[1].counted is None
    cabin, farm = (line.split()[-4:] for line in render([found]).splitlines()[4:6])
    assert (cabin, farm) == (["5.0", "MiB", "3.0", "MiB"], ["2.0", "KiB", "1.0", "KiB"])


# Asking


class StatusHost(FakeHost):
    """Answers the one script that status runs."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.said = said
        self.asked: list[str] = []
        self.files[paths.PLAIN.config_layer] = (layers.config_layer(CONFIG), 0o644, "root")

    def _sh(self, argv: list[str], input: bytes) -> Result:
        if argv[2] == owners.READ:
            return super()._sh(argv, input)
        assert argv[2] == site_status._READ
        self.asked = list(argv[4:])
        return Result(0, self.said, "")


def test_a_host_is_asked_for_health_image_and_configuration() -> None:
    found = site_status.ask(StatusHost(json.dumps(health()) + f"\nimages/{IMAGE}\n"), "berlin")
    assert (found.health, found.image, found.damage) == (health(), IMAGE, "")
    assert found.config is not None
    assert found.config.digest == CONFIG.digest
    for cut_off in ("\n", '{"status": "run', "null\n", ""):
        assert site_status.ask(StatusHost(cut_off), "berlin").health == {}


@pytest.mark.parametrize(
    "lie",
    [
        {"peers": [{}]},
        {"peers": [{"public_key": 3}]},
        {"peers": [peer("cabin", last_handshake="x")]},
        {"peers": [peer("cabin", allowed_ips=["no network"])]},
        {"uptime": "long"},
        {"loaded": ["x"]},
        {"status": {}},
    ],
    ids=str,
)
def test_what_a_host_tells_and_nobody_believes_is_a_problem_and_not_an_end(lie: dict[str, Any]) -> None:
    assert "not believed" in problems(health(**lie))


def test_a_damaged_configuration_on_disk_is_told() -> None:
    host = StatusHost("\n")
    host.files[paths.PLAIN.config_layer] = (layers.config_layer(CONFIG)[:300], 0o644, "root")
    said = judge("dev-berlin", "berlin", "root@fake", site_status.ask(host, "berlin"), WELL, NOW).problems
    assert any("config.cpio is damaged" in problem for problem in said)


def site(name: str) -> SiteStack:
    return SiteStack(f"dev-{name}", name, "dev-mesh", Connection("192.0.2.1", ("pin",)), None)


def test_a_host_that_takes_too_long_is_given_up_and_the_others_answer() -> None:
    ended = threading.Event()

    def ask(one: SiteStack) -> str:
        if one.site == "slow":
            ended.wait(60)
        if one.site == "away":
            raise HostUnreachable("away")
        return one.site

    try:
        slow, away, well = ask_all([site("slow"), site("away"), site("well")], ask, wait=0.5)
    finally:
        ended.set()
    assert isinstance(slow, HostUnreachable)
    assert "root@192.0.2.1: no answer within 0.5 s" in str(slow)
    assert (str(away), well) == ("away", "well")


# What could not be asked


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (HostUnreachable("why"), "away"),
        (LoginRefused("why"), "refused"),
        (HostKeyMismatch("why"), "refused"),
        (NoRoot("why"), "refused"),
        (NoSsh("why"), "refused"),
        (ShutOut("why"), "refused"),
        (NoShell("why"), "refused"),
        (HostHangs("why"), "unknown"),
        (NotAsked("why"), "unknown"),
        (OutOfTime("why"), "unknown"),
        (HostError("why"), "unknown"),
        (StackError("why"), "unknown"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_away_is_only_a_host_that_is_away_and_what_was_not_asked_has_its_reason_only(
    error: Exception, word: str
) -> None:
    found = site_status.unasked("dev-berlin", "berlin", "root@fake", error)
    assert render([found]) == f"berlin: {word}  (root@fake, stack dev-berlin)\n  ! why"
    assert not found.healthy


def test_of_several_gateways_of_a_host_the_site_s_own_is_asked() -> None:
    host = StatusHost(json.dumps(health()) + f"\nimages/{IMAGE}\n")
    for number, (name, instance) in enumerate((("office", ""), ("berlin", "3fa9c1d2"))):
        record = Record(Owner(f"3fa9c1d2e4b5060{number}", "dev", name), "1", instance, 119 + number)
        host.files[record.path] = (record.to_json().encode(), 0o644, "root")
    host.files[paths.Paths("3fa9c1d2").config_layer] = (layers.config_layer(CONFIG), 0o644, "root")
    found = site_status.ask(host, "berlin").config
    assert found is not None
    assert found.digest == CONFIG.digest
    assert host.asked == [
        "/var/lib/wgnode/hostd-3fa9c1d2",
        "wgnode-gateway-3fa9c1d2.service",
        "--instance",
        "3fa9c1d2",
    ]
