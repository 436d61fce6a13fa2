"""A bridge of ours that somebody has removed: what it had is recorded on the host, and `network.sh up` gives it back.

Until then the host is in its LAN by nothing, as far as its links tell.
"""

from __future__ import annotations

import json
import re
from ipaddress import ip_interface

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.query import Query

Entry = dict[str, object]
_ADDRESS = re.compile(r"^[46] addr replace (\S+)(?: peer (\S+))? ", re.MULTILINE)
_READ = '[ ! -e "$1" ] || sh "$1" recorded'


def query(script: str) -> Query[list[Entry]]:
    """The addresses of before, as READ_LINKS tells them; `script` is network.sh on the host."""
    return Query(["sh", "-c", _READ, "recorded", script], _addresses)


def _addresses(said: Result) -> list[Entry]:
    return [_entry(*match.groups()) for match in _ADDRESS.finditer(said.stdout)] if said.code == 0 else []


def as_before(links: str, addresses: list[Entry], lan: str, bridge: str) -> str:
    """What READ_LINKS said, with those addresses on the LAN's interface where the bridge that had them is gone."""
    found = json.loads(links)
    if any(link["ifname"] == bridge for link in found):
        return links
    for link in found:
        if link["ifname"] == lan:
            link["addr_info"] = [*link["addr_info"], *addresses]
    return json.dumps(found)


def _entry(address: str, peer: str | None) -> Entry:
    parsed = ip_interface(peer or address)
    entry: Entry = {"family": "inet" if parsed.version == 4 else "inet6", "local": address.partition("/")[0]}
    if peer:
        entry["address"] = str(parsed.ip)
    scope = "link" if parsed.is_link_local else "global"
    return {**entry, "prefixlen": parsed.network.prefixlen, "scope": scope}
