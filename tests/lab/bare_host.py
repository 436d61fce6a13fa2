"""A host that is a bare network namespace: `wan0` and `lan0`, and network.sh, which knows nothing else of a host."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pulumi_wgnode.hosts.networks.network import Network, script
from tests.lab.interop import Namespace


def with_roots_taps(text: str) -> str:
    """network.sh where there is none of our users and groups."""
    return re.sub(r"\bGROUP=\S+", "GROUP=root", text)


# All that a gateway's links and routes may change: the order of routes counts, of addresses too.
SNAPSHOT = r"""
ip rule; ip -6 rule; ip -4 route show table all; ip -6 route show table all | grep -v fe80:
ip -o addr | sed 's|^[0-9]*: ||' | grep -v 'inet6 fe80'; ip -4 neigh show proxy; ip -6 neigh show proxy
ip -br link | awk '{ print $1, $NF }'
ip -d -o link | sed 's/^[0-9]*: //; s/@if[0-9]*//; s/ promiscuity .*//'
cd /proc/sys/net; grep -s . ipv[46]/ip_forward ipv[46]/conf/*/{forwarding,accept_ra,proxy_arp,proxy_ndp,send_redirects}
"""


@dataclass(frozen=True)
class BareHost:
    space: Namespace

    def shell(self, command: str, check: bool = True) -> str:
        return self.space.run("bash", "-c", command, check=check)

    def script(self, network: Network, verb: str = "up") -> subprocess.CompletedProcess[str]:
        text = with_roots_taps(script(network))
        command = ["ip", "netns", "exec", self.space.name, "sh", "-s", verb]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)

    def snapshot(self) -> list[str]:
        return self.shell(SNAPSHOT).splitlines()


@contextmanager
def bare_host(setting: str = "") -> Iterator[BareHost]:
    """`setting` is what a shell does there once both links are up; the other ends of their cables are in it too."""
    space = Namespace(f"wgb-{secrets.token_hex(3)}")
    try:
        for name in ("wan0", "lan0"):
            space.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-far")
            space.run("sh", "-c", f"ip link set {name} up; ip link set {name}-far up")
        space.run("sh", "-ec", setting)
        yield BareHost(space)
    finally:
        space.close()
