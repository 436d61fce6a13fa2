"""A peer that lies about what has arrived hurts its own traffic and nobody else's.

Nobody can answer a probe that he has not seen (its id is random), so the liar has an accomplice on the path, who tells
it the ids of what was lost.
"""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from tests.unit.io.ways import DELAY, Node, World, reply_to
from tests.unit.pathmtu.naive import ipv4, tcp
from tests.unit.protocol.pairs import A4, B4, packet
from wgnode.pathmtu import headers
from wgnode.pathmtu.batch import Send
from wgnode.pathmtu.checksum import checksum
from wgnode.pathmtu.known import Evidence
from wgnode.pathmtu.probe import ip_header
from wgnode.protocol import Endpoint

LIAR4, KEY, AT = "10.0.0.3", b"\3" * 32, Endpoint("192.0.2.3", 51820)
HONEST_WAY, LIARS_WAY = 1400, 1280
SYN, MSS = 0x02, b"\2\4\5\xb4"


class Three(World):
    """Node a, its honest peer b over a path of 1,400 bytes, and a liar over one of 1,280."""

    def __init__(self) -> None:
        super().__init__(a_to_b=HONEST_WAY)
        self.liar = Node(self.clock, AT, KEY, (LIAR4,))
        self.nodes.append(self.liar)
        to_b, to_liar = self.a.carry, self._carry(self.a, self.liar)
        self.liar.carry = self._carry(self.liar, self.a)
        self.a.mtu = 1500
        self.a.carry = lambda data, to: (to_liar if to == AT else to_b)(data, to)
        self.lose = lambda sender, data: sender is self.a and len(data) + 28 > self._passes
        for node, other, network in ((self.a, self.liar, LIAR4), (self.liar, self.a, A4)):
            peer = node.device.add_peer(other.device.public_keys)
            node.device.replace_allowed_ips(peer, (f"{network}/32",))
            node.device.set_endpoint(peer, other.at)
        self.liar.device.start(self.clock.now)
        self.told: list[tuple[float, bytes]] = []
        self._passes = 0
        sent = self.a.carry

        def carry(data: bytes, to: Endpoint) -> None:
            self._passes = LIARS_WAY if to == AT else HONEST_WAY
            sent(data, to)

        self.a.carry = carry

    def conspire(self) -> None:
        """From now on the liar answers whatever a sends to find out, arrived or not."""
        way = self.a.way_to(1)
        honest = way.inner

        def overheard(send: Send) -> bytes:
            asked = honest(send)
            self.told.append((self.clock.now + DELAY, asked))
            return asked

        way.inner = overheard  # type: ignore[method-assign]

    def answer(self) -> None:
        due = [asked for at, asked in self.told if at <= self.clock.now]
        self.told = [(at, asked) for at, asked in self.told if at > self.clock.now]
        for asked in due:
            if (reply := reply_to(asked)) is not None:
                self.liar.send(reply)


@pytest.fixture
def lied_to() -> Three:
    world = Three()
    world.a.send(packet(A4, B4))
    world.a.send(packet(A4, LIAR4))
    world.run(0.2)
    world.conspire()
    for number in (0, 1):
        assert world.a.paths.again(world.a.device.peers[number].public_key, world.clock.now) == 1
    world.run(3.0, world.answer)
    return world


def segment(source: str, target: str) -> bytes:
    """A SYN that asks for 1,460 bytes."""
    whole = ipv4(6, tcp(SYN, MSS))
    return whole[:12] + packet(source, target)[12:20] + whole[20:]


def test_the_liar_is_believed_for_its_own_way_only(lied_to: Three) -> None:
    honest, liar = (lied_to.a.way_to(number).search for number in (0, 1))
    assert honest is not None
    assert liar is not None
    assert (liar.known.size, liar.known.evidence) == (1500, Evidence.PROBE), "the lie works"
    assert HONEST_WAY - 4 < honest.known.size <= HONEST_WAY


def test_what_is_sent_to_others_passes_and_what_is_sent_to_the_liar_is_lost(lied_to: Three) -> None:
    full = dict.fromkeys((B4, LIAR4), 1340)
    for target, size in full.items():
        lied_to.a.send(packet(A4, target, bytes(size - 20)))
    lied_to.run(0.1)
    assert [len(each) for each in lied_to.b.delivered][-1] == full[B4]
    assert max((len(each) for each in lied_to.liar.delivered), default=0) < full[LIAR4]


def test_others_senders_keep_to_their_own_way(lied_to: Three) -> None:
    """The MSS of a connection with the honest peer follows from its way, whatever the liar says."""
    asked = {}
    for node, source in ((lied_to.b, B4), (lied_to.liar, LIAR4)):
        node.send(segment(source, A4))
        lied_to.run(0.1)
        syn = lied_to.a.delivered[-1]
        read = headers.read(syn)
        assert read is not None
        asked[source] = int.from_bytes(syn[read.upper + 22 : read.upper + 24], "big")
    assert asked == {B4: HONEST_WAY - 100, LIAR4: 1500 - 100}


def test_it_costs_no_more_than_the_truth_would(lied_to: Three) -> None:
    before = sum(lied_to.a.probes)
    lied_to.run(60.0, lied_to.answer)
    assert sum(lied_to.a.probes) == before, "nothing while idle"
    liar = lied_to.a.way_to(1).search
    assert liar is not None
    assert liar.credit.spent < 2 * 40 * 1500


def test_without_an_accomplice_nothing_can_be_claimed() -> None:
    world = Three()
    world.a.send(packet(A4, LIAR4))
    world.run(0.5)
    guess = random.Random(7)
    for _ in range(1000):
        data = guess.randbytes(12)
        reply = b"\0\0" + checksum(b"\0\0\0\0" + data).to_bytes(2, "big") + data
        world.liar.send(ip_header(ip_address(LIAR4).packed, ip_address(A4).packed, 1, len(reply)) + reply)
    world.run(1.0)
    assert world.a.way_to(1).search is not None
    known = world.a.way_to(1).search.known  # type: ignore[union-attr]
    assert known.size == LIARS_WAY
