"""Which address of a site's pool a device gets: pure, one family at a time.

An address tells whose traffic something was, so one that is given up rests before another device gets it.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

from wgnode.topology.model import Network
from wgnode.topology.networks import Address

REST = 90
"""Days for which whoever reads a log may still ask whose a released address was."""


class PoolFull(ValueError):
    """The text says in how many days the next address is free, or that the pool is too small."""


def next_address(
    pool: Network,
    taken: Collection[Address],
    released: Mapping[Address, int],
    never: Collection[Address],
    today: int,
) -> Address:
    """The one behind the highest that was ever used; at the pool's end the first that was never used, and where all
    were, the one that has rested longest, REST at least.

    `taken` are devices' addresses now, `released` when others were given up, `never` are no device's. Days are counted
    since 1970. Raises PoolFull.
    """
    used = {one for one in (*taken, *released) if one in pool}
    highest = max((int(one) - int(pool.network_address) for one in used), default=-1)
    closed = {*used, *never}
    for number in itertools.chain(range(highest + 1, pool.num_addresses), range(highest + 1)):
        if pool[number] not in closed:
            return pool[number]
    resting = [one for one in used if one in released and one not in taken and one not in never]
    if not resting:
        raise PoolFull(f"all addresses of pool {pool} are devices'; give a larger one")
    oldest = min(resting, key=lambda one: (released[one], int(one)))
    if (left := released[oldest] + REST - today) > 0:
        raise PoolFull(
            f"all addresses of pool {pool} are devices' or were not long ago; {oldest} is free again in {left} days, or"
            " give a larger pool"
        )
    return oldest
