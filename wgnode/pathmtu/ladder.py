"""Sizes that networks really have, as wire bytes: where a search looks first.

Collected on 2026-11-29 from what carriers' configuration ships, what operators say, and standards; nothing here is
measured. A size that is missing costs a search a few probes more, no accuracy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

BASE = 1280
"""BASE_PLPMTU (RFC 8899 section 5.1.2): IPv6's smallest link (RFC 8200 section 5), and what fixed tunnels assume."""
RESOLUTION = 4
"""Bytes within which a search ends."""
ETHERNET = 1500

SOURCES = {
    576: "RFC 791 section 3.1: what every host takes",
    1006: "RFC 1191 section 7.1: plateau",
    1194: "zerotier issues 2284, 2361: some mobile operators, one way",
    1280: "RFC 8200 section 5; Tailscale, Firezone, NetBird, OpenWrt's DS-Lite",
    1340: "aredn issue 2594: T-Mobile US behind its NAT",
    1358: "AOSP: Verizon's global SIM (204-04), SoftBank (440-20); FirstNet's 1342 lies below",
    1380: "LineageOS android_vendor_apn: China Telecom (460-11)",
    1400: "LineageOS: China Telecom; Hetzner vSwitch; KORE's advice for mobile networks",
    1410: "AOSP values-mcc310-mnc410: AT&T",
    1420: "KORE: T-Mobile US IoT; 5G in general (open5gs issue 671)",
    1428: "Spirent FAQ14556, KORE: Verizon LTE; LTE in general (open5gs issue 671)",
    1430: "iotdevices.att.com: AT&T; AOSP: Rogers (302-720)",
    1440: "AOSP, LineageOS: T-Mobile US (310-260), SK Telecom (450-05)",
    1450: "docs.hetzner.com: Hetzner Cloud private networks; VXLAN over 1500",
    1452: "blog.henrici.name: DS-Lite over PPPoE, IPv4",
    1460: "cloud.google.com/vpc/docs/mtu: GCP's default",
    1472: "third-party blog (weak): Starlink, smallest said",
    1480: "6in4, IP in IP over 1500 (RFC 4213 section 3.2); Starlink, largest said (weak)",
    1492: "RFC 2516: PPPoE",
    1500: "Ethernet; AWS by internet gateway and between regions",
    2002: "RFC 1191 section 7.1: plateau; tells jumbo paths from others cheaply",
    4352: "RFC 1191 section 7.1: plateau",
    8500: "AWS docs: peering, transit gateway",
    8896: "cloud.google.com/vpc/docs/mtu: GCP's largest",
    9000: "jumbo frames as most switches have them; Oracle (unchecked)",
    9001: "AWS docs: inside a VPC",
}
"""Size: who has it."""

RUNGS = tuple(sorted(SOURCES))


def between(low: int, high: int) -> Sequence[int]:
    """Rungs above `low` and below `high`, ascending."""
    return RUNGS[bisect_right(RUNGS, low) : bisect_left(RUNGS, high)]


def below(size: int) -> int:
    """The next rung below, or 0."""
    rungs = between(0, size)
    return rungs[-1] if rungs else 0


def above(size: int) -> int:
    """The next rung above, or a byte more where there is none."""
    rungs = RUNGS[bisect_right(RUNGS, size) :]
    return rungs[0] if rungs else size + 1


def spread(rungs: Sequence[int], count: int) -> list[int]:
    """`count` of them that part the rest evenly; all where there are fewer."""
    if len(rungs) <= count:
        return list(rungs)
    return [rungs[(step + 1) * len(rungs) // (count + 1)] for step in range(count)]
