"""Firewalls of others on a host that drop, or may drop, what a gateway needs. Pure: from what the host's tools list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from wgnode.firewall.others import iptables_reader, nft_reader
from wgnode.firewall.others.advice import Block, owner_of, way_in, way_out
from wgnode.firewall.others.packet import FAMILIES, Network, Packet, Path, Site, bridge_paths, paths
from wgnode.firewall.others.walk import ACCEPTED, DROPPED, Chain, Language, Table, outcome, untracks
from wgnode.firewall.rules import CLOSED_TABLE, PLAIN_TABLE

PLAIN_SITE = Site()
_HOOKS = ("prerouting", "input", "forward", "postrouting")
_AROUND = ("prerouting", "postrouting")  # not to be judged surely, since addresses are translated there


@dataclass(frozen=True)
class Foreign:
    """A base chain that drops what it was not told to accept, e.g. "ip filter FORWARD (Docker)".

    `dropped` are the ways of the site's packets that end there, `unsure` those of which that cannot be told.
    """

    family: str
    table: str
    chain: str
    hook: str
    owner: str | None
    site: Site = field(default=PLAIN_SITE, repr=False)
    dropped: tuple[Path, ...] = ()
    unsure: tuple[Path, ...] = ()
    whole: Table | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}" + (f" ({self.owner})" if self.owner else "")

    @property
    def passes_us(self) -> bool:
        """Surely."""
        return not self.dropped and not self.unsure

    def port(self, port: int, protocol: str = "tcp", sources: Iterable[Network] = ()) -> bool | None:
        """Whether it lets in what comes to a port of the host by the uplink; None where that cannot be told."""
        if self.hook != "input" or self.whole is None:
            return True
        found = {
            outcome(self.whole, self.whole.chains[self.chain], packet)
            for packet in _to_host(self.family, port, protocol, tuple(sources), self.site)
        }
        return True if found <= {ACCEPTED} else False if found == {DROPPED} else None

    def blocks_port(self, port: int, protocol: str = "tcp", sources: Iterable[Network] = ()) -> bool:
        """For sure, from everywhere that is asked of."""
        return self.port(port, protocol, sources) is False

    @property
    def way_out(self) -> str:
        """Commands that let the gateway through, in the language of whoever made the table."""
        return way_out(self._block(), self.site) if self.whole else "see what `nft list ruleset` says on the host"

    def way_in(self, port: int, protocol: str = "tcp") -> str:
        """Commands that open a port of the host."""
        return way_in(self._block(), port, protocol)

    def _block(self) -> Block:
        table = self.whole or Table(self.family, self.table, {})
        ways = {way for path in (*self.dropped, *self.unsure) for way in path.ways}
        return Block(table, self.chain, self.hook, self.owner, frozenset(ways))


def foreign(listing: str, site: Site | str = PLAIN_SITE, iptables: Iterable[Table] = ()) -> list[Foreign]:
    """Seen from a gateway: chains on the hooks that packets pass, in the rule set's order.

    `site` may be the name of its transit link alone. `iptables` are tables that iptables itself has told of, which nft
    shows in part.
    """
    known = {(table.family, table.name): table for table in iptables}
    found = [known.pop((table.family, table.name), table) for table in nft_reader.tables(listing)]
    return list(judged([*found, *known.values()], site))


def legacy(rules: str, family: str, site: Site | str = PLAIN_SITE) -> list[Foreign]:
    """From `iptables-legacy-save`, whose rules nft does not see."""
    return list(judged(saved(rules, family, "iptables-legacy"), site))


def saved(rules: str, family: str, language: Language = "iptables") -> list[Table]:
    """From `iptables-save`."""
    return iptables_reader.tables(rules, family, language)


def unread(reason: str, site: Site = PLAIN_SITE) -> Foreign:
    """What stands for rules that nft cannot list, whatever they are."""
    return Foreign("nft", "ruleset", f"cannot be listed ({reason})", "forward", None, site, unsure=tuple(paths(site)))


def judged(tables: Iterable[Table], site: Site | str) -> Iterator[Foreign]:
    tables = list(tables)
    site = _tracking(tables, Site(transit=site) if isinstance(site, str) else site)
    for table in tables:
        if not is_ours(table.family, table.name):
            for chain in table.chains.values():
                if chain.hook in _HOOKS and chain.kind != "nat":
                    yield from _judged(table, chain, site)


def _tracking(tables: Iterable[Table], site: Site) -> Site:
    """With the families of which somebody keeps what is routed back into the LAN from being tracked."""
    found = set()
    for family in site.routed:
        packet = Packet(family, "tcp", iif=site.bridge, oif=site.bridge, hook="prerouting")
        mine = [chain for table in tables if table.family in ("inet", family) for chain in table.chains.values()]
        if any(untracks(chain, packet) for chain in mine if chain.hook == "prerouting"):
            found.add(family)
    return replace(site, untracked=site.untracked | found)


def _judged(table: Table, chain: Chain, site: Site) -> Iterator[Foreign]:
    dropped, unsure = [], []
    for path in _through(table, chain, site):
        verdict = _verdict(table, chain, path)
        if verdict is False:
            dropped.append(path)
        elif verdict is None and chain.hook not in _AROUND:
            unsure.append(path)
    closes = chain.closes and chain.hook in ("input", "forward") and table.family != "bridge"
    if dropped or unsure or closes:
        owner = owner_of(table)
        yield Foreign(
            table.family, table.name, chain.name, chain.hook, owner, site, tuple(dropped), tuple(unsure), table
        )


def _through(table: Table, chain: Chain, site: Site) -> Iterator[Path]:
    """The paths that a chain has a say in."""
    every = bridge_paths(site) if table.family == "bridge" else paths(site)
    for path in every:
        family = path.needed[0].family
        if table.family not in ("inet", "bridge", family):
            continue
        if path.hook == chain.hook or (path.hook == "forward" and chain.hook in _AROUND):
            yield _at(path, chain.hook)


def _at(path: Path, hook: str) -> Path:
    """As a chain before or after routing sees it: without the interface and the translation that are not yet known."""
    if hook != "prerouting":
        return path
    unrouted = {"oif": None, "destination": None, "dnat": False, "hook": "prerouting"}
    needed = tuple(replace(packet, **unrouted) for packet in path.needed)  # type: ignore[arg-type]
    return replace(path, needed=needed, further=())


def _verdict(table: Table, chain: Chain, path: Path) -> bool | None:
    """False where a packet without which the path is dead is dropped for sure."""
    needed = [outcome(table, chain, packet) for packet in path.needed]
    if DROPPED in needed:
        return False
    every: Sequence[frozenset[str]] = [*needed, *(outcome(table, chain, packet) for packet in path.further)]
    return True if all(one == ACCEPTED for one in every) else None


def _to_host(family: str, port: int, protocol: str, sources: tuple[Network, ...], site: Site) -> Iterator[Packet]:
    kinds = [one for one in FAMILIES if family in ("inet", one)]
    flags = frozenset({"syn"}) if protocol == "tcp" else frozenset[str]()
    for kind in kinds:
        own: list[Network | None] = [one for one in sources if one.version == (4 if kind == "ip" else 6)]
        for source in own or ([] if sources else [None]):
            yield Packet(
                kind,
                protocol,  # type: ignore[arg-type]  # tcp or udp
                iif=site.uplink,
                source=source,
                dport=port,
                flags=flags,
                hook="input",
            )


def is_ours(family: str, table: str) -> bool:
    """Whether it is the table of any gateway of ours, or stands in for them."""
    gateways = re.fullmatch(rf"{PLAIN_TABLE}(_[0-9a-f]{{8}})?", table)
    return family == "inet" and (bool(gateways) or table == CLOSED_TABLE)
