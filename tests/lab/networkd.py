"""A lab's host whose interfaces are the real systemd-networkd's instead of ifupdown's."""

from __future__ import annotations

import time

from lab.plan import site as planned
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources.inputs import connection
from tests.lab.host_site import Site

FILES = "/etc/systemd/network"
# The lab's hosts have no udev, for which networkd waits where /sys can be written; and at their boot the rules of the
# main table are added anew, which networkd would take away as strangers.
_TAKE = """mkdir -p /etc/systemd/networkd.conf.d
printf '[Network]\\nManageForeignRoutingPolicyRules=no\\n' >/etc/systemd/networkd.conf.d/lab.conf
for unit in systemd-networkd systemd-networkd-wait-online; do
    mkdir -p /etc/systemd/system/$unit.service.d
    printf '[Service]\\nReadOnlyPaths=/sys\\n' >/etc/systemd/system/$unit.service.d/lab.conf
done
systemctl daemon-reload; systemctl disable --now networking; systemctl enable --now systemd-networkd"""
# Beside what any deployment may change: each link's details but for its index and the times of what expires.
_LINKS = r"""networkctl --no-legend list | sed 's/^ *[0-9]* //'; ip -o -d addr | sed 's/^[0-9]*: //; s/[0-9]*sec/sec/g'
for link in wan0 lan0; do networkctl status $link --lines=0 --no-pager | grep -E 'File|State|Address|Gateway'; done"""


def given_to_networkd(site: Site) -> None:
    """Both interfaces, by files of an administrator's own; networkd is done with them."""
    addresses = planned(site.name)
    wan = "".join(f"Address={each}\n" for each in addresses.public)
    wan += "".join(f"[Route]\nGateway={each.partition('/')[0]}\nGatewayOnLink=yes\n" for each in addresses.router)
    write(site, "10-wan0", "wan0", f"IPv6AcceptRA=no\n{wan}")
    write(site, "20-lan0", "lan0", "IPv6AcceptRA=no\n" + "".join(f"Address={each}\n" for each in addresses.lan))
    site.shell(_TAKE)
    until(site, "[ $(networkctl --no-legend list | grep -c ' configured') = 2 ]")
    pool.forget(connection({"connection": site.connection}))


def write(site: Site, file: str, interface: str, network: str) -> None:
    text = f"[Match]\nName={interface}\n[Network]\n{network}"
    site.shell(f"cat >{FILES}/{file}.network <<'END'\n{text}END")


def until(site: Site, condition: str, seconds: float = 20) -> None:
    """A shell's condition holds, or the test fails."""
    deadline = time.monotonic() + seconds
    while site.lab.console(site.name, condition, check=False).returncode:
        assert time.monotonic() < deadline, f"never: {condition}\n{site.shell('networkctl; ip addr; ip route')}"
        time.sleep(0.1)


def snapshot(site: Site) -> list[str]:
    """As of any host, and what networkd says; the kernel's multicast routes are in the order in which links came up."""
    return [
        line for line in site.snapshot() + site.shell(_LINKS).splitlines() if not line.startswith("multicast ff00:")
    ]
