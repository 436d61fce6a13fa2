"""Which address of a site's pool a device gets: pure, one family at a time.

An address tells whose traffic something was, so one that is given up rests before another device gets it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta

from wgnode.topology.model import Network
from wgnode.topology.networks import Address

REST = timedelta(days=90)
"""How long whoever reads a log may still ask whose a released address was."""


class PoolFull(ValueError):
    """The text says when the next address is free, or that the pool is too small."""


def next_address(
    pool: Network,
    taken: Collection[Address],
    released: Mapping[Address, date],
    never: Collection[Address],
    today: date,
) -> Address:
    """The one behind the highest that was ever used; at the pool's end the first that was never used, and where all
    were, the one that has rested longest, REST at least.

    `taken` are devices' addresses now, `released` when others were given up, `never` are no device's. Raises PoolFull.
    """
    used = {one for one in (*taken, *released) if one in pool}
    highest = max((int(one) - int(pool.network_address) for one in used), default=-1)
    closed = {*used, *never}
    for number in (*range(highest + 1, pool.num_addresses), *range(highest + 1)):
        if pool[number] not in closed:
            return pool[number]
    resting = [one for one in used if one in released and one not in taken and one not in never]
    if not resting:
        raise PoolFull(f"all addresses of pool {pool} are devices'; give a larger one")
    oldest = min(resting, key=lambda one: (released[one], int(one)))
    if (free := released[oldest] + REST) > today:
        raise PoolFull(
            f"all addresses of pool {pool} are devices' or were not long ago; {oldest} is free again on {free}, or give"
            " a larger pool"
        )
    return oldest
