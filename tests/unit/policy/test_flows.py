"""What a plane lets through under a policy, packet by packet, and what it tells of the rest."""

from __future__ import annotations

import pytest

from tests.unit.policy.crossing import (
    ALICE,
    ALICE6,
    BOB,
    BOB6,
    GATEWAY,
    GUESTS,
    MACHINE,
    MACHINE6,
    PUBLIC,
    SITE,
    SITE6,
    STAFF,
    TCP,
    UDP,
    Crossing,
    first,
    icmp,
    ip,
    later,
    ping,
    policy,
    pong,
    tcp,
    udp,
    unreachable,
)
from wgnode.policy.model import Rule
from wgnode.protocol import access

WEB = Rule("groups.guests.reach[0]", networks=("10.1.0.0/24", "fd00:10:1::/64"), protocols=(TCP,), ports=((443, 443),))
FAMILIES = [(BOB, ALICE, MACHINE), (BOB6, ALICE6, MACHINE6)]


def test_without_a_policy_nothing_is_judged() -> None:
    c = Crossing(None)
    assert c.carry("bob", udp(BOB, ALICE))
    assert c.offer(udp(BOB, ALICE))
    assert c.carry("bob", udp(BOB, PUBLIC))
    assert c.offer(ip(MACHINE, BOB, UDP, b"")), "and nothing has to be readable"
    assert (c.dropped, c.gateway.access.flows) == (0, (0, 0, 0))


@pytest.mark.parametrize(("bob", "alice", "machine"), FAMILIES)
def test_a_device_opens_what_its_class_may_and_gets_the_answers(bob: str, alice: str, machine: str) -> None:
    c = Crossing(policy(WEB))
    assert not c.offer(tcp(machine, bob, 4000, 443)), "an answer before its question"
    assert c.carry("bob", tcp(bob, machine, 443))
    assert c.offer(tcp(machine, bob, 4000, 443)), "the answer"
    assert not c.offer(tcp(machine, bob, 4001, 443)), "to another port"
    assert not c.carry("bob", tcp(bob, machine, 444))
    assert not c.carry("bob", udp(bob, machine, 443))
    assert not c.carry("bob", tcp(bob, alice, 443)), "a device's address is in no network"
    assert c.denied() == [("bob", False, "", 1), ("bob", False, "", 1), *[("bob", True, "", 1)] * 3]
    assert c.dropped == 5


def test_a_site_and_what_is_not_for_a_device_are_not_judged() -> None:
    c = Crossing(policy())
    assert c.carry("site", udp(SITE, MACHINE))
    assert c.offer(udp(MACHINE, SITE))
    assert c.offer(udp(PUBLIC, SITE))
    assert c.carry("site", udp(SITE6, BOB6)), "that is judged where it goes on to the device"
    assert not c.offer(udp(SITE6, BOB6))
    assert c.gateway.access.flows == (0, 0, 1)


def test_between_devices_the_sender_is_asked_and_once() -> None:
    c = Crossing(policy())
    question, answer = udp(ALICE, BOB), udp(BOB, ALICE, 4000, 53)
    assert not c.carry("bob", answer), "bob may open nothing"
    assert not c.offer(answer)
    assert c.carry("alice", question)
    assert c.offer(question)
    assert c.carry("bob", answer)
    assert c.offer(answer)
    assert c.gateway.access.flows.flows == 1
    assert c.denied() == [("bob", True, "", 1), ("alice", False, "spoofed", 1)]


def test_who_takes_a_device_s_address_outside_of_its_tunnel_opens_nothing() -> None:
    c = Crossing(policy(incoming=(Rule("groups.guests.reachableFrom[0]", networks=("0.0.0.0/0",)),)))
    assert not c.offer(udp(ALICE, BOB))
    assert c.offer(udp(MACHINE, BOB))
    assert c.denied() == [("bob", False, "spoofed", 1)]


def test_what_is_opened_to_a_device_is_judged_by_source_and_the_device_s_own_port() -> None:
    ssh = Rule("groups.guests.reachableFrom[0]", networks=("10.1.0.0/24",), protocols=(TCP,), ports=((22, 23),))
    c = Crossing(policy(incoming=(ssh,)))
    assert c.offer(tcp(MACHINE, BOB, 22))
    assert c.offer(tcp(GATEWAY, BOB, 23))
    assert not c.offer(tcp(MACHINE, BOB, 24))
    assert not c.offer(tcp(SITE, BOB, 22))
    assert c.carry("bob", tcp(BOB, MACHINE, 4000, 22)), "the answer"
    assert not c.carry("bob", tcp(BOB, MACHINE, 22, 4000))


