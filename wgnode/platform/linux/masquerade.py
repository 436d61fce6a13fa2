"""Masquerade what comes out of the tunnel for the LAN: one nftables table by raw nfnetlink, no `nft` needed.

LAN machines then answer to the gateway's own LAN address, so they need no route to the other sites. Message
layouts: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h. The table is what this says to nft:

    table inet wgnode {
        chain prerouting { type filter hook prerouting priority raw; iifname "wan" notrack; }
        chain output { type filter hook output priority raw; oifname "wan" notrack; }
        chain postrouting { type nat hook postrouting priority srcnat; iifname "wg0" oifname "lan" masquerade; }
    }
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence

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
NFT_META_IIFNAME, NFT_META_OIFNAME = 6, 7
NFT_CMP_EQ, NFT_REG_1 = 0, 1
NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING = 0, 3, 4
NF_IP_PRI_RAW, NF_IP_PRI_NAT_SRC = -300, 100
IFNAMSIZ = 16


def start(tunnel: str, wan: str, lan: str) -> None:
    """Modules, rules and limits. Raises OSError, naming what failed."""
    load_modules(MODULES / "masquerade")
    apply(ruleset(tunnel, wan, lan))
    for key, value in SETTINGS.items():
        write_sysctl(key, value)


def apply(steps: Sequence[Step]) -> None:
    """All of them or, raising NetlinkError with the step that the kernel refused, none."""
    with Netfilter() as kernel:
        kernel.transact(batch(steps), steps, "masquerade")


# Messages, pure


def ruleset(tunnel: str, wan: str, lan: str) -> list[Step]:
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
    value = nested(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, packed.ljust(IFNAMSIZ, b"\0")))
    yield expression("cmp", number(NFTA_CMP_SREG, NFT_REG_1) + number(NFTA_CMP_OP, NFT_CMP_EQ) + value)


def expression(name: str, content: bytes = b"") -> bytes:
    return nested(NFTA_LIST_ELEM, text(NFTA_EXPR_NAME, name) + nested(NFTA_EXPR_DATA, content))


def body(attributes: bytes) -> bytes:
    return NFGENMSG.pack(NFPROTO_INET, 0, 0) + attributes


def number(kind: int, value: int) -> bytes:
    """32 bits in network byte order, as nf_tables has all its numbers."""
    return attribute(kind, struct.pack(">I", value))
