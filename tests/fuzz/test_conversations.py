"""Whole conversations under attack, by somebody on the path who also knows all public keys and can move clocks.

Two devices talk while datagrams are lost, delayed, repeated, damaged, forged and answered with cookies, keys rotate,
and clocks jump. What must hold at every step is in the invariants; at the end, the attack over, they still talk.
"""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fuzz.effort import effort
from tests.unit.protocol.pairs import (
    A4,
    B4,
    KEY_A,
    KEY_B,
    KEY_C,
    KEY_D,
    PSK_1,
    PSK_2,
    Clock,
    Node,
    packet,
    pair,
)
from tests.unit.protocol.test_bounds import assert_small
from wgnode.protocol import Endpoint
from wgnode.protocol.constants import NEW_HANDSHAKE_TIMEOUT, REJECT_AFTER_TIME, REKEY_ATTEMPT_TIME
from wgnode.protocol.cookie import CookieGenerator
from wgnode.protocol.messages import COOKIE_REPLY, INITIATION, LENGTHS, RESPONSE, TRANSPORT

ATTACKER = Endpoint("203.0.113.66", 666)
LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    b"\xed" + b"\xff" * 30 + b"\x7f",
    b"\xee" + b"\xff" * 30 + b"\x7f",
]
KEYS = {"a": (KEY_A, KEY_C), "b": (KEY_B, KEY_D)}
names = st.sampled_from("ab")
picks = st.integers(0, 10**6)


