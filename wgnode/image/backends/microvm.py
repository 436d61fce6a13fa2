"""A virtual machine of QEMU without PCI and firmware: the node is the only process of a kernel of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wgnode.image import units
from wgnode.image.backends import COMMON_PACKAGES, Cards, Name
from wgnode.image.paths import Paths

BOOT_TIMEOUT = {"kvm": 30.0, "tcg": 120.0}


class Microvm:
    name: Name = "microvm"
    about = "a virtual machine of QEMU, with a kernel of its own"
    cards: Cards = "tap"
    packages = tuple(sorted((*COMMON_PACKAGES, "qemu-system-x86")))
    accelerated = True
    cannot: ClassVar[Mapping[str, str]] = {}

    def service(self, unit: units.GatewayUnit) -> str:
        return units.gateway_service(unit)

    def programs(self, paths: Paths) -> Mapping[str, tuple[str, bytes]]:
        return {}

    def boot_timeout(self, unit: units.GatewayUnit) -> float:
        return BOOT_TIMEOUT[unit.accelerator]

    def same_machine(self, one: str, other: str) -> bool:
        return units.same_machine(one, other)
