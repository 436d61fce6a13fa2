"""nf_tables messages as linux/netfilter/nf_tables.h lays them out; tests/lab holds the whole against the kernel."""

from __future__ import annotations

import dataclasses
import errno
import struct

import pytest

from wgnode import nodeconfig
from wgnode.io.netlink import NetlinkError, connection
from wgnode.io.netlink.codec import NLMSG_ERROR, message, parse_attributes, parse_messages
from wgnode.io.netlink.connection import Step
from wgnode.nodeconfig import LinkConfig, NodeConfig
from wgnode.platform.linux import masquerade
from wgnode.platform.linux.network import Network

STEPS = masquerade.ruleset("wg0", "wan", "lan")


def answer(sequence: int, code: int = 0) -> bytes:
    """What the kernel says to the message of this sequence number; it quotes the message's header."""
    return message(NLMSG_ERROR, 0, sequence, struct.pack("=i", -code) + bytes(16))


def test_a_transaction_is_framed_and_its_steps_are_numbered() -> None:
    sent = list(parse_messages(masquerade.batch(STEPS)))
    assert [sequence for _, sequence, _ in sent] == list(range(len(STEPS) + 2))
    assert [kind for kind, _, _ in sent] == [0x10, 0xA00, *[0xA03] * 3, *[0xA06] * 3, 0x11]
    assert sent[0][2] == sent[-1][2] == bytes.fromhex("0000000a"), "family unspecified, subsystem nf_tables"
    assert {content[:4] for _, _, content in sent[1:-1]} == {bytes.fromhex("01000000")}, "family inet"


def test_only_the_steps_ask_for_an_answer() -> None:
    data = masquerade.batch(STEPS[:1])
    assert data[:20] == bytes.fromhex("14000000 1000 0100 00000000 00000000 0000000a")
    assert data[20:36] == bytes.fromhex("20000000 000a 050c 01000000 00000000")
    assert data[36:52] == bytes.fromhex("01000000 0b00 0100 77676e6f646500 00")
    assert data[52:] == bytes.fromhex("14000000 1100 0100 02000000 00000000 0000000a")


def test_the_chain_is_a_nat_chain_where_sources_are_changed() -> None:
    step = masquerade.chain("postrouting", "nat", masquerade.NF_INET_POST_ROUTING, masquerade.NF_IP_PRI_NAT_SRC)
    assert step in STEPS
    values = parse_attributes(step.body[4:])
    assert (values[1], values[3], values[7]) == (b"wgnode\0", b"postrouting\0", b"nat\0")
    assert values[4] == bytes.fromhex("0800 0100 00000004  0800 0200 00000064")


def test_the_rule_masquerades_what_goes_from_the_tunnel_to_the_lan() -> None:
    expected = (
        "24000180 0900 0100 6d65746100 000000  14000280 0800 0200 00000006  0800 0100 00000001"
        "38000180 0800 0100 636d7000  2c000280 0800 0100 00000001  0800 0200 00000000"
        "  18000380 1400 0100 77673000000000000000000000000000"
        "24000180 0900 0100 6d65746100 000000  14000280 0800 0200 00000007  0800 0100 00000001"
        "38000180 0800 0100 636d7000  2c000280 0800 0100 00000001  0800 0200 00000000"
        "  18000380 1400 0100 6c616e00000000000000000000000000"
        "14000180 0900 0100 6d61737100 000000 04000280"
    )
    assert parse_attributes(STEPS[-1].body[4:])[4] == bytes.fromhex(expected)


def test_an_interface_name_has_at_most_15_bytes() -> None:
    assert list(masquerade.interface_is(masquerade.NFT_META_IIFNAME, "a" * 15))
    with pytest.raises(ValueError, match="too long for an interface name"):
        list(masquerade.interface_is(masquerade.NFT_META_IIFNAME, "a" * 16))


def test_a_refused_step_is_named() -> None:
    steps = [Step("add table", 0, b""), Step("add chain x", 0, b"")]
    assert connection.acknowledged(answer(1) + answer(2), steps, "masquerade") == {1, 2}
    with pytest.raises(NetlinkError, match="masquerade: add chain x: No such file") as caught:
        connection.acknowledged(answer(1) + answer(2, errno.ENOENT), steps, "masquerade")
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(NetlinkError, match="masquerade: whole transaction: Operation not permitted"):
        connection.acknowledged(answer(0, errno.EPERM), steps, "masquerade")


@pytest.mark.parametrize(("wanted", "calls"), [(True, [("wg7", "wan", "lan", ("10.1.0.2/24",))]), (False, [])])
def test_only_a_configuration_that_asks_for_it_masquerades(
    monkeypatch: pytest.MonkeyPatch, wanted: bool, calls: list[tuple[object, ...]]
) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(masquerade, "start", lambda *names: seen.append(names))
    wan = LinkConfig("52:54:00:00:00:01", ())
    lan = LinkConfig("52:54:00:00:00:02", ("10.1.0.2/24",), masquerade=wanted)
    monkeypatch.setattr(Network, "configure_links", lambda *_: None)
    Network().prepare(NodeConfig("m", "a", (), 51820, (), wan, lan, interface="wg7"))
    assert seen == calls


def test_a_configuration_from_before_masquerade_stays_what_it_is() -> None:
    plain = nodeconfig.LinkConfig(mac="52:54:00:00:00:01", addresses=("10.0.0.2/24",))
    written = nodeconfig._link_to_dict(plain)
    assert "masquerade" not in written
    assert nodeconfig._link_from_dict(written) == plain
    masquerading = dataclasses.replace(plain, masquerade=True)
    assert nodeconfig._link_from_dict(nodeconfig._link_to_dict(masquerading)) == masquerading
