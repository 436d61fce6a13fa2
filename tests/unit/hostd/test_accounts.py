"""What a peer has sent and received in all: every node's count once, and none twice, whatever ends when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_wgnode.operations.counted import accounts_of
from wgnode.hostd import accounts, parts
from wgnode.hostd import ledger as ledger_module
from wgnode.hostd.accounts import KEEP, MOST_ENDPOINTS, Account, Accounts, Counts
from wgnode.hostd.holders import Holders, Holding
from wgnode.hostd.ledger import ACCOUNTS, SOONEST, Ledger
from wgnode.hostd.parts import Refused
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig, encode_key

NOW = 1_700_000_000.0
KEYS = {name: bytes([number]) * 32 for number, name in enumerate(("phone", "laptop", "cabin", "new"), 1)}


def config(**devices: str) -> NodeConfig:
    """By the name behind the slash, whose key it has."""
    card = LinkConfig("52:54:00:00:00:01", ())
    listed = tuple(
        PeerConfig(f"alice/{name}", (KEYS[key],), (f"10.1.0.{number}/32",))
        for number, (name, key) in enumerate(sorted(devices.items()), 130)
    )
    return NodeConfig("dev", "berlin", (bytes(32),), 51820, (), card, card, devices=listed)


def peer(key: str = "phone", serial: int = 1, **counts: Any) -> dict[str, Any]:
    told = {"rx_bytes": 0, "tx_bytes": 0, "rx_packets": 0, "tx_packets": 0, "sessions": 0, "last_handshake": None}
    return {"public_key": encode_key(KEYS[key]), "serial": serial, "endpoint": None, **told, **counts}


def report(*peers: dict[str, Any], run: str = "one", applied: str = "") -> dict[str, Any]:
    return {"run": run, "applied": applied, "peers": list(peers)}


def only(book: Accounts) -> Account:
    (one,) = book
    return one


def test_a_reading_adds_what_is_new_and_the_same_one_again_adds_nothing() -> None:
    book, phone = Accounts(), config(phone="phone")
    book.update(report(peer(rx_bytes=100, rx_packets=1)), phone, NOW)
    book.update(report(peer(rx_bytes=250, rx_packets=3)), phone, NOW + 30)
    assert not book.update(report(peer(rx_bytes=250, rx_packets=3)), phone, NOW + 60)
    assert only(book).counts == Counts(rx_bytes=250, rx_packets=3)


def denial(port: int, packets: int, at: float) -> dict[str, Any]:
    addresses = {"source": "10.1.0.130", "destination": "10.1.0.7"}
    return {"outgoing": True, "rule": "", **addresses, "protocol": 6, "port": port, "packets": packets, "at": at}


def test_denials_are_counted_over_all_nodes_and_the_newest_kinds_are_kept_with_their_time() -> None:
    book, phone = Accounts(), config(phone="phone")
    book.update(report(peer(denied=2, denials=[denial(22, 2, NOW + 99)])), phone, NOW)
    assert [(one.port, one.packets, one.at) for one in only(book).denials] == [(22, 2, NOW)], "not later than now"
    book.update(report(peer(denied=5, denials=[denial(22, 5, NOW + 10)])), phone, NOW + 30)
    book.update(report(peer(denied=1, denials=[denial(23, 1, NOW + 40)]), run="two"), phone, NOW + 60)
    assert only(book).counts.denied == 6
    assert [(one.port, one.packets) for one in only(book).denials] == [(22, 5), (23, 1)]
    assert accounts.read(json.loads(json.dumps(only(book).kept()))) == only(book)
    many = [denial(port, 1, NOW + 100 + port) for port in range(16)]
    book.update(report(peer(denied=20, denials=many), run="two"), phone, NOW + 300)
    assert [one.port for one in only(book).denials] == list(range(8, 16))


def test_an_account_of_a_version_that_counted_no_denials_is_read() -> None:
    kept = Account("cabin", (encode_key(KEYS["cabin"]),), reading=accounts.Reading(1, Counts(9, 8, 7, 6, 5))).kept()
    former = {name: value for name, value in kept.items() if name not in ("denied", "denials")}
    read = accounts.read({**former, "reading": former["reading"][:-1]})
    assert read.reading == accounts.Reading(1, Counts(9, 8, 7, 6, 5))
    assert (read.counts, read.denials) == (Counts(), ())


@pytest.mark.parametrize(
    "change", [{"source": "10.1"}, {"rule": "a b"}, {"port": -1}, {"outgoing": 1}, {"at": "x"}, {"packets": 1 << 64}]
)
def test_a_denial_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        parts.peer(peer(denials=[{**denial(22, 1, NOW), **change}]))
    with pytest.raises(Refused):
        parts.peer(peer(denials=[denial(22, 1, NOW)] * 17))


def test_another_node_begins_anew_also_where_it_has_counted_more_than_the_one_before() -> None:
    book, phone = Accounts(), config(phone="phone")
    book.update(report(peer(tx_bytes=100)), phone, NOW)
    book.update(report(peer(tx_bytes=500), run="two"), phone, NOW + 30)
    assert only(book).counts.tx_bytes == 600
    book.update(report(peer(tx_bytes=7, serial=2), run="two"), phone, NOW + 60)
    assert only(book).counts.tx_bytes == 607, "removed and added again: the node's peer is another one"


def test_a_node_that_tells_no_start_is_not_counted() -> None:
    book = Accounts()
    book.update({"peers": [peer(rx_bytes=9)]}, config(phone="phone"), NOW)
    told = peer(rx_bytes=9)
    del told["serial"]
    book.update(report(told), config(phone="phone"), NOW)
    assert only(book).counts == Counts()


def test_an_account_goes_on_over_another_key_and_another_name_but_never_over_both() -> None:
    book = Accounts()
    book.update(report(peer(rx_bytes=5)), config(phone="phone"), NOW)
    book.update(report(peer("new", 2, rx_bytes=6)), config(phone="new"), NOW)
    assert only(book).counts.rx_bytes == 11
    book.update(report(peer("new", 2, rx_bytes=7)), config(mobile="new"), NOW)
    assert (only(book).name, only(book).counts.rx_bytes) == ("alice/mobile", 12)
    book.update(report(peer("laptop", 3, rx_bytes=1)), config(laptop="laptop"), NOW)
    assert {one.name: (one.counts.rx_bytes, one.left) for one in book} == {
        "alice/mobile": (12, NOW),
        "alice/laptop": (1, None),
    }


def test_names_that_change_places_take_their_accounts_with_their_keys() -> None:
    book = Accounts()
    book.update(report(peer(rx_bytes=5), peer("laptop", 2, rx_bytes=70)), config(a="phone", b="laptop"), NOW)
    book.update(report(peer(rx_bytes=5), peer("laptop", 2, rx_bytes=70)), config(b="phone", a="laptop"), NOW)
    assert {one.name: one.counts.rx_bytes for one in book} == {"alice/b": 5, "alice/a": 70}


def test_who_leaves_is_read_a_last_time_and_remembered_for_so_long() -> None:
    book = Accounts()
    book.update(report(peer(rx_bytes=5)), config(phone="phone"), NOW)
    book.update(report(peer(rx_bytes=9)), config(laptop="laptop"), NOW)
    gone = next(one for one in book if one.name == "alice/phone")
    assert (gone.counts.rx_bytes, gone.left) == (9, NOW)
    book.update(report(peer(serial=2, rx_bytes=1)), config(phone="phone"), NOW + KEEP - 1)
    back = next(one for one in book if one.name == "alice/phone")
    assert (back.counts.rx_bytes, back.left) == (10, None), "disabled for a while, and back"
    book.update(report(), config(), NOW + KEEP)
    book.update(report(), config(laptop="laptop"), NOW + 3 * KEEP)
    assert {one.name for one in book} == {"alice/laptop"}


def test_it_was_seen_at_its_handshake_and_whenever_more_came_from_it() -> None:
    book, phone = Accounts(), config(phone="phone")
    book.update(report(peer(tx_bytes=148)), phone, NOW)
    assert (only(book).first_seen, only(book).last_seen) == (None, None), "called, and not there"
    book.update(report(peer(rx_bytes=92, last_handshake=NOW + 10)), phone, NOW + 30)
    assert (only(book).first_seen, only(book).last_seen) == (NOW + 30, NOW + 30)
    book.update(report(peer(rx_bytes=92, tx_bytes=900, last_handshake=NOW + 10)), phone, NOW + 60)
    assert only(book).last_seen == NOW + 30, "only we have sent something"
    book.update(report(peer(rx_bytes=5000, last_handshake=NOW + 65), run="two"), phone, NOW + 90)
    assert only(book).last_seen == NOW + 65, "when another node has received that is not known"


def test_where_it_was_is_kept_and_a_device_that_moves_all_the_time_leaves_its_last_places() -> None:
    book, phone = Accounts(), config(phone="phone")
    for number in range(20):
        place = f"192.0.2.{number % 12}:1024"
        book.update(report(peer(rx_bytes=number, endpoint=place, last_handshake=NOW + number)), phone, NOW + number)
    places = only(book).endpoints
    assert len(places) == MOST_ENDPOINTS
    assert places[-1] == ("192.0.2.7:1024", NOW + 19, NOW + 19)
    book.update(report(peer(rx_bytes=99, endpoint="192.0.2.7:1024")), phone, NOW + 50)
    assert only(book).endpoints[-1] == ("192.0.2.7:1024", NOW + 19, NOW + 50)
    book.update(report(peer(rx_bytes=99, tx_bytes=5, endpoint="192.0.2.200:1")), phone, NOW + 90)
    assert only(book).endpoints[-1].endpoint == "192.0.2.7:1024", "configured there, and not seen there"


def test_a_guest_that_counts_backwards_takes_nothing_away_and_none_counts_beyond_what_can_be_kept() -> None:
    book, phone = Accounts(), config(phone="phone")
    book.update(report(peer(rx_bytes=100)), phone, NOW)
    book.update(report(peer(rx_bytes=1)), phone, NOW)
    assert only(book).counts.rx_bytes == 100
    for run in ("two", "three"):
        book.update(report(peer(rx_bytes=accounts.LARGEST_COUNT), run=run), phone, NOW)
    assert accounts.read(json.loads(json.dumps(only(book).kept()))) == only(book)


@pytest.mark.parametrize(
    "change",
    [
        {"name": 7},
        {"rx_bytes": -1},
        {"keys": ["!"]},
        {"reading": [1, 2]},
        {"endpoints": [["nowhere", 1, 2]]},
        {"left": "x"},
    ],
)
def test_what_is_no_account_is_refused(change: dict[str, Any]) -> None:
    good = Account("alice/phone", (encode_key(KEYS["phone"]),)).kept()
    assert accounts.read(good)
    with pytest.raises(Refused):
        accounts.read({**good, **change})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("packet"), st.sampled_from(("phone", "laptop"))),
        st.sampled_from((("read",), ("write",), ("hostd ends",), ("hostd is killed",), ("guest ends",))),
        st.tuples(st.just("configure"), st.sampled_from(("phone", "laptop", "both"))),
    ),
    max_size=60,
)


class World:
    """A node that counts, hostd that reads it, and what a person would count who sees each packet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, NOW
        self.truth: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.runs = self.serials = 0
        self.config = config(phone="phone", laptop="laptop")
        self.ledger = self._hostd()
        self.boot()
        self.read()

    def _hostd(self) -> Ledger:
        return Ledger(self.folder, lambda: self.now, pytest.fail)

    def boot(self) -> None:
        self.runs += 1
        self.truth -= self.unread  # lost with the node that counted it
        self.unread.clear()
        self.peers = {name: self._peer(name) for name in self._configured()}

    def _configured(self) -> list[str]:
        return [one.name.partition("/")[2] for one in self.config.devices]

    def _peer(self, name: str) -> dict[str, Any]:
        self.serials += 1
        return peer(name, self.serials)

    def packet(self, name: str) -> None:
        if name in self.peers:
            self.peers[name]["rx_packets"] += 1
            self.truth[name] += 1
            self.unread[name] += 1

    def read(self) -> None:
        self.now += 1
        report_ = report(*(dict(one) for one in self.peers.values()), run=f"run{self.runs}")
        self.ledger.heard(report_, self.config, "guest")
        self.unread.clear()

    def write(self) -> None:
        self.now += SOONEST
        self.read()

    def hostd_ends(self) -> None:
        self.ledger.save(at_once=True)
        self.ledger = self._hostd()

    def hostd_is_killed(self) -> None:
        """What it has read and not written is read again, as long as the node runs."""
        self.ledger = self._hostd()
        self.read()

    def guest_ends(self) -> None:
        """What hostd does when it is gone."""
        self.ledger.save(at_once=True)
        self.boot()

    def configure(self, which: str) -> None:
        self.config = config(**{name: name for name in ("phone", "laptop") if which in (name, "both")})
        self.read()
        self.ledger.changing()
        for name in ("phone", "laptop"):
            if name not in self._configured():
                self.peers.pop(name, None)
            elif name not in self.peers:
                self.peers[name] = self._peer(name)
        self.ledger.changed(self.config.digest, self.config, "guest")


