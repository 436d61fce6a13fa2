"""Whose an address of a LAN was, by what hosts have recorded of their gateways' devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import egress_record, owners
from pulumi_wgnode.hosts.host import Host, HostError, OutOfTime
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import sites, stacks
from pulumi_wgnode.operations.hosts import AT_ONCE, bounded
from pulumi_wgnode.operations.sites import Known
from pulumi_wgnode.operations.stacks import SiteStack
from wgnode.hostd import holders, parts
from wgnode.hostd.holders import Holding
from wgnode.image.paths import Paths
from wgnode.image.units import instance_option
from wgnode.io import strict

State = Literal["held", "changing", "nobody's", "not recorded", "not asked"]
_ASK = """exec 2>/dev/null; hostd=$1; shift
exec /usr/bin/python3 -I "$(ls -t "$hostd"/*.pyz | head -n 1)" holders "$@\""""


@dataclass(frozen=True)
class Record:
    """Of one address at one site. `since` is when the host's record begins (seconds since 1970), None where it has not
    begun. Of a public address, `inside` is the one of the LAN that was behind it, or two where it was `given_away`."""

    since: float | None
    holdings: tuple[Holding, ...]
    inside: tuple[str, ...] = ()
    given_away: bool = False


@dataclass(frozen=True)
class Verdict:
    """`holdings` are whose it was: one where it is `held`, those before and after where it was `changing`; `problem`
    says why a site could not be asked."""

    stack: str
    site: str
    state: State
    holdings: tuple[Holding, ...] = ()
    since: float | None = None
    problem: str = ""
    inside: tuple[str, ...] = ()


def ask(folder: Path, names: Sequence[str], named: bool, address: str, at: float | None) -> list[Verdict]:
    """A verdict a site of these stacks, in order; all hosts are asked at once. `at` is in seconds since 1970, None for
    now."""
    known = sites.know(folder, names, named, states=False)
    found = stacks.each(known, lambda one: _verdict(one, address, at), AT_ONCE)
    return [one for one in found if isinstance(one, Verdict)]


def judged(record: Record, at: float | None) -> tuple[State, tuple[Holding, ...]]:
    """Whose it was, and whether that can be said."""
    if record.given_away:
        return "changing", record.holdings
    if at is None:
        held = tuple(one for one in record.holdings if one.ended is None)
        return ("held" if held else "not recorded" if record.since is None else "nobody's"), held
    if sure := tuple(one for one in record.holdings if one.surely(at)):
        return "held", sure[-1:]
    if record.since is None or at < record.since:
        return "not recorded", ()
    if not (perhaps := tuple(one for one in record.holdings if one.perhaps(at))):
        return "nobody's", ()
    same = len(perhaps) > 1 and len({(one.name, one.key) for one in perhaps}) == 1
    return ("held", perhaps[-1:]) if same else ("changing", perhaps)


def read(said: str) -> Record:
    """What a host's hostd told. Raises HostError for one that keeps no record."""
    try:
        told = strict.loads(said.encode("utf-8", "replace"))
        given = parts.exactly(told, dict, "an answer")
        if isinstance(error := given.get("error"), str):
            raise HostError(f"it does not tell: {parts.printable(error, 200)}")
        listed = parts.entries(given.get("holdings"), "holdings", holders.MOST)
        return Record(parts.optional(parts.real)(given.get("since")), tuple(holders.read(one) for one in listed))
    except (strict.Malformed, parts.Refused):
        raise HostError(
            "its hostd keeps no record of addresses, is broken or older than this; `pulumi up` of its stack renews it"
        ) from None


def _verdict(known: Known, address: str, at: float | None) -> Verdict:
    stack, site = known.key[0], known.site
    if isinstance(site, ExplainedError):
        return Verdict(stack, stack, "not asked", problem=str(site))
    try:
        record = bounded(partial(_record, address, at), site, late=OutOfTime)
    except HostError as error:
        return Verdict(stack, site.site, "not asked", problem=str(error))
    state, found = judged(record, at)
    return Verdict(stack, site.site, state, found, record.since, inside=record.inside)


def _record(address: str, at: float | None, site: SiteStack) -> Record:
    return of_host(pool.connect(site.connection), site.site, address, at)


def of_host(host: Host, site: str, address: str, at: float | None = None) -> Record:
    """Of the host's gateways, that of the site; of a public address, by who was behind it. Raises HostError."""
    paths = owners.paths_of(answer(host, owners.QUERY), site)
    if not (changes := egress_record.read(host, paths, address)):
        return _of_lan(host, paths, address)
    behind = egress_record.behind(changes, at)
    records = {inside: _of_lan(host, paths, inside) for inside in behind or () if inside}
    if behind is None or not records:
        return Record(float(changes[0].done), ())
    if len(behind) > 1:
        held = tuple(one for record in records.values() for one in judged(record, at)[1])
        return Record(float(changes[0].done), held, tuple(records), given_away=True)
    ((inside, record),) = records.items()
    return replace(record, inside=(inside,))


def _of_lan(host: Host, paths: Paths, address: str) -> Record:
    words = [paths.hostd_directory, address, *instance_option(paths)]
    return read(host.run(["sh", "-c", _ASK, "holders", *words], check=False, timeout=20).stdout)


def to_dict(verdict: Verdict) -> dict[str, Any]:
    """For programs; times are seconds since 1970."""
    listed = []
    for one in verdict.holdings:
        user, _, device = one.name.partition("/")
        listed.append({**one.told(), "user": user, "device": device})
    return {
        "site": verdict.site,
        "stack": verdict.stack,
        "state": verdict.state,
        "holdings": listed,
        "since": verdict.since,
        "inside": list(verdict.inside),
        "problem": verdict.problem or None,
    }