def test_gateway_and_host_are_reached_only_by_their_own_address_in_a_rule() -> None:
    c = Crossing(policy(Rule("r", networks=("10.1.0.0/24",), internet=True)))
    assert not c.carry("alice", udp(ALICE, GATEWAY))
    assert not c.carry("bob", udp(BOB, GATEWAY))
    assert c.carry("bob", udp(BOB, PUBLIC))
    assert not c.carry("alice", udp(ALICE, PUBLIC))
    assert not c.carry("bob", udp(BOB, "10.77.0.1")), "known, so not the internet"
    c.judge(policy(Rule("r", networks=(f"{GATEWAY}/32",), protocols=(UDP,), ports=((53, 53),))))
    assert c.carry("bob", udp(BOB, GATEWAY))
    assert not c.carry("bob", udp(BOB, GATEWAY, 54))


def test_a_class_that_is_none_and_a_number_beyond_may_do_nothing() -> None:
    for number in (0, 3, 65000):
        c = Crossing(policy(WEB), {"alice": STAFF, "bob": number})
        assert not c.carry("bob", tcp(BOB, MACHINE, 443))
        assert not c.offer(tcp(MACHINE, BOB))
        assert not c.carry("alice", udp(ALICE, BOB)), "nor is it in what others may"


@pytest.mark.parametrize(("bob", "alice", "machine"), FAMILIES)
def test_echo_is_a_flow_of_its_identifier_and_only_its_reply_comes_back(bob: str, alice: str, machine: str) -> None:
    c = Crossing(policy(Rule("r", networks=("10.1.0.0/24", "fd00:10:1::/64"), protocols=(1, 58))))
    assert c.carry("bob", ping(bob, machine))
    assert c.offer(pong(machine, bob))
    assert not c.offer(ping(machine, bob))
    assert not c.offer(pong(machine, bob, ident=6))
    assert not c.carry("bob", udp(bob, machine))
    c.clock.now += 59.0
    assert c.offer(pong(machine, bob))
    c.clock.now += 60.0
    assert not c.offer(pong(machine, bob)), "silent for a minute"


@pytest.mark.parametrize(("bob", "alice", "machine"), FAMILIES)
def test_an_icmp_error_passes_if_it_is_about_a_flow(bob: str, alice: str, machine: str) -> None:
    c = Crossing(policy(WEB))
    asked, router = tcp(bob, machine, 443), machine
    assert not c.offer(unreachable(router, bob, asked)), "before there is a flow"
    assert c.carry("bob", asked)
    assert c.offer(unreachable(router, bob, asked))
    assert not c.offer(unreachable(router, bob, tcp(bob, machine, 443, 4001))), "another port"
    assert not c.offer(unreachable(router, bob, tcp(alice, machine, 443))), "not sent by whom it goes to"
    answer = tcp(machine, bob, 4000, 443)
    assert c.carry("bob", unreachable(bob, machine, answer)), "about an answer"
    assert not c.carry("alice", unreachable(alice, machine, answer)), "by somebody else"
    assert not c.offer(icmp(machine, bob, 1 if ":" in bob else 11)), "about nothing"
    assert [rule for _, _, rule, _ in c.denied()] == ["icmp"] * 2, "equal ones are told as one"
    assert c.dropped == 5


@pytest.mark.parametrize(("bob", "alice", "machine"), FAMILIES)
def test_fragments_follow_their_first(bob: str, alice: str, machine: str) -> None:
    c = Crossing(policy(Rule("r", networks=("10.1.0.0/24", "fd00:10:1::/64"), protocols=(UDP,))))
    assert not c.carry("bob", later(bob, machine))
    assert c.carry("bob", first(udp(bob, machine)))
    assert c.carry("bob", later(bob, machine, more=True))
    assert c.carry("bob", later(bob, machine))
    assert not c.carry("bob", later(bob, machine, ident=8))
    assert not c.carry("bob", first(tcp(bob, machine), ident=9))
    assert not c.carry("bob", later(bob, machine, TCP, 9))
    c.clock.now += 30.0
    assert not c.carry("bob", later(bob, machine)), "too late"
    assert [rule for _, _, rule, _ in c.denied()] == ["fragment", "", *(["fragment"] if ":" not in bob else [])]


