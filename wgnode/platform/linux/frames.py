"""How many packets a TUN hands over as one (linux/if_link.h)."""

from __future__ import annotations

from wgnode.io.netlink import Rtnetlink


def limit_frames(name: str, segments: int) -> None:
    """Of the interface of that name. Raises OSError."""
    with Rtnetlink() as kernel:
        kernel.set_link(kernel.link(name).index, gso_max_segs=segments)
