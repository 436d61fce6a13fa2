"""Replay window, rate limiter and allowed IPs: sequences of steps with known answers."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from wgnode.protocol.allowed_ips import AllowedIPs
from wgnode.protocol.constants import REJECT_AFTER_MESSAGES
from wgnode.protocol.ratelimit import PACKETS_BURST, PACKETS_PER_SECOND, RateLimiter, address_bytes
from wgnode.protocol.replay import WINDOW, ReplayFilter

Load = Callable[[str], Any]


def test_replay_sequence_and_ranges(load: Load) -> None:
    data = load("replay")
    assert (data["window"], data["limit"]) == (WINDOW, REJECT_AFTER_MESSAGES)
    seen = ReplayFilter()
    for counter, accept, why in data["sequence"]:
        assert seen.accept(counter) is accept, why
    for case in data["ranges"]:
        first, last = case["first"], case["last"]
        step = 1 if first <= last else -1
        seen = ReplayFilter()
        assert all(seen.accept(counter) for counter in range(first, last + step, step))
        for counter, accept in case["then"]:
            assert seen.accept(counter) is accept, (case, counter)


def test_rate_limiter_steps_interleaved_over_all_addresses(load: Load) -> None:
    data = load("ratelimiter")
    assert (data["packets_per_second"], data["burst"]) == (PACKETS_PER_SECOND, PACKETS_BURST)
    limiter, now_ns = RateLimiter(), 10**9
    for step in data["steps"]:
        now_ns += step["wait_ns"]
        for address in data["addresses"]:
            assert limiter.allow(address_bytes(address), now_ns / 1e9) is step["allow"], (address, step)


def test_rate_limiter_takes_an_ipv6_64_as_one_source(load: Load) -> None:
    addresses = [address_bytes(text) for text in load("ratelimiter")["same_v6_64"]["addresses"]]
    limiter = RateLimiter()
    answers = [limiter.allow(addresses[n % 2], 5.0) for n in range(6)]
    assert answers == [True] * 5 + [False]


def test_allowed_ips_suites(load: Load) -> None:
    data = load("allowedips")
    suites = {name: steps for name, steps in data.items() if isinstance(steps, list) and name != "rules"}
    assert len(suites) == 5
    for name, steps in suites.items():
        table: AllowedIPs[str] = AllowedIPs()
        for number, step in enumerate(steps):
            run(table, step, f"{name}[{number}] {step}")


def run(table: AllowedIPs[str], step: dict[str, Any], where: str) -> None:
    match step["op"]:
        case "insert":
            table.insert(step["net"], step["peer"])
        case "remove":
            before = len(table)
            table.remove(step["net"], step["peer"])
            assert (len(table) < before) is step["removed"], where
        case "remove_peer":
            table.remove_owner(step["peer"])
        case "lookup":
            assert table.lookup(ip_address(step["ip"]).packed) == step["expected"], where
        case "list":
            assert set(table.networks(step["peer"])) == {ip_network(net) for net in step["expected_set"]}, where
        case "empty":
            assert len(table) == 0, where
        case other:
            raise AssertionError(f"{where}: unknown operation {other}")
