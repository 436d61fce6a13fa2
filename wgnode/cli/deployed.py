"""What a mesh has deployed that this checkout's stack files don't say: a colleague's site that is not merged here yet.

From the mesh's stack outputs, which a person who may deploy can read. Without an engine, a login or a passphrase a new
site is still judged by the stack files, and the command says so.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from ipaddress import ip_network

from wgnode.cli.newsite import NewSite
from wgnode.topology.model import Topology
from wgnode.topology.networks import Claim, overlaps, parse

TIMEOUT = 30.0  # seconds for `pulumi stack output`, with a backend that is far away
_NEVER_RAN = ("no stack named", "unknown stack", "does not have output", "doesn't have output")

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


class Unreadable(Exception):
    """The text says why the outputs can't be read."""


def topology(run: Run, stack: str) -> Topology | None:
    """None for a mesh that never ran. Raises Unreadable."""
    try:
        said = run(["stack", "output", "topology", "--json", "--stack", stack])
    except subprocess.TimeoutExpired:
        raise Unreadable(f"no answer within {TIMEOUT:g} s") from None
    if said.returncode != 0:
        if any(words in said.stderr for words in _NEVER_RAN):
            return None
        raise Unreadable((said.stderr.strip().splitlines() or ["the engine said nothing"])[-1])
    try:
        return Topology.from_dict(json.loads(said.stdout))
    except (ValueError, RecursionError) as error:  # TopologyError too
        raise Unreadable(str(error)) from None


def conflicts(mesh: Topology, known: Collection[str], site: NewSite, endpoint: str | None) -> Iterator[str]:
    """What of the new site's is in use by a deployed site that the mesh's stack file, with the sites `known`, lacks."""
    where = f"deployed by stack {site.mesh}, though not in this folder's stack file"
    wanted = [Claim(parse(lan), "", "", "lan") for lan in site.lans]
    for name, other in sorted(mesh.sites.items()):
        if name in known:
            continue
        if name == site.name:
            yield f"site {name!r} is {where}; take another name, or bring the folder up to date"
            continue
        taken = [Claim(ip_network(lan), "other", f"site {name!r}", "lan") for lan in other.lans]
        for pair in overlaps([*wanted, *taken]):
            ours, theirs = sorted(pair, key=lambda claim: claim.path)
            if ours.path != theirs.path:
                yield f"{ours} overlaps {theirs}, which is {where}"
        if endpoint and endpoint == other.endpoint:
            yield f"endpoint {endpoint} is site {name!r}'s, which is {where}"