def test_a_first_fragment_without_ports_and_headers_that_end_early_are_denied() -> None:
    c = Crossing(policy())
    assert not c.carry("alice", ip(ALICE, MACHINE, TCP, b"abc"))
    assert not c.carry("alice", ip(ALICE, MACHINE, 1, b"\x08"))
    assert not c.carry("alice", ip(ALICE6, MACHINE6, 43, bytes([6, 9, 0, 0, 0, 0, 0, 0])))
    assert {rule for _, _, rule, _ in c.denied()} == {"unreadable"}
    assert c.carry("alice", ip(ALICE, MACHINE, 47, b"")), "a protocol without ports"
    assert c.offer(ip(MACHINE, ALICE, 47, b""))


def test_a_tcp_flow_may_be_silent_for_two_hours_once_both_have_spoken_and_minutes_before_and_after() -> None:
    c = Crossing(policy(WEB))
    there, back = tcp(BOB, MACHINE), tcp(MACHINE, BOB, 4000, 443)
    assert c.carry("bob", tcp(BOB, MACHINE, flags=0x02))
    c.clock.now += 240.0
    assert not c.offer(back), "half open"
    assert c.carry("bob", tcp(BOB, MACHINE, flags=0x02))
    assert c.offer(tcp(MACHINE, BOB, 4000, 443, flags=0x12))
    c.clock.now += 7439.0
    assert c.offer(back)
    assert c.carry("bob", tcp(BOB, MACHINE, flags=0x11)), "FIN"
    c.clock.now += 239.0
    assert c.offer(back)
    c.clock.now += 240.0
    assert not c.offer(back), "closed"
    assert c.carry("bob", there)


def test_a_tcp_flow_that_begins_again_is_no_closed_one() -> None:
    c = Crossing(policy(WEB))
    for flags in (0x02, 0x04, 0x02):
        assert c.carry("bob", tcp(BOB, MACHINE, flags=flags))
        assert c.offer(tcp(MACHINE, BOB, 4000, 443))
    c.clock.now += 7000.0
    assert c.offer(tcp(MACHINE, BOB, 4000, 443))


def test_udp_is_silent_for_five_minutes_and_a_question_of_dns_for_two() -> None:
    c = Crossing(policy(Rule("r", networks=("10.1.0.0/24",))))
    for port, seconds in ((53, 120.0), (54, 300.0)):
        assert c.carry("bob", udp(BOB, MACHINE, port))
        c.clock.now += seconds - 1
        assert c.offer(udp(MACHINE, BOB, 4000, port))
        c.clock.now += seconds
        assert not c.offer(udp(MACHINE, BOB, 4000, port))


def test_another_policy_judges_running_flows_again_and_ends_what_it_does_not_allow() -> None:
    c = Crossing(policy(WEB))
    there, back = tcp(BOB, MACHINE), tcp(MACHINE, BOB, 4000, 443)
    assert c.carry("bob", there)
    assert c.offer(back)
    c.judge(policy(WEB, Rule("more", internet=True)))
    assert c.offer(back), "still allowed, so an answer goes on"
    c.judge(policy())
    assert not c.offer(back)
    assert not c.carry("bob", there)
    c.judge(policy(WEB))
    assert not c.offer(back), "it has ended"
    assert c.carry("bob", there)
    assert c.offer(back)


def test_another_class_of_one_device_ends_what_it_and_others_may_not_do_any_more() -> None:
    only_guests = Rule("r", classes=(GUESTS,))
    c = Crossing(policy(only_guests), {"alice": GUESTS, "bob": GUESTS})
    assert c.carry("alice", udp(ALICE, BOB))
    assert c.carry("bob", udp(BOB, ALICE, 4000, 53))
    c.judge(policy(only_guests), {"alice": GUESTS, "bob": STAFF})
    assert not c.carry("alice", udp(ALICE, BOB)), "bob is no guest any more"
    assert c.carry("bob", udp(BOB, ALICE, 4000, 53)), "as bob's own, who reaches all"


