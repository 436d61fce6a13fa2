"""A thousand peers at once: in turn, at the rate, none forgotten."""

from __future__ import annotations

from random import Random

from tests.unit.pathmtu.path import WITNESS
from wgnode.pathmtu.known import Evidence, Why
from wgnode.pathmtu.search import Search
from wgnode.pathmtu.stagger import BURST, RATE, Stagger
from wgnode.protocol.schedule import NEVER

PEERS = 1000


def test_a_dozen_begin_without_waiting() -> None:
    gate = Stagger()
    assert [gate(5.0, 6000) for _ in range(12)] == [5.0] * 12


def test_the_rate_holds_over_any_time() -> None:
    gate, random = Stagger(), Random(1)
    granted = [(gate(0.0, cost), cost) for cost in (random.randint(100, 9000) for _ in range(2000))]
    assert [at for at, _ in granted] == sorted(at for at, _ in granted)
    total = 0
    for at, cost in granted:
        total += cost
        assert total <= RATE * at + BURST + 1e-3


def test_a_thousand_peers_whose_route_has_changed_all_find_their_size_at_the_rate() -> None:
    gate, random = Stagger(), Random(2)
    searches = [Search(0.0, largest=1500, witness=WITNESS, random=random.randbytes, gate=gate) for _ in range(PEERS)]
    for search in searches:
        search.handshake(0.0)
        search.changed(0.0, Why.ROUTE)
    sent: dict[float, int] = {}
    answers: list[tuple[float, Search, bytes]] = []
    for step in range(4000):
        now = step / 100
        for at, search, probe in [answer for answer in answers if answer[0] <= now]:
            search.answered(at, probe)
        answers = [answer for answer in answers if answer[0] > now]
        for search in searches:
            if search.deadline() <= now:
                sends = search.poll(now)
                sent[now] = sent.get(now, 0) + sum(send.size for send in sends)
                answers += [(now + 0.05, search, send.id) for send in sends if send.size <= 1440]
        if all(search.deadline() == NEVER for search in searches):
            break
    assert {(search.known.size, search.known.evidence) for search in searches} == {(1440, Evidence.PROBE)}
    total = 0
    for at in sorted(sent):
        total += sent[at]
        assert total <= RATE * (at + 0.02) + BURST