class Conversation(RuleBasedStateMachine):
    """Each side has its own clock. `flying` is on its way, `seen` is all that the attacker ever saw."""

    @initialize(loaded=st.sets(names), psks=st.booleans(), talked=st.booleans())
    def meet(self, loaded: set[str], psks: bool, talked: bool) -> None:
        self.p = pair()
        self.nodes = {"a": self.p.a, "b": self.p.b}
        self.flying: list[tuple[str, bytes]] = []
        self.seen: list[tuple[str, bytes]] = []
        self.accepted: dict[str, set[bytes]] = {"a": set(), "b": set()}
        self.sent = 0
        self.loaded = set(loaded)
        self.latest_wall = 0.0
        self.p.b.clock = Clock()
        for name, node in self.nodes.items():
            node.device._tables.tai64n = node.clock.tai64n
            node.device._defence._under_load = lambda now, name=name: name in self.loaded  # type: ignore[misc]
            node.device.set_public_keys(node.peer, self.public_keys(other(name)))
            if psks:
                node.device.set_preshared_keys(node.peer, [PSK_1])
        if talked:
            self.exchange("a")

    @staticmethod
    def public_keys(name: str) -> list[bytes]:
        """Both of the side's, whichever it uses now."""
        known = Node(Clock(), ATTACKER, KEYS[name], 0).device.public_keys
        return list(known)

    def collect(self, name: str) -> list[bytes]:
        """What the node sends is seen by the attacker and put on the wire."""
        data = self.nodes[name].take()
        self.flying += [(name, each) for each in data]
        self.seen += [(name, each) for each in data]
        del self.seen[:-100]
        return data

    def hand_over(self, to: str, data: bytes, source: Endpoint) -> None:
        """Hand over what may be authentic: no message of any kind is accepted twice."""
        node = self.nodes[to]
        dropped = node.device.counters.total()
        node.receive(data, source)
        if node.device.counters.total() == dropped:
            assert data not in self.accepted[to]
            self.accepted[to].add(data)
        self.collect(to)

    def forged(self, to: str, data: bytes, *, cookie_allowed: bool) -> None:
        """Hand over what cannot be authentic: silence, nobody roams, nothing is delivered or counted as received."""
        node = self.nodes[to]
        self.collect(to)
        before = (node.peer.endpoint, node.peer.rx_bytes, len(node.delivered), node.peer.last_handshake)
        dropped = node.device.counters.total()
        node.receive(data, ATTACKER)
        after = (node.peer.endpoint, node.peer.rx_bytes, len(node.delivered), node.peer.last_handshake)
        assert after == before
        assert node.device.counters.total() == dropped + 1
        answers = node.take()
        assert [answer[0] for answer in answers] in ([], [COOKIE_REPLY] if cookie_allowed else [])
        self.seen += [(to, answer) for answer in answers]

    # What honest sides do

    @rule(name=names, number=st.integers(1, 3))
    def talk(self, name: str, number: int) -> None:
        for _ in range(number):
            source, destination = (A4, B4) if name == "a" else (B4, A4)
            self.nodes[name].send(packet(source, destination, b"%d" % self.sent))
            self.sent += 1
        self.collect(name)

    @rule(pick=picks)
    @precondition(lambda self: self.flying)
    def arrive(self, pick: int) -> None:
        name, data = self.flying.pop(pick % len(self.flying))
        self.hand_over(other(name), data, self.nodes[name].endpoint)

    @rule()
    def all_arrive(self) -> None:
        for _ in range(20):
            if not self.flying:
                return
            name, data = self.flying.pop(0)
            self.hand_over(other(name), data, self.nodes[name].endpoint)

    @rule(name=names)
    def exchange(self, name: str) -> None:
        self.talk(name, 2)
        self.all_arrive()
        self.talk(other(name), 1)
        self.all_arrive()

    @rule(seconds=st.sampled_from([0.02, 0.5, 5.4, 10, 25, 120, 166, 180, 541]))
    def time_passes(self, seconds: float) -> None:
        for name in "ab":
            self.nodes[name].clock.now += seconds
            self.serve(name)

    def serve(self, name: str) -> None:
        node = self.nodes[name]
        node.device.handle_timer(node.clock.now)
        self.collect(name)

    @rule(name=names, keepalive=st.sampled_from([0, 1, 25]))
    def keepalive(self, name: str, keepalive: int) -> None:
        node = self.nodes[name]
        node.device.set_keepalive(node.peer, keepalive, node.clock.now)
        self.serve(name)

    @rule(name=names, which=st.sampled_from([(0,), (1,), (0, 1), (1, 0)]))
    def rotate(self, name: str, which: tuple[int, ...]) -> None:
        self.nodes[name].device.set_private_keys([KEYS[name][n] for n in which], self.nodes[name].clock.now)
        self.collect(name)

    @rule(name=names, keys=st.sampled_from([(), (PSK_1,), (PSK_2, PSK_1)]))
    def change_psk(self, name: str, keys: tuple[bytes, ...]) -> None:
        self.nodes[name].device.set_preshared_keys(self.nodes[name].peer, keys)

    @rule(name=names)
    def restart(self, name: str) -> None:
        node = self.nodes[name]
        node.device.stop(node.clock.now)
        node.device.start(node.clock.now)
        self.collect(name)

    # What the attacker does

    @rule(pick=picks)
    @precondition(lambda self: self.flying)
    def lose(self, pick: int) -> None:
        self.flying.pop(pick % len(self.flying))

    @rule(picks=st.lists(picks, min_size=1, max_size=5), place=st.sampled_from([ATTACKER, Endpoint("2001:db8::66", 1)]))
    @precondition(lambda self: self.seen)
    def replay(self, picks: list[int], place: Endpoint) -> None:
        for pick in picks:
            name, data = self.saw(pick)
            self.hand_over(other(name), data, place)

    @rule(pick=picks)
    @precondition(lambda self: self.seen)
    def reflect(self, pick: int) -> None:
        """A message back to its sender is never authentic."""
        name, data = self.saw(pick)
        self.forged(name, data, cookie_allowed=False)

    def saw(self, pick: int) -> tuple[str, bytes]:
        """One of the messages on record, more often one of the last."""
        return self.seen[-1 - pick % len(self.seen)] if pick % 2 else self.seen[-1 - pick // 2 % min(8, len(self.seen))]

    @rule(pick=picks, bit=picks, to=names)
    @precondition(lambda self: self.seen)
    def flip_a_bit(self, pick: int, bit: int, to: str) -> None:
        data = self.saw(pick)[1]
        bit %= 8 * (len(data) - (16 if data[0] in (INITIATION, RESPONSE) else 0))
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        self.forged(to, bytes(changed), cookie_allowed=False)

    @rule(pick=picks, cut=st.integers(1, 200), to=names)
    @precondition(lambda self: self.seen)
    def truncate(self, pick: int, cut: int, to: str) -> None:
        data = self.saw(pick)[1]
        self.forged(to, data[: max(0, len(data) - cut)], cookie_allowed=False)

    @rule(pick=picks, more=st.binary(min_size=1, max_size=16) | st.just(bytes(65_000)), to=names)
    @precondition(lambda self: self.seen)
    def extend(self, pick: int, more: bytes, to: str) -> None:
        self.forged(to, self.saw(pick)[1] + more, cookie_allowed=False)

    @rule(pick=picks, other_pick=picks, to=names)
    @precondition(lambda self: self.seen)
    def another_index(self, pick: int, other_pick: int, to: str) -> None:
        """A transport message under the index or the counter of another."""
        transports = [data for _, data in self.seen if data[0] == TRANSPORT]
        if not transports:
            return
        one, two = (transports[n % len(transports)] for n in (pick, other_pick))
        for changed in (one[:4] + two[4:8] + one[8:], one[:8] + two[8:16] + one[16:]):
            if changed not in (one, two):
                self.forged(to, changed, cookie_allowed=False)

    @rule(
        pick=picks,
        at=picks,
        to=names,
        identity=st.integers(0, 1),
        low_order=st.none() | st.sampled_from(LOW_ORDER),
    )
    @precondition(lambda self: self.seen)
    def forge_with_a_right_mac1(self, pick: int, at: int, to: str, identity: int, low_order: bytes | None) -> None:
        """mac1 needs only the public key: past it, the handshake itself has to refuse."""
        handshakes = [data for _, data in self.seen if data[0] in (INITIATION, RESPONSE)]
        if not handshakes:
            return
        data = bytearray(handshakes[pick % len(handshakes)][:-32])
        start = 8 if data[0] == INITIATION else 12
        if low_order:
            data[start : start + 32] = low_order
        else:
            data[start + at % (len(data) - start)] ^= 1 + at % 255
        message = CookieGenerator(self.public_keys(to)[identity]).add_macs(bytes(data), 0.0)
        self.forged(to, message, cookie_allowed=to in self.loaded)

    @rule(to=names, kind=st.sampled_from([INITIATION, RESPONSE, COOKIE_REPLY, TRANSPORT]), body=st.binary(max_size=148))
    def invent(self, to: str, kind: int, body: bytes) -> None:
        index = next(iter(self.nodes[to].device._tables.indices), 7)
        length = LENGTHS.get(kind, 32 + len(body))
        self.forged(to, (struct.pack("<II", kind, index) + body).ljust(length, b"x")[:length], cookie_allowed=False)

    @rule(name=names)
    def load_changes(self, name: str) -> None:
        self.loaded ^= {name}

    @rule(name=names, seconds=st.sampled_from([-4000, -200, -10, -0.5, 0.5, 10, 200, 4000]))
    def clock_jumps(self, name: str, seconds: float) -> None:
        self.note_wall()
        self.nodes[name].clock.now += seconds
        self.serve(name)

    @rule(name=names, seconds=st.sampled_from([-4000, -10, 10, 4000]))
    def wall_clock_steps(self, name: str, seconds: float) -> None:
        self.note_wall()
        self.nodes[name].clock.wall_offset += seconds

    def note_wall(self) -> None:
        """The latest time stamp that anybody may have given."""
        walls = [node.clock.now + node.clock.wall_offset for node in self.nodes.values()]
        self.latest_wall = max(self.latest_wall, *walls)

    # What must hold

    @invariant()
    def memory_is_bounded(self) -> None:
        for node in getattr(self, "nodes", {}).values():
            assert_small(node.device)
            assert node.device.plane.datagrams == []

    @invariant()
    def each_packet_arrives_once_at_most_and_as_it_was_sent(self) -> None:
        for name, node in getattr(self, "nodes", {}).items():
            source, destination = (B4, A4) if name == "a" else (A4, B4)
            head = packet(source, destination, b"")
            numbers = [int(inner[20:]) for inner in node.delivered]
            assert len(set(numbers)) == len(numbers)
            assert all(inner[4:20] == head[4:] for inner in node.delivered)
            assert all(number < self.sent for number in numbers)

    def teardown(self) -> None:
        """The attack is over: keys fit again, clocks run; soon all that is sent arrives."""
        if not hasattr(self, "nodes"):
            return
        self.note_wall()
        self.loaded.clear()
        self.flying.clear()
        for name, node in self.nodes.items():
            node.clock.wall_offset = self.latest_wall + 1 - node.clock.now
            node.device.set_private_keys(KEYS[name], node.clock.now)
            node.device.set_preshared_keys(node.peer, [PSK_1])
            node.device.set_endpoint(node.peer, self.nodes[other(name)].endpoint)
        self.run_for(REJECT_AFTER_TIME + REKEY_ATTEMPT_TIME)
        for node in self.nodes.values():
            node.delivered.clear()
        first = self.sent
        self.run_for(NEW_HANDSHAKE_TIMEOUT)
        arrived = [int(inner[20:]) for node in self.nodes.values() for inner in node.delivered]
        assert sorted(arrived) == list(range(first, self.sent))
        self.memory_is_bounded()

    def run_for(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            for name in "ab":
                self.nodes[name].clock.now += 1
                self.serve(name)
            self.talk("a", 1)
            self.talk("b", 1)
            self.all_arrive()


def other(name: str) -> str:
    return "b" if name == "a" else "a"


TestConversation: Any = Conversation.TestCase
TestConversation.settings = effort(80, stateful_step_count=50)
