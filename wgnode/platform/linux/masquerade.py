"""Masquerade what comes out of the tunnel for the LAN: one nftables table by raw nfnetlink, no `nft` needed.

LAN machines then answer to the gateway's own LAN address, so they need no route to the other sites. What comes from an
address of the LAN itself is a device's (no other site's network overlaps it, and cryptokey routing proves it): that has
neighbours, which the gateway answers for, and stays as it is. Message layouts: linux/netfilter/nfnetlink.h,
linux/netfilter/nf_tables.h. The table is what this says to nft:

    table inet wgnode {
        chain prerouting { type filter hook prerouting priority raw; iifname "wan" notrack; }
        chain output { type filter hook output priority raw; oifname "wan" notrack; }
        chain postrouting {
            type nat hook postrouting priority srcnat;
            iifname "wg0" ip saddr 10.1.0.0/24 accept
            iifname "wg0" oifname "lan" masquerade
        }
    }
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_interface

from wgnode.io.netlink.codec import (
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    attribute,
    message,
    nested,
    text,
)
from wgnode.io.netlink.connection import Netfilter, Step
from wgnode.platform.linux.sysctl import write_sysctl
from wgnode.platform.linux.system import MODULES, load_modules

TABLE = "wgnode"
SETTINGS: dict[str, str | int] = {
    "net/netfilter/nf_conntrack_buckets": 8192,
    "net/netfilter/nf_conntrack_max": 16384,
    "net/netfilter/nf_conntrack_tcp_be_liberal": 1,
}
"""The kernel's own limit for a small machine is 1,024 connections; 16,384 take some 6 MiB. Liberal, because an answer
outside of the TCP window would not be translated back, and the gateway would reset the connection."""

SUBSYSTEM = 10
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, NEWCHAIN, NEWRULE = (SUBSYSTEM << 8 | kind for kind in (0, 3, 6))
NFGENMSG = struct.Struct(">BBH")
NFPROTO_INET = 1
NFTA_TABLE_NAME = 1
NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_TYPE = 1, 3, 4, 7
NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY = 1, 2
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS = 1, 2, 4
NFTA_LIST_ELEM, NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 1, 2
NFTA_META_DREG, NFTA_META_KEY = 1, 2
NFTA_CMP_SREG, NFTA_CMP_OP, NFTA_CMP_DATA, NFTA_DATA_VALUE = 1, 2, 3, 1
NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN = 1, 2, 3, 4
NFTA_BITWISE_SREG, NFTA_BITWISE_DREG, NFTA_BITWISE_LEN, NFTA_BITWISE_MASK, NFTA_BITWISE_XOR = 1, 2, 3, 4, 5
NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CODE = 1, 2, 2, 1
NFT_META_IIFNAME, NFT_META_OIFNAME, NFT_META_NFPROTO = 6, 7, 15
NFT_REG_VERDICT, NFT_PAYLOAD_NETWORK_HEADER, NF_ACCEPT = 0, 1, 1
SOURCE = {4: (socket.AF_INET, 12), 6: (socket.AF_INET6, 8)}
"""By version of IP: nfproto, and where the source stands in the header, in bytes."""
NFT_CMP_EQ, NFT_REG_1 = 0, 1
NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING = 0, 3, 4
NF_IP_PRI_RAW, NF_IP_PRI_NAT_SRC = -300, 100
IFNAMSIZ = 16


def start(tunnel: str, wan: str, lan: str, addresses: Iterable[str] = ()) -> None:
    """Modules, rules and limits. `addresses` are the gateway's in the LAN, with its prefix lengths. Raises OSError,
    naming what failed."""
    load_modules(MODULES / "masquerade")
    apply(ruleset(tunnel, wan, lan, addresses))
    for key, value in SETTINGS.items():
        write_sysctl(key, value)


def apply(steps: Sequence[Step]) -> None:
    """All of them or, raising NetlinkError with the step that the kernel refused, none."""
    with Netfilter() as kernel:
        kernel.transact(batch(steps), steps, "masquerade")


# Messages, pure


def ruleset(tunnel: str, wan: str, lan: str, addresses: Iterable[str] = ()) -> list[Step]:
    """`tunnel`, `wan` and `lan` are names of interfaces, which need not exist yet.

    The tunnel's own datagrams aren't tracked: they would pay for it, and anybody could fill the table with them.
    """
    return [
        Step("add table", NEWTABLE, body(text(NFTA_TABLE_NAME, TABLE))),
        chain("prerouting", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW),
        chain("output", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_RAW),
        chain("postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC),
        rule("prerouting", [*interface_is(NFT_META_IIFNAME, wan), expression("notrack")]),
        rule("output", [*interface_is(NFT_META_OIFNAME, wan), expression("notrack")]),
        *(
            rule("postrouting", [*interface_is(NFT_META_IIFNAME, tunnel), *source_is_of(network), accept()])
            for network in dict.fromkeys(ip_interface(address).network for address in addresses)
        ),
        rule(
            "postrouting",
            [
                *interface_is(NFT_META_IIFNAME, tunnel),
                *interface_is(NFT_META_OIFNAME, lan),
                expression("masq"),
            ],
        ),
    ]


def batch(steps: Sequence[Step]) -> bytes:
    """One transaction. A step's sequence number is its place, counted from 1; begin has 0."""
    frame = NFGENMSG.pack(socket.AF_UNSPEC, 0, SUBSYSTEM)
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND
    return b"".join(
        [
            message(BATCH_BEGIN, NLM_F_REQUEST, 0, frame),
            *(message(step.kind, flags, number, step.body) for number, step in enumerate(steps, 1)),
            message(BATCH_END, NLM_F_REQUEST, len(steps) + 1, frame),
        ]
    )


