"""Which accelerator a gateway's machine gets: what was asked for, what the host has, and what it ran by so far. Pure.

A probe of KVM can fail for a moment: after a new kernel, while a module is away, on a busy host. A gateway that runs by
KVM must not become an emulated one for that, so `auto` remembers (docs/decisions/accelerator.md).
"""

from __future__ import annotations

from typing import Literal

from pulumi_wgnode.contracts.gateway import Asked

Accelerator = Literal["kvm", "tcg"]


class AcceleratorError(ValueError):
    """There is no KVM where it is wanted; the text says why and what to do."""


def resolve(asked: Asked, usable: bool, reason: str, before: str | None) -> Accelerator:
    """`usable` and `reason` are the host's facts, `before` what it ran by so far. Raises AcceleratorError."""
    if asked == "tcg" or (asked == "auto" and not usable and before != "kvm"):
        return "tcg"
    if usable:
        return "kvm"
    if asked == "kvm":
        raise AcceleratorError(
            f"gateway.accelerator: kvm, but guests can't run by KVM on this host ({reason}); make KVM work there, or"
            " set `gateway.accelerator` to tcg (software emulation, much slower) or auto"
        )
    raise AcceleratorError(
        f"this gateway runs by KVM, and now guests can't run by KVM on its host ({reason}). It is left as it is: make"
        " KVM work again (modprobe kvm_intel or kvm_amd; virtualization in the firmware), then run this again; or set"
        " `gateway.accelerator: tcg` to get a new guest by software emulation, much slower"
    )


def announcement(before: str | None, now: str | None) -> str | None:
    """What a preview says of another accelerator; None where nothing changes."""
    return _CHANGES.get((before, now))


_CHANGES: dict[tuple[str | None, str | None], str] = {
    ("tcg", "kvm"): "its host can run guests by KVM now: a new guest is started, by KVM in place of software emulation,"
    " and its tunnels are down until it has booted; `gateway.accelerator: tcg` keeps the emulated one",
    (
        "kvm",
        "tcg",
    ): "`gateway.accelerator: tcg`: a new guest is started, by software emulation in place of KVM, ten times"
    " slower, and its tunnels are down until it has booted",
}
