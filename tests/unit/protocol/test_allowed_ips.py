"""Longest prefix over both families, against a list that is searched from end to end."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.protocol import allowed_ips
from wgnode.protocol.allowed_ips import AllowedIPs, Network


class Scan:
    """The same, as slow and simple as can be."""

    def __init__(self) -> None:
        self.entries: dict[Network, str] = {}

    def lookup(self, address: IPv4Address | IPv6Address) -> str | None:
        holding = [net for net in self.entries if net.version == address.version and address in net]
        return self.entries[max(holding, key=lambda net: net.prefixlen)] if holding else None


def near(version: int) -> st.SearchStrategy[int]:
    """Addresses that share prefixes often: few distinct values in every byte."""
    size = 4 if version == 4 else 16
    return st.lists(st.sampled_from([0, 1, 127, 128, 255]), min_size=size, max_size=size).map(
        lambda octets: int.from_bytes(bytes(octets), "big")
    )


networks = st.one_of(
    st.tuples(near(4), st.integers(0, 32)).map(lambda given: IPv4Network(given, strict=False)),
    st.tuples(near(6), st.integers(0, 128)).map(lambda given: IPv6Network(given, strict=False)),
)
addresses = st.one_of(near(4).map(IPv4Address), near(6).map(IPv6Address))
steps = st.one_of(
    st.tuples(st.just("insert"), networks, st.sampled_from("abc")),
    st.tuples(st.just("remove"), networks, st.sampled_from("abc")),
    st.tuples(st.just("remove_owner"), st.none(), st.sampled_from("abc")),
    st.tuples(st.just("lookup"), addresses, st.none()),
)


@given(st.lists(steps, max_size=60), st.data())
def test_against_a_linear_scan(script: list[tuple[str, object, str]], data: st.DataObject) -> None:
    table: AllowedIPs[str] = AllowedIPs()
    naive = Scan()
    for op, what, owner in script:
        if op == "remove" and naive.entries and data.draw(st.booleans()):
            what = data.draw(st.sampled_from(list(naive.entries)))
        if op == "insert":
            table.insert(what, owner)  # type: ignore[arg-type]
            naive.entries[what] = owner  # type: ignore[index]
        elif op == "remove":
            table.remove(what, owner)  # type: ignore[arg-type]
            if naive.entries.get(what) == owner:  # type: ignore[call-overload]
                del naive.entries[what]  # type: ignore[arg-type]
        elif op == "remove_owner":
            table.remove_owner(owner)
            naive.entries = {net: held for net, held in naive.entries.items() if held != owner}
        else:
            assert table.lookup(what.packed) == naive.lookup(what)  # type: ignore[attr-defined, arg-type]
    for net in naive.entries:
        for edge in (net.network_address, net.broadcast_address):
            assert table.lookup(edge.packed) == naive.lookup(edge)
    assert len(table) == len(naive.entries)
    for owner in "abc":
        assert set(table.networks(owner)) == {net for net, held in naive.entries.items() if held == owner}


def test_a_network_moves_to_whom_it_is_given_last() -> None:
    table: AllowedIPs[str] = AllowedIPs()
    table.insert("10.0.0.0/8", "a")
    table.insert("10.1.2.3/8", "b")
    assert table.lookup(bytes([10, 0, 0, 1])) == "b"
    assert (table.networks("a"), table.networks("b")) == ([], [IPv4Network("10.0.0.0/8")])


@pytest.mark.parametrize("order", [(0, 8, 16, 24, 32), (32, 24, 16, 8, 0), (16, 0, 32, 8, 24)])
def test_the_longest_of_nested_networks_wins_in_whatever_order_they_came(order: tuple[int, ...]) -> None:
    table: AllowedIPs[int] = AllowedIPs()
    for length in order:
        table.insert(f"10.1.2.3/{length}", length)
    asked = ("10.1.2.3", "10.1.2.4", "10.1.3.0", "10.2.0.0", "11.0.0.0")
    assert [table.lookup(ip_address(each).packed) for each in asked] == [32, 24, 16, 8, 0]


def test_a_network_that_goes_leaves_its_neighbours_of_the_same_length() -> None:
    table: AllowedIPs[str] = AllowedIPs()
    for third in range(3):
        table.insert(f"10.0.{third}.0/24", "a")
    table.remove("10.0.1.7/24", "a")  # host bits are masked, as on the way in
    assert [table.lookup(bytes([10, 0, third, 1])) for third in range(3)] == ["a", None, "a"]
    assert len(table) == 2


def test_families_do_not_mix() -> None:
    table: AllowedIPs[str] = AllowedIPs()
    table.insert("0.0.0.0/0", "four")
    assert table.lookup(ip_address("::").packed) is None
    table.insert("::/0", "six")
    assert table.lookup(ip_address("255.255.255.255").packed) == "four"
    assert table.lookup(ip_address("::ffff:1.2.3.4").packed) == "six"


@pytest.mark.parametrize("bad", ["10.0.0.0/33", "::/129", "x", "10.0.0.0/-1", ""])
def test_what_is_no_network_raises_and_changes_nothing(bad: str) -> None:
    table: AllowedIPs[str] = AllowedIPs()
    with pytest.raises(ValueError, match=r".+"):
        table.insert(bad, "a")
    assert len(table) == 0


def test_the_cache_is_bounded_and_a_change_empties_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowed_ips, "CACHE_SIZE", 8)
    table: AllowedIPs[str] = AllowedIPs()
    for n in range(100):
        assert table.lookup(bytes([10, 0, 0, n])) is None
        assert len(table._cache) <= 8
    table.insert("10.0.0.0/8", "a")
    assert table.lookup(bytes([10, 0, 0, 99])) == "a"
    table.remove("10.0.0.0/8", "a")
    assert table.lookup(bytes([10, 0, 0, 99])) is None


def test_65536_networks_of_one_owner() -> None:
    table: AllowedIPs[str] = AllowedIPs()
    for n in range(65536):
        table.insert(IPv4Network((n << 16, 16)), "a")
    assert len(table) == 65536
    assert table.lookup(bytes([1, 2, 3, 4])) == "a"
    table.remove_owner("a")
    assert len(table) == 0