def chain(name: str, kind: str, hook: int, priority: int) -> Step:
    hooked = struct.pack(">I", hook), struct.pack(">i", priority)
    content = text(NFTA_CHAIN_TABLE, TABLE) + text(NFTA_CHAIN_NAME, name)
    content += nested(
        NFTA_CHAIN_HOOK, attribute(NFTA_HOOK_HOOKNUM, hooked[0]) + attribute(NFTA_HOOK_PRIORITY, hooked[1])
    )
    return Step(f"add chain {name}", NEWCHAIN, body(content + text(NFTA_CHAIN_TYPE, kind)))


def rule(chain_name: str, expressions: Sequence[bytes]) -> Step:
    content = text(NFTA_RULE_TABLE, TABLE) + text(NFTA_RULE_CHAIN, chain_name)
    content += nested(NFTA_RULE_EXPRESSIONS, b"".join(expressions))
    return Step(f"add rule to {chain_name}", NEWRULE, body(content))


def interface_is(key: int, name: str) -> Iterator[bytes]:
    """The packet's incoming or outgoing interface has this name. Raises ValueError for a name that is too long."""
    packed = name.encode()
    if len(packed) >= IFNAMSIZ:
        raise ValueError(f"{name!r} is too long for an interface name")
    yield expression("meta", number(NFTA_META_KEY, key) + number(NFTA_META_DREG, NFT_REG_1))
    yield equals(packed.ljust(IFNAMSIZ, b"\0"))


def source_is_of(network: IPv4Network | IPv6Network) -> Iterator[bytes]:
    protocol, offset = SOURCE[network.version]
    mask = network.netmask.packed
    yield expression("meta", number(NFTA_META_KEY, NFT_META_NFPROTO) + number(NFTA_META_DREG, NFT_REG_1))
    yield equals(bytes([protocol]))
    where = number(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER) + number(NFTA_PAYLOAD_OFFSET, offset)
    yield expression("payload", number(NFTA_PAYLOAD_DREG, NFT_REG_1) + where + number(NFTA_PAYLOAD_LEN, len(mask)))
    registers = number(NFTA_BITWISE_SREG, NFT_REG_1) + number(NFTA_BITWISE_DREG, NFT_REG_1)
    bits = nested(NFTA_BITWISE_MASK, attribute(NFTA_DATA_VALUE, mask))
    bits += nested(NFTA_BITWISE_XOR, attribute(NFTA_DATA_VALUE, bytes(len(mask))))
    yield expression("bitwise", registers + number(NFTA_BITWISE_LEN, len(mask)) + bits)
    yield equals(network.network_address.packed)


def equals(value: bytes) -> bytes:
    """What was loaded is this."""
    data = nested(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, value))
    return expression("cmp", number(NFTA_CMP_SREG, NFT_REG_1) + number(NFTA_CMP_OP, NFT_CMP_EQ) + data)


def accept() -> bytes:
    verdict = nested(NFTA_DATA_VERDICT, number(NFTA_VERDICT_CODE, NF_ACCEPT))
    return expression("immediate", number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT) + nested(NFTA_IMMEDIATE_DATA, verdict))


def expression(name: str, content: bytes = b"") -> bytes:
    return nested(NFTA_LIST_ELEM, text(NFTA_EXPR_NAME, name) + nested(NFTA_EXPR_DATA, content))


def body(attributes: bytes) -> bytes:
    return NFGENMSG.pack(NFPROTO_INET, 0, 0) + attributes


def number(kind: int, value: int) -> bytes:
    """32 bits in network byte order, as nf_tables has all its numbers."""
    return attribute(kind, struct.pack(">I", value))