def test_a_device_that_is_closed_or_removed_takes_its_flows_along() -> None:
    c = Crossing(policy())
    assert c.carry("alice", udp(ALICE, MACHINE))
    assert c.carry("alice", udp(ALICE, BOB))
    c.gateway.set_closed(c.peer("bob"), True)
    assert c.gateway.access.flows.flows == 1
    c.gateway.set_closed(c.peer("alice"), True)
    assert c.gateway.access.flows.flows == 0
    c.gateway.set_closed(c.peer("alice"), False)
    assert c.offer(udp(MACHINE, ALICE)), "a handshake"
    assert c.gateway.access.flows.flows == 1
    c.gateway.remove_peer(c.peer("alice").public_key)
    assert c.gateway.access.flows.flows == 0


def test_a_peer_that_is_added_later_is_judged_by_its_key() -> None:
    c = Crossing(policy())
    key = c.peer("bob").public_key
    c.gateway.remove_peer(key)
    peer = c.gateway.add_peer([key])
    c.gateway.replace_allowed_ips(peer, [f"{BOB}/32"])
    assert not c.carry("alice", udp(ALICE, PUBLIC))
    assert c.carry("alice", udp(ALICE, BOB))
    c.gateway.send_packet(udp(MACHINE, BOB), c.clock.now)
    assert ("bob", False, "", 1) in c.denied()


def test_denials_are_told_once_with_their_packets_and_counted_for_the_peer() -> None:
    c = Crossing(policy())
    for _ in range(3):
        c.carry("bob", tcp(BOB, MACHINE, 22))
    (one,) = c.denials()
    assert (one.rule, one.protocol, one.port, one.packets, one.outgoing) == ("", TCP, 22, 3, True)
    assert c.denials() == []
    c.carry("bob", tcp(BOB, MACHINE, 22))
    c.denials()
    told = c.gateway.access.denied(c.peer("bob"))
    assert (told.packets, [each.packets for each in told.told.values()]) == (4, [4])
    for port in range(20):
        c.carry("bob", tcp(BOB, MACHINE, port))
    c.denials()
    told = c.gateway.access.denied(c.peer("bob"))
    assert told.packets == 24
    assert [what[5] for what in told.told] == list(range(12, 20)), "the newest"


def test_of_all_denials_together_the_newest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report has room for so many, whatever how many devices there are."""
    monkeypatch.setattr(access, "MOST_DENIALS", 3)
    c = Crossing(policy())
    for number, name in enumerate(("bob", "bob", "alice", "alice", "bob")):
        c.carry(name, tcp(BOB if name == "bob" else ALICE, PUBLIC, number))
        c.denials()
    told = {name: c.gateway.access.denied(c.peer(name)) for name in ("alice", "bob")}
    assert {name: [what[5] for what in one.told] for name, one in told.items()} == {"alice": [2, 3], "bob": [4]}
    assert (told["alice"].packets, told["bob"].packets) == (2, 3), "all of them count"
    c.gateway.remove_peer(c.peer("alice").public_key)
    c.carry("bob", tcp(BOB, PUBLIC, 9))
    c.denials()
    assert [what[5] for what in c.gateway.access.denied(c.peer("bob")).told] == [4, 9]


def test_a_handed_over_packet_is_judged_too() -> None:
    """The first of a session that is not confirmed is the protocol's to open."""
    c = Crossing(policy())
    c.others["bob"].stop(c.clock.now)
    c.clock.now += 1.0
    c.others["bob"].start(c.clock.now)
    c.clock.now += 10.0
    assert not c.carry("bob", udp(BOB, MACHINE))
    assert c.denied() == [("bob", True, "", 1)]


def test_a_flow_does_not_go_on_for_the_device_that_gets_its_address() -> None:
    c = Crossing(policy())
    assert c.carry("alice", udp(ALICE, MACHINE))
    assert c.offer(udp(MACHINE, ALICE, 22, 53)), "what was opened to it"
    c.gateway.replace_allowed_ips(c.peer("bob"), [f"{ALICE}/32"])
    c.gateway.replace_allowed_ips(c.peer("alice"), [f"{BOB}/32"])
    assert not c.carry("bob", udp(ALICE, MACHINE)), "bob may open nothing"
    assert not c.offer(udp(MACHINE, ALICE, 22, 53))
    assert not c.carry("bob", udp(ALICE, MACHINE, 53, 22))
    assert c.carry("alice", udp(BOB, MACHINE))
