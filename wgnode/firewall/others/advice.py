"""How to let a gateway through another firewall, in that firewall's own language. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wgnode.firewall.others.packet import Site
from wgnode.firewall.others.walk import Table

_OWNERS = {
    "ufw-before-forward": "ufw",
    "ufw6-before-forward": "ufw",
    "DOCKER-USER": "Docker",
    "DOCKER-FORWARD": "Docker",
    "DOCKER": "Docker",
}
_OF_IPTABLES = ("filter", "mangle", "raw", "security", "nat")
Way = tuple[str | None, str | None]


@dataclass(frozen=True)
class Block:
    """A base chain that is in the way of some pairs of interfaces, in and out."""

    table: Table
    chain: str
    hook: str
    owner: str | None
    ways: frozenset[Way]

    @property
    def asks_docker_user(self) -> bool:
        """Whether the user's own rules beside Docker's come first in it."""
        rules = self.table.chains[self.chain].rules if self.chain in self.table.chains else ()
        asked = any(rule.verdict.jump == "DOCKER-USER" and not rule.tests for rule in rules)
        return self.hook == "forward" and "DOCKER-USER" in self.table.chains and (asked or not rules)


def owner_of(table: Table) -> str | None:
    if table.name == "firewalld":
        return "firewalld"
    if table.name.startswith("docker-"):
        return "Docker"
    if named := next((owner for name, owner in _OWNERS.items() if name in table.chains), None):
        return named
    return "iptables-legacy" if table.language == "iptables-legacy" else None


def way_out(block: Block, site: Site) -> str:
    """Commands that let through what the chain drops, or is not sure to pass."""
    if block.owner == "firewalld":
        return "; ".join(_firewalld(block, site))
    if block.owner == "ufw" and block.chain == "FORWARD" and block.table.name == "filter":
        return "; ".join(_ufw(block, site))
    if _by_iptables(block):
        return "; ".join(_iptables(block, site))
    return "; ".join(_nft(block, site))


def way_in(block: Block, port: int, protocol: str) -> str:
    if block.owner == "firewalld":
        return f"firewall-cmd --permanent --add-port={port}/{protocol}; firewall-cmd --reload"
    if block.owner == "ufw":
        return f"ufw allow {port}/{protocol}"
    if _by_iptables(block):
        return f"{_program(block.table)} -I {block.chain} -p {protocol} --dport {port} -j ACCEPT"
    return f"nft insert rule {_where(block)} {protocol} dport {port} accept"


def _by_iptables(block: Block) -> bool:
    if block.table.family not in ("ip", "ip6") or block.table.name not in _OF_IPTABLES:
        return False
    return block.table.language != "nft" or block.owner in ("Docker", "ufw")


def _program(table: Table) -> str:
    name = "iptables" if table.family == "ip" else "ip6tables"
    return f"{name}-legacy" if table.language == "iptables-legacy" else name


def _where(block: Block) -> str:
    return f"{block.table.family} {block.table.name} {block.chain}"


def _transit(block: Block, site: Site) -> bool:
    return not block.ways or any(site.transit in way for way in block.ways)


def _bridge(block: Block, site: Site) -> bool:
    return (site.bridge, site.bridge) in block.ways or (site.bridge, None) in block.ways


def _ufw(block: Block, site: Site) -> Iterator[str]:
    """Both families at once, and for good."""
    if _transit(block, site):
        yield f"ufw route allow in on {site.transit}"
        yield f"ufw route allow out on {site.transit}"
    if _bridge(block, site):
        yield f"ufw route allow in on {site.bridge} out on {site.bridge}"


def _to_accept(block: Block, site: Site) -> Iterator[Way]:
    """The pairs of interfaces that rules have to name; before a packet is routed, only the one that it came in by."""
    outward = block.hook != "prerouting"
    if _transit(block, site):
        yield site.transit, None
        if outward:
            yield None, site.transit
    if _bridge(block, site):
        yield site.bridge, site.bridge if outward else None


def _iptables(block: Block, site: Site) -> Iterator[str]:
    program = _program(block.table) + (f" -t {block.table.name}" if block.table.name != "filter" else "")
    insert = f"{program} -I {'DOCKER-USER' if block.asks_docker_user else block.chain}"
    if block.hook == "input":
        yield f"{insert} -i {site.transit} -p ipv6-icmp -j ACCEPT"
        return
    for way in _to_accept(block, site):
        yield f"{insert} {_named(way, '-i', '-o')} -j ACCEPT"


def _nft(block: Block, site: Site) -> Iterator[str]:
    insert = f"nft insert rule {_where(block)}"
    if block.hook == "input":
        yield f"{insert} iifname {site.transit} icmpv6 type '{{ nd-neighbor-solicit, nd-neighbor-advert }}' accept"
        return
    if block.table.family == "bridge":
        yield f"{insert} meta ibrname {site.bridge} accept"
        return
    for way in _to_accept(block, site):
        yield f"{insert} {_named(way, 'iifname', 'oifname')} accept"


def _named(way: Way, *words: str) -> str:
    return " ".join(f"{word} {name}" for word, name in zip(words, way, strict=True) if name)


def _firewalld(block: Block, site: Site) -> Iterator[str]:
    """It drops what it takes for invalid before it asks for zones: what of a connection the host sees half, is not to
    be tracked."""
    if _transit(block, site):
        yield f"firewall-cmd --permanent --zone=trusted --add-interface={site.transit}"
    if _bridge(block, site):
        yield f"firewall-cmd --permanent --zone=internal --add-interface={site.bridge}"
        yield "firewall-cmd --permanent --zone=internal --add-forward"
    yield "firewall-cmd --reload"
    if _bridge(block, site) and not set(site.routed) <= site.bridged | site.untracked:
        yield from untracked(site)


def untracked(site: Site) -> Iterator[str]:
    """Commands that keep what is routed back into the LAN from being tracked."""
    table = f"inet {site.bridge}-untracked"
    yield f"nft add table {table}"
    yield f"nft 'add chain {table} prerouting {{ type filter hook prerouting priority raw; }}'"
    yield f"nft add rule {table} prerouting iifname {site.bridge} fib daddr oifname {site.bridge} notrack"
