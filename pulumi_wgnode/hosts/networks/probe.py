"""Asking the LAN of a host whether somebody there has an address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

from pulumi_wgnode.hosts.host import Host

# $1 our tap, $2 the LAN interface, where they are there, then addresses. Asks by what the LAN is attached to. A host
# without Python so far lets its kernel ask, which does it by an address of its own and keeps the answer as a neighbour.
_ASK = r"""tap=$1 lan=$2; shift 2
master() { readlink "/sys/class/net/${1:-none}/master"; }
device=$(master "$tap" || master "$lan" || echo "${lan:-none}"); device=${device##*/}
[ -e "/sys/class/net/$device" ] || { cat >/dev/null; exit 0; }
if command -v python3 >/dev/null; then exec python3 - "$device" "$@"; fi
cat >/dev/null
for address; do ip neigh add "$address" dev "$device" use 2>/dev/null; done
sleep 1
for address; do ip neigh show to "$address" dev "$device" nud reachable nud delay nud probe nud stale |
    sed -n "s/^\([^ ]*\).* lladdr \([^ ]*\).*/\1 dev $device lladdr \2/p"; done; true"""
AT_ONCE = 1000
"""Addresses in one command: a line of it has room for some 3,000."""
_ANSWER = re.compile(r"^(\S+) dev \S+ lladdr ([0-9a-f:]{17})\b", re.MULTILINE)


# As _ASK chooses it; only Python can ask as another.
_ASK_AS = r"""tap=$1 lan=$2; shift 2
master() { readlink "/sys/class/net/${1:-none}/master"; }
device=$(master "$tap" || master "$lan" || echo "${lan:-none}"); device=${device##*/}
if [ -e "/sys/class/net/$device" ] && command -v python3 >/dev/null; then exec python3 - "$device" as "$@"; fi
cat >/dev/null"""
_NEIGHBOURS = r"""tap=$1 lan=$2
master() { readlink "/sys/class/net/${1:-none}/master"; }
device=$(master "$tap" || master "$lan" || echo "${lan:-none}")
ip neigh show dev "${device##*/}" nud reachable nud delay nud probe nud stale 2>/dev/null |
    sed -n "s/^\([^ ]*\).* lladdr \([^ ]*\).*/\1 dev lan lladdr \2/p"; true"""


def neighbours(host: Host, *, tap: str, lan: str) -> dict[str, str]:
    """The MAC addresses of those in the LAN that the host has talked with not long ago, by address."""
    return dict(
        _ANSWER.findall(host.run(["sh", "-c", _NEIGHBOURS, "neighbours", tap, lan], check=False).stdout.lower())
    )


def holders_asked_as(host: Host, mac: str, addresses: Iterable[str], *, tap: str, lan: str) -> dict[str, str]:
    """`holders`, of those that answer to whoever has that MAC; none on a host without Python."""
    script = files("pulumi_wgnode.hosts.networks").joinpath("who_has.py").read_bytes()
    said = host.run(["sh", "-c", _ASK_AS, "ask", tap, lan, mac, *addresses], input=script, check=False)
    return dict(_ANSWER.findall(said.stdout.lower()))


def holders(host: Host, addresses: Iterable[str], *, tap: str, lan: str) -> dict[str, str]:
    """The MAC addresses of those that answer for `addresses`, by address. Takes about a second where nobody does, for
    each AT_ONCE."""
    script, found = files("pulumi_wgnode.hosts.networks").joinpath("who_has.py").read_bytes(), dict[str, str]()
    left = list(addresses)
    while left:
        asked, left = left[:AT_ONCE], left[AT_ONCE:]
        said = host.run(["sh", "-c", _ASK, "ask", tap, lan, *asked], input=script, check=False)
        found |= _ANSWER.findall(said.stdout.lower())
    return found
