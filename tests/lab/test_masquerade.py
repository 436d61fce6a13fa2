"""The gateway's table, set by our own messages, is what `nft` would have made of its text."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.lab
TEXT = """
table inet wgnode {
    chain prerouting { type filter hook prerouting priority raw; iifname "wan" notrack; }
    chain output { type filter hook output priority raw; oifname "wan" notrack; }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        iifname "wg0" ip saddr 10.1.0.0/24 accept
        iifname "wg0" ip saddr 10.9.0.64/27 accept
        iifname "wg0" ip6 saddr fd00:10:1::/64 accept
        iifname "wg0" oifname "lan" masquerade
    }
}
"""
APPLY = """
from wgnode.platform.linux import masquerade
lan = ("10.1.0.2/24", "10.9.0.66/27", "fd00:10:1::2/64", "10.1.0.3/24")
masquerade.apply(masquerade.ruleset("wg0", "wan", "lan", lan))
"""
REFUSED = """
from wgnode.platform.linux import masquerade
steps = masquerade.ruleset("wg0", "wan", "lan")
masquerade.apply([*steps[:3], masquerade.rule("nowhere", [masquerade.expression("masq")]), *steps[4:]])
"""


@pytest.fixture
def namespaces() -> Iterator[list[str]]:
    names = [f"wgt{os.getpid()}-{secrets.token_hex(2)}" for _ in range(2)]
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def inside(name: str, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    argv = ["ip", "netns", "exec", name, *command]
    return subprocess.run(argv, input=given, capture_output=True, text=True, check=False, timeout=30)


def ruleset(name: str) -> list[dict[str, Any]]:
    """Without handles, which count what was made before, and in no order of kinds."""
    listed = json.loads(inside(name, "nft", "-j", "list", "ruleset").stdout)["nftables"]
    for item in listed:
        for value in item.values():
            value.pop("handle", None)
    return sorted((item for item in listed if "metainfo" not in item), key=json.dumps)


def test_our_messages_make_the_table_that_nft_makes(namespaces: list[str]) -> None:
    ours, theirs = namespaces
    done = inside(ours, sys.executable, "-c", APPLY)
    assert done.returncode == 0, done.stderr
    done = inside(theirs, "nft", "-f", "-", given=TEXT)
    assert done.returncode == 0, done.stderr
    assert len(ruleset(theirs)) == 10
    assert ruleset(ours) == ruleset(theirs)


def test_a_refused_step_is_named_and_nothing_of_the_table_stays(namespaces: list[str]) -> None:
    done = inside(namespaces[0], sys.executable, "-c", REFUSED)
    assert "masquerade: add rule to nowhere: No such file or directory" in done.stderr
    assert ruleset(namespaces[0]) == []