@settings(deadline=None)
@given(STEPS)
def test_every_packet_is_counted_once_but_those_that_a_node_took_with_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, ...]]
) -> None:
    world = World(tmp_path_factory.mktemp("ledger"))
    for what, *rest in steps:
        getattr(world, what.replace(" ", "_"))(*rest)
    world.read()
    told = {one["name"].partition("/")[2]: one["rx_packets"] for one in world.ledger.accounts()["accounts"]}
    assert {name: told.get(name, 0) for name in world.truth} == dict(world.truth)


def test_it_is_written_at_a_bounded_rate_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW]
    ledger = Ledger(tmp_path, lambda: now[0], pytest.fail)
    file, phone = tmp_path / ACCOUNTS, config(phone="phone")
    ledger.heard(report(peer(rx_bytes=1)), phone, None)
    first = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    now[0] += SOONEST - 1
    ledger.heard(report(peer(rx_bytes=2)), phone, None)
    assert file.read_bytes() == first
    now[0] += 1
    ledger.heard(report(peer(rx_bytes=3)), phone, None)
    assert json.loads(file.read_bytes())["accounts"][0]["rx_bytes"] == 3
    size = len(file.read_bytes())
    monkeypatch.setattr(ledger_module, "RATE", size / 100)
    now[0] += SOONEST
    ledger.heard(report(peer(rx_bytes=4)), phone, None)
    before = file.stat().st_ino
    now[0] += 99
    ledger.heard(report(peer(rx_bytes=5)), phone, None)
    assert file.stat().st_ino == before, "there is more of it than a disk likes to write every 30 s"
    now[0] += 2
    ledger.heard(report(peer(rx_bytes=6)), phone, None)
    assert file.stat().st_ino != before


