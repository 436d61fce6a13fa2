"""Which address the next device gets."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.topology.pool import REST, PoolFull, next_address

TODAY = 20787
POOL = ip_network("10.1.0.128/29")


def at(*hosts: int) -> list:
    return [ip_address(f"10.1.0.{host}") for host in hosts]


def test_the_next_is_one_that_was_never_used_behind_all_that_were() -> None:
    assert next_address(POOL, [], {}, [], TODAY) == ip_address("10.1.0.128")
    assert next_address(POOL, at(128, 130), {}, [], TODAY) == ip_address("10.1.0.131"), "not the gap, which was used"
    released = dict.fromkeys(at(133), TODAY - 1000)
    assert next_address(POOL, at(128), released, at(134), TODAY) == ip_address("10.1.0.135")
    assert next_address(POOL, at(135), {}, at(128), TODAY) == ip_address("10.1.0.129"), "at the end from the beginning"


def test_where_all_were_used_it_is_the_one_that_has_rested_longest_and_long_enough() -> None:
    released = {**dict.fromkeys(at(130), TODAY - REST), **dict.fromkeys(at(131), TODAY - REST - 1)}
    taken = at(128, 129, 132, 133, 134, 135)
    assert next_address(POOL, taken, released, [], TODAY) == ip_address("10.1.0.131")
    assert next_address(POOL, [*taken, *at(131)], released, [], TODAY) == ip_address("10.1.0.130")
    with pytest.raises(PoolFull, match=r"10\.1\.0\.130 is free again in 1 days"):
        next_address(POOL, [*taken, *at(131)], released, [], TODAY - 1)
    with pytest.raises(PoolFull, match=r"all addresses of pool .* are devices'; give a larger one"):
        next_address(POOL, [*taken, *at(130, 131)], released, [], TODAY)


@given(
    st.sets(st.integers(0, 15)),
    st.dictionaries(st.integers(0, 15), st.integers(0, 200)),
    st.sets(st.integers(0, 15)),
)
def test_it_is_never_anybodys_nor_one_that_rests(taken: set[int], ages: dict[int, int], never: set[int]) -> None:
    pool = ip_network("fd00::10/124")
    released = {pool[number]: TODAY - age for number, age in ages.items()}
    try:
        got = next_address(pool, [pool[one] for one in taken], released, [pool[one] for one in never], TODAY)
    except PoolFull:
        rested = {one for one, age in ages.items() if age >= REST}
        assert not (set(range(16)) - taken - never - ages.keys()) | (rested - taken - never)
        return
    number = int(got) - int(pool.network_address)
    assert got in pool
    assert number not in taken | never
    assert ages.get(number, REST) >= REST


def test_a_whole_lan_of_ipv6_is_a_pool_like_another() -> None:
    pool = ip_network("fd00:10:1::/64")
    assert next_address(pool, [ip_address("fd00:10:1::1001")], {}, [], TODAY) == ip_address("fd00:10:1::1002")
    last = pool[-1]
    assert next_address(pool, [last], {}, [pool[0]], TODAY) == ip_address("fd00:10:1::1")
