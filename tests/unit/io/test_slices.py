"""How long the loop is held by what takes long, in steps: a request of thousands of peers, a report, a live change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_platform import FakePlatform, SilentTun
from wgnode.appliance.health import device_health
from wgnode.dataplane.plain import PlainPlane
from wgnode.dataplane.plain_io import PlainIO
from wgnode.io.loop import Loop
from wgnode.io.node import LiveDigest, from_config, new_device, reconfiguring
from wgnode.io.shell import Shell
from wgnode.io.slices import LONGEST_REST, MOST_STEPS, STEPS, Slices
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig
from wgnode.protocol.device import MOST_AT_ONCE, Device
from wgnode.protocol.endpoint import Endpoint
from wgnode.work import Work

PEERS, LINES = 1000, 5
"""Of a request, and lines that each has in it."""
DONE = "errno=0\n\n"


class PausedIO(PlainIO):
    """Notes how often packets have been paused, and whether they are."""

    pauses = 0
    paused = False

    def pause(self) -> None:
        assert not self.paused
        self.paused = True
        self.pauses += 1

    def resume(self) -> None:
        self.paused = False


class Held:
    """A shell, and what its device is asked and told in each turn of the loop."""

    def __init__(self) -> None:
        self.loop, self.device = Loop(lambda: 1.0), new_device(PlainPlane())
        self.device.set_private_keys([bytes(range(32))], 1.0)
        self.shell = Shell(
            self.loop, self.device, SilentTun(), FakePlatform(), packet_io=PausedIO, on_gone=lambda: None, log=print
        )
        self.packets = self.shell._packets
        self.calls: Counter[str] = Counter()
        for name in ("add_peer", "add_allowed_ip", "remove_allowed_ip", "remove_peer", "networks_text"):
            self._count(name)

    def _count(self, name: str) -> None:
        counted = getattr(self.device, name)

        def call(*arguments: object) -> object:
            self.calls[name] += 1
            return counted(*arguments)

        setattr(self.device, name, call)

    def turns(self, of: str) -> Iterator[int]:
        """How many such calls there were at once, and then in each turn of the loop, until nothing is left to do."""
        while True:
            assert not self.packets.paused, "packets move between slices"  # type: ignore[attr-defined]
            yield self.calls[of]
            self.calls.clear()
            if not self.shell.slices._waiting:
                return
            self.loop.run_once(0)

    def close(self) -> None:
        self.shell.close()
        self.loop.close()


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.close()


def request(begin: str = "") -> str:
    """Sets PEERS peers of two networks each."""
    peers = (
        f"public_key={number.to_bytes(32, 'big').hex()}\nendpoint=192.0.2.1:{number}\nreplace_allowed_ips=true\n"
        f"allowed_ip=10.{number >> 8}.{number & 255}.0/24\nallowed_ip=fd00:{number:x}::/64\n"
        for number in range(1, PEERS + 1)
    )
    return f"set=1\n{begin}{''.join(peers)}\n"


def test_a_large_set_holds_the_loop_for_some_peers_at_a_time_each_of_which_takes_effect_as_one(held: Held) -> None:
    answers: list[str] = []
    held.shell.uapi(request(), answers.append)
    assert not answers
    for networks in held.turns("add_allowed_ip"):
        assert networks <= 2 * (STEPS // LINES + 1)
        assert all(len(peer.allowed_ips) == 2 and peer.endpoint for peer in held.device.peers)
    assert (answers, len(held.device.peers)) == ([DONE], PEERS)
    assert PEERS * LINES // STEPS <= held.packets.pauses <= PEERS * LINES // STEPS + 2  # type: ignore[attr-defined]


def test_a_small_set_takes_effect_as_one(held: Held) -> None:
    answers: list[str] = []
    held.shell.uapi("\n".join(request().split("\n")[: STEPS + 1]) + "\n\n", answers.append)
    assert answers == [DONE]
    assert held.packets.pauses == 1  # type: ignore[attr-defined]


def test_peers_are_forgotten_some_at_a_time(held: Held) -> None:
    held.shell.uapi(request(), print)
    list(held.turns("add_peer"))
    held.shell.uapi("set=1\nreplace_peers=true\n\n", print)
    assert max(held.turns("remove_peer")) <= STEPS
    assert not held.device.peers


def test_one_peer_of_many_networks_does_not_hold_the_loop_either(held: Held) -> None:
    networks = "".join(f"allowed_ip=10.{number >> 8}.{number & 255}.0/24\n" for number in range(3 * MOST_STEPS))
    answers: list[str] = []
    held.shell.uapi(f"set=1\npublic_key={'01' * 32}\n{networks}\n", answers.append)
    assert max(held.turns("add_allowed_ip")) <= MOST_STEPS
    (peer,) = held.device.peers
    assert (answers, len(peer.allowed_ips)) == ([DONE], 3 * MOST_STEPS)


def test_who_asks_meanwhile_sees_all_of_it_or_nothing(held: Held) -> None:
    answers: list[str] = []
    told = answers.append
    held.shell.uapi(request(), told)
    held.shell.uapi("get=1\n\n", told)
    held.shell.uapi("set=1\nreplace_peers=true\n\n", told)
    held.shell.uapi("get=1\n\n", told)
    held.shell.slices.add(device_health(held.device, LiveDigest(held.device), 1.0, 1.0), lambda of: told(of["peers"]))
    list(held.turns("networks_text"))
    first, full, second, *emptied = answers
    assert (first, full.count("public_key="), full.count("allowed_ip="), second) == (DONE, PEERS, 2 * PEERS, DONE)
    assert "public_key=" not in emptied[0]
    assert emptied[1] == []


@pytest.mark.parametrize(("begin", "answer"), [("public_key=00\n", "errno=-22\n\n"), ("nonsense\n", "errno=-71\n\n")])
def test_what_came_before_a_bad_line_stays(held: Held, begin: str, answer: str) -> None:
    """As in wireguard-go, which applies line by line too."""
    answers: list[str] = []
    held.shell.uapi(request().rstrip("\n") + f"\n{begin}\n", answers.append)
    list(held.turns("add_peer"))
    assert (answers, len(held.device.peers)) == ([answer], PEERS)


def test_a_get_and_a_report_describe_some_peers_at_a_time(held: Held) -> None:
    held.shell.uapi(request(), print)
    list(held.turns("add_peer"))
    answers: list[object] = []
    held.shell.uapi("get=1\n\n", answers.append)
    assert max(held.turns("networks_text")) <= STEPS
    held.shell.slices.add(device_health(held.device, LiveDigest(held.device), 1.0, 1.0), answers.append)
    assert max(held.turns("networks_text")) <= 2 * STEPS
    assert len(answers) == 2


def test_after_close_nothing_is_done_or_answered(held: Held) -> None:
    answers: list[str] = []
    held.shell.uapi(request(), answers.append)
    before = len(held.device.peers)
    held.shell.slices.close()
    held.loop.run_once(0)
    assert (answers, len(held.device.peers)) == ([], before)


def test_timers_of_thousands_of_peers_are_dealt_with_some_at_a_time(held: Held) -> None:
    for number in range(1, 3 * MOST_AT_ONCE + 1):
        peer = held.device.add_peer([number.to_bytes(32, "big")])
        held.device.set_keepalive(peer, 25, 1.0)
        held.device.set_endpoint(peer, Endpoint("192.0.2.1", number))
    held.device.start(1.0)
    sent = [len(held.device.datagrams_to_send())]
    while (deadline := held.device.next_deadline()) is not None and deadline <= 1.0:
        held.device.handle_timer(1.0)
        sent.append(len(held.device.datagrams_to_send()))
    assert sent == [MOST_AT_ONCE] * 3


def test_works_are_done_one_after_the_other_and_the_loop_turns_between_their_slices() -> None:
    loop, told, turns = Loop(lambda: 0.0), list[str](), list[int]()

    def work(name: str, steps: int, *, may_rest: bool) -> Work[str]:
        for _ in range(steps):
            yield may_rest
            told.append(name)
        return name.upper()

    @contextmanager
    def within() -> Iterator[None]:
        before = len(told)
        yield
        turns.append(len(told) - before)

    slices = Slices(loop)
    slices.add(work("a", 2 * STEPS, may_rest=True), told.append, within)
    slices.add(work("b", MOST_STEPS + STEPS, may_rest=False), told.append, within)
    while slices._waiting:
        loop.run_once(0)
    slices.add(work("c", STEPS - 1, may_rest=True), told.append, within)
    assert told == ["a"] * 2 * STEPS + ["A"] + ["b"] * (MOST_STEPS + STEPS) + ["B"] + ["c"] * (STEPS - 1) + ["C"]
    assert turns == [STEPS - 1, STEPS, 1, MOST_STEPS - 1, STEPS + 1, STEPS - 1]
    loop.close()


def test_between_two_slices_packets_have_as_long_as_a_slice_took_but_not_longer_than_they_need() -> None:
    now = 0.0
    loop = Loop(lambda: now)
    slices = Slices(loop)

    def work(took: float) -> Work[None]:
        nonlocal now
        for step in range(2 * STEPS):
            yield True
            now += took if step == 0 else 0.0

    rests = []
    for took in (0.002, 1.0):
        slices.add(work(took), lambda _: None)
        assert slices._next is not None
        rests.append(slices._next.deadline - now)
        now += LONGEST_REST
        while slices._waiting:
            loop.run_once(0)
    assert rests == pytest.approx([0.002, LONGEST_REST])
    loop.close()


# A live change

OWN = bytes([8] + [7] * 30 + [71])
CARD = LinkConfig("52:54:00:77:67:00", ())
CONFIG = NodeConfig(
    "dev", "berlin", (X25519PrivateKey.from_private_bytes(OWN).public_key().public_bytes_raw(),), 1, (), CARD, CARD
)
PREFIXES = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.1.0.0/16", "10.1.0.0/17", "10.1.0.0/24", "10.1.0.1/32", "::/0",
            "fd00::/8", "fd00:1::/32", "fd00:1::1/128"]  # fmt: skip
ADDRESSES = [ip_address(text).packed for text in ("10.1.0.1", "10.1.0.2", "10.1.1.1", "10.1.200.1", "10.2.0.1",
             "10.200.0.1", "192.0.2.1", "fd00:1::1", "fd00:1::2", "fd00:2::1", "2001:db8::1")]  # fmt: skip
OWNERS = st.dictionaries(st.sampled_from(PREFIXES), st.integers(1, 4))


def test_a_configuration_is_read_in_slices_of_peers() -> None:
    peers = tuple(PeerConfig(f"p{at:03}", (at.to_bytes(32),), (f"10.0.{at}.0/24",)) for at in range(2 * STEPS))
    config, read, turns = replace(CONFIG, peers=peers), list[NodeConfig](), 0
    loop = Loop(lambda: 1.0)
    slices = Slices(loop)
    slices.add(NodeConfig.reading(config.to_json()), read.append)
    while not read:
        loop.run_once(0)
        turns += 1
    loop.close()
    assert (read, turns) == ([config], 2)


def a_configuration(owners: dict[str, int]) -> NodeConfig:
    networks: dict[int, list[str]] = {}
    for network, owner in owners.items():
        networks.setdefault(owner, []).append(network)
    return replace(
        CONFIG,
        peers=tuple(PeerConfig(f"p{who}", (bytes([who]) * 32,), tuple(nets)) for who, nets in networks.items()),
    )


@settings(deadline=None)
@given(OWNERS, OWNERS)
def test_in_a_live_change_each_address_goes_at_once_from_whom_it_was_to_whom_it_will_be(
    before: dict[str, int], after: dict[str, int]
) -> None:
    old, new = a_configuration(before), a_configuration(after)
    secrets = NodeSecrets((OWN,), {bytes([who]) * 32: (bytes([who + 8]) * 32,) for who in range(1, 5)})
    device = from_config(PlainPlane(), old, secrets, 0.0)
    wanted = from_config(PlainPlane(), new, secrets, 0.0)

    def owners(of: Device) -> list[bytes | None]:
        keys: dict[int | None, bytes] = {peer.number: peer.public_key for peer in of.peers}
        return [keys.get(of.plane.sent_to(address)) for address in ADDRESSES]

    had, will_have, has = owners(device), owners(wanted), owners(device)
    for _ in reconfiguring(device, new, secrets, lambda: 1.0, former=old):
        assert all(peer.preshared_keys for peer in device.peers)
        was, has = has, owners(device)
        for one, two, three, four in zip(had, was, has, will_have, strict=True):
            assert three in (two, four), "not to a third, nor to none, nor back"
            assert two in (one, four)
    assert owners(device) == will_have


def test_a_live_change_of_thousands_of_peers_rests_after_each_step() -> None:
    everybody = {f"10.{number >> 8}.{number & 255}.0/24": number for number in range(1, 201)}
    secrets = NodeSecrets((OWN,), {})
    device, told = from_config(PlainPlane(), CONFIG, secrets, 0.0), list[tuple[int, int]]()
    for new in (a_configuration(everybody), CONFIG):
        for may_rest in reconfiguring(device, new, secrets, lambda: 1.0):
            assert may_rest
            told.append((len(device.peers), sum(len(peer.allowed_ips) for peer in device.peers)))
        told.append((len(device.peers), sum(len(peer.allowed_ips) for peer in device.peers)))
    for (peers, networks), (peers_then, networks_then) in pairwise(told):
        assert abs(peers - peers_then) + abs(networks - networks_then) <= 1