def test_a_disk_that_is_full_for_a_while_loses_nothing_and_is_told_once(tmp_path: Path) -> None:
    warned: list[str] = []
    now = [NOW]
    folder = tmp_path / "state"
    ledger = Ledger(folder, lambda: now[0], warned.append)
    for number in (1, 2):
        now[0] += SOONEST
        ledger.heard(report(peer(rx_bytes=number)), config(phone="phone"), None)
    assert len(warned) == 1
    folder.mkdir()
    ledger.heard(report(peer(rx_bytes=2)), config(phone="phone"), None)
    assert only(Accounts("", [accounts.read(one) for one in json.loads((folder / ACCOUNTS).read_bytes())["accounts"]]))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"format":2,"accounts":[]}', b'{"format":true}'])
def test_a_file_that_is_none_of_ours_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ACCOUNTS).write_bytes(content)
    warned: list[str] = []
    ledger = Ledger(tmp_path, lambda: NOW, warned.append)
    ledger.heard(report(peer(rx_bytes=1)), config(phone="phone"), None)
    assert (tmp_path / "accounts.json.refused").read_bytes() == content
    assert len(warned) == 1
    assert json.loads((tmp_path / ACCOUNTS).read_bytes())["accounts"][0]["rx_bytes"] == 1


def test_of_all_denials_together_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_DENIALS_IN_ALL", 3)
    book, two = Accounts(), config(phone="phone", laptop="laptop")
    phone = peer(denied=2, denials=[denial(22, 1, NOW - 5), denial(23, 1, NOW - 1)])
    book.update(report(phone, peer("laptop", 2, denied=2, denials=[denial(24, 1, NOW - 4)])), two, NOW)
    assert sorted(one.port for account in book for one in account.denials) == [22, 23, 24]
    book.update(report(phone, peer("laptop", 2, denied=3, denials=[denial(25, 1, NOW)])), two, NOW)
    assert sorted(one.port for account in book for one in account.denials) == [23, 24, 25]
    assert sum(account.counts.denied for account in book) == 5


