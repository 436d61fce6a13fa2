"""What a host is closed by while we have forwarding on there and no gateway's firewall is loaded, as between the two on
a first deployment and on the last one's removal. Pure.
"""

from __future__ import annotations

import json

from wgnode.firewall import forwards, nft
from wgnode.firewall.forwards import Before
from wgnode.firewall.others.foreign import is_ours
from wgnode.firewall.rules import CLOSED_TABLE, OTHER_GATEWAYS, Chain

REMOVAL = f"table inet {CLOSED_TABLE}\ndelete table inet {CLOSED_TABLE}\n"
"""For `nft -f`, in one transaction with the firewall; also where it is not there."""


def script(before: Before) -> str:
    """For `nft -f`; empty where the host forwarded both versions of IP itself."""
    rules = tuple(forwards.closed(before, OTHER_GATEWAYS))
    return nft.script([Chain("forward", "filter", 0, rules)], CLOSED_TABLE) if rules else ""


def is_there(listing: str) -> bool:
    """By `nft -j list ruleset`, which is empty where it could not be asked."""
    return CLOSED_TABLE in _ours(listing)


def is_needed(listing: str) -> bool:
    """Whether no gateway's firewall closes as much."""
    return not any(name != CLOSED_TABLE for name in _ours(listing))


def _ours(listing: str) -> set[str]:
    """Our tables that have a chain."""
    chains = [one["chain"] for one in json.loads(listing)["nftables"] if "chain" in one] if listing else []
    return {chain["table"] for chain in chains if is_ours(chain["family"], chain["table"])}
