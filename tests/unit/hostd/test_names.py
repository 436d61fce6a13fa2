"""Endpoints that are names: who waits for whom, which address has its turn, what becomes of a silent peer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from wgnode.hostd import endpoints, turns
from wgnode.hostd.naming import NamedPeers
from wgnode.hostd.said import Health, PeerPlace
from wgnode.hostd.turns import SESSION_LIFETIME, TURN, Seen, Turn
from wgnode.io.loop import Loop

NAME, KEY = "gate.example:51820", "key"
ONE, TWO, THREE, ROAMED = (f"192.0.2.{last}:51820" for last in (1, 2, 3, 99))
NOW = 10_000.0
CALLED = Turn(ONE, NOW - TURN, 100)
IN_VAIN = Seen(ONE, None, 248)


def due(addresses: tuple[str, ...], turn: Turn | None, seen: Seen | None) -> str | None:
    known = {} if seen is None else {KEY: seen}
    return turns.due({KEY: NAME}, {NAME: addresses}, {} if turn is None else {KEY: turn}, known, NOW).get(KEY)


@pytest.mark.parametrize(
    ("addresses", "turn", "seen", "expected"),
    [
        ((ONE, TWO), None, None, ONE),
        ((ONE,), CALLED, IN_VAIN, None),
        ((ONE, TWO), CALLED, IN_VAIN, TWO),
        ((ONE, TWO), CALLED, replace(IN_VAIN, sent=None), TWO),
        ((ONE, TWO), CALLED, replace(IN_VAIN, sent=100), None),
        ((ONE, TWO), replace(CALLED, since=NOW - TURN + 0.1), IN_VAIN, None),
        ((ONE, TWO, THREE), replace(CALLED, address=THREE), replace(IN_VAIN, endpoint=THREE), ONE),
        ((TWO,), CALLED, None, TWO),
        ((TWO,), CALLED, IN_VAIN, TWO),
        ((ONE, TWO), CALLED, replace(IN_VAIN, last_handshake=NOW - SESSION_LIFETIME), None),
        ((TWO,), CALLED, replace(IN_VAIN, last_handshake=NOW - SESSION_LIFETIME), None),
        ((ONE,), CALLED, Seen(ROAMED, NOW - SESSION_LIFETIME, 248), None),
        ((ONE,), CALLED, Seen(ROAMED, NOW - SESSION_LIFETIME - 0.1, 248), ONE),
        ((TWO, ONE), CALLED, Seen(ROAMED, None, 248), ONE),
        ((ONE,), CALLED, Seen(None, None, 248), None),
        ((), None, None, None),
    ],
    ids=[
        "first", "only one", "called in vain", "an older guest", "nobody calls", "its turn lasts", "round",
        "moved, not told of yet", "moved", "met", "moved, but met", "roamed", "roamed and silent",
        "the address that was its turn", "nowhere", "unresolved",
    ],
)  # fmt: skip
def test_a_peer_is_called_at_the_address_whose_turn_it_is(
    addresses: tuple[str, ...], turn: Turn | None, seen: Seen | None, expected: str | None
) -> None:
    assert due(addresses, turn, seen) == expected


def test_a_turn_begins_when_a_peer_is_met_no_more() -> None:
    met = Seen(ONE, NOW - SESSION_LIFETIME, 5000)
    assert turns.renewed({KEY: CALLED}, {KEY: met}, NOW) == {KEY: Turn(ONE, NOW, 5000)}
    assert turns.renewed({KEY: CALLED}, {KEY: replace(met, last_handshake=NOW - 181)}, NOW) == {KEY: CALLED}
    assert turns.renewed({KEY: CALLED}, {}, NOW) == {KEY: CALLED}


class World:
    """`wait` turns the loop until something is so."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.now = NOW
        self.peers = NamedPeers(
            self.loop, lambda key, address: self.told.append((key, address)), self.said.append, lambda: self.now
        )

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            self.loop.run_once(0.01)

    def learn(self, endpoint: str, last: float | None, sent: int) -> None:
        report = {"peers": [{"public_key": KEY, "tx_bytes": sent}]}
        self.peers.learn(Health(report, {KEY: PeerPlace(endpoint, last)}))


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.loop.close()