def test_what_is_written_of_as_many_as_there_may_be_is_read_again(tmp_path: Path) -> None:
    """Each with all the places that are kept of it: 10,000 phones that roam."""
    places = tuple(accounts.Seen(f"203.0.113.{number}:51820", NOW, NOW) for number in range(MOST_ENDPOINTS))
    many = [Account(f"u{n}/phone", (encode_key(n.to_bytes(32, "big")),), endpoints=places) for n in range(10_000)]
    ledger = Ledger(tmp_path, lambda: NOW, pytest.fail)
    ledger._accounts = Accounts("one", many)
    ledger._holders = Holders(NOW, "", held(20_000, 20_000))
    ledger._holders_file.unsaved = True
    ledger.save(at_once=True)
    again = Ledger(tmp_path, lambda: NOW, pytest.fail)
    assert list(again._accounts) == many
    assert list(accounts_of(json.dumps(again.accounts()))) == many, "who asks reads it too"
    assert len(list(again._holders)) == 40_000


def held(now: int, ended: int) -> Iterator[Holding]:
    key = encode_key(bytes(32))
    for number in range(now + ended):
        address = str(ip_address(0x0A000000 + number))
        yield Holding(address, "a/b", key, None, (NOW, NOW), (NOW, NOW) if number >= now else None)