@pytest.mark.parametrize("dead", [5, 3 * endpoints.AT_ONCE])
def test_names_that_are_dead_delay_nobody_and_nothing_piles_up(
    world: World, monkeypatch: pytest.MonkeyPatch, dead: int
) -> None:
    """They hang as long as the test lasts; at the first time nobody knows which ones are dead."""
    released = threading.Event()
    asked: list[str] = []

    def resolve(name: str) -> endpoints.Addresses:
        asked.append(name)
        if name.startswith("dead") and not released.wait(20):
            raise OSError("Temporary failure in name resolution")
        if name.startswith("dead"):
            raise OSError("Temporary failure in name resolution")
        return (ONE,)

    monkeypatch.setattr(endpoints, "resolve", resolve)
    found: dict[str, object] = {}
    resolver = endpoints.Resolver(world.loop, lambda addresses, _: found.update(addresses))
    names = [f"dead{number}.example:1" for number in range(dead)]
    if dead > endpoints.AT_ONCE:  # all fail at once, so that they are known
        released.set()
        resolver.ask(names)
        world.wait(lambda: len(asked) == dead and not resolver._running)
        released.clear()
    for turn in range(50):
        resolver.ask([*names, "good.example:1", *([] if turn < 49 else ["new.example:1"])])
    world.wait(lambda: len(found) == 2)
    assert resolver._questions.qsize() <= dead
    assert len(set(asked)) <= dead + 2
    released.set()
    world.wait(lambda: not resolver._running and not resolver._waiting)


def test_all_addresses_of_a_name_are_found_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        (2, 2, 17, "", ("192.0.2.1", 1)),
        (10, 2, 17, "", ("::ffff:192.0.2.1", 1, 0, 0)),
        (10, 2, 17, "", ("2001:db8::1", 1, 0, 0)),
        (2, 2, 17, "", ("0.0.0.0", 1)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert endpoints.resolve("gate.example:7") == ("192.0.2.1:7", "[2001:db8::1]:7")


@pytest.mark.parametrize("host", ["010.0.0.1", "203.0.113.256", "0x7f.1"])
def test_what_only_looks_like_an_address_is_not_asked_for(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(ValueError, match="no IPv4 address"):
        endpoints.resolve(f"{host}:1")


def test_a_peer_that_roamed_and_fell_silent_gets_its_names_address_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "resolve", lambda _: (ONE, TWO))
    world.peers.rename({KEY: NAME})
    world.peers.ask()
    world.wait(lambda: world.told)
    world.now += 1
    world.learn(ROAMED, world.now, 1000)
    world.now += SESSION_LIFETIME
    world.learn(ROAMED, world.now - SESSION_LIFETIME, 5000)
    assert world.told == [(KEY, ONE)]
    world.now += 1
    world.learn(ROAMED, world.now - SESSION_LIFETIME - 1, 5000)
    world.peers.ask()
    assert world.told == [(KEY, ONE)] * 2
    world.now += TURN
    world.learn(ONE, world.now - SESSION_LIFETIME - TURN - 1, 5000 + 148)
    assert world.told == [(KEY, ONE), (KEY, ONE), (KEY, TWO)]


def test_a_name_that_does_not_resolve_is_told_once_and_its_last_addresses_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: str) -> endpoints.Addresses:
        raise OSError("Name or service not known")

    monkeypatch.setattr(endpoints, "resolve", lambda _: (ONE,))
    world.peers.rename({KEY: NAME})
    world.peers.ask()
    world.wait(lambda: world.told)
    monkeypatch.setattr(endpoints, "resolve", fails)
    for _ in range(3):
        world.peers.ask()
        world.wait(lambda: not world.peers._resolver._running)
    assert [line for line in world.said if "resolve" in line] == [
        f"<4>endpoint name {NAME} does not resolve: Name or service not known"
    ]
    world.peers.another_guest()
    world.peers.ask()
    assert world.told == [(KEY, ONE)] * 2
