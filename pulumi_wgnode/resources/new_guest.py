"""Why a gateway's update would start a new guest, which is an outage, as a preview can tell it. Reads only."""

from __future__ import annotations

from typing import Any

from pulumi_wgnode.call.kind import UNKNOWN, Properties, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.resources import gateway_change
from pulumi_wgnode.resources.compare import at
from pulumi_wgnode.resources.gateway_state import desired, observed

_INPUTS = {"machine.memory": " MiB", "machine.cpus": "", "machine.accelerator": "", "image.sha256": ""}


def announce(host: Host, inputs: Properties, state: Properties | None) -> bool:
    """Warn of a new guest with its reasons; whether there will be one."""
    reasons = changed_inputs(state or {}, inputs)
    why = None if has_unknown(inputs) else _on_host(host, inputs)
    if why and not (reasons and why == gateway_change.OTHER_UNIT):  # which is what these inputs make of it
        reasons.append(why)
    if reasons:
        log(
            f"gateway on {host.name}: a new guest is needed, an outage until it has booted: {'; '.join(reasons)}",
            Severity.WARNING,
        )
    return bool(reasons)


def changed_inputs(old: Properties, new: Properties) -> list[str]:
    """Those that only a new guest can have, with what they were."""
    return [*_cards(old, new), *_machine(old, new)]


def _machine(old: Properties, new: Properties) -> list[str]:
    return [
        f"{path} is to be {_short(at(new, path))}{unit} instead of {_short(at(old, path))}{unit}"
        for path, unit in _INPUTS.items()
        if at(old, path) is not None and at(new, path) not in (None, UNKNOWN) and at(old, path) != at(new, path)
    ]


def _cards(old: Properties, new: Properties) -> list[str]:
    """Of states without it, it was not."""
    before, now = (bool(at(inputs, "machine.udpSegmentation")) for inputs in (old, new))
    if "machine" not in old or has_unknown(new["machine"]) or before == now:
        return []
    if now:
        return ["its host's QEMU and kernel carry UDP segmentation to its cards now, which it is to have"]
    return ["its host's QEMU or kernel does not carry UDP segmentation to its cards any more"]


def _short(value: Any) -> str:
    return str(value)[:12]


def _on_host(host: Host, inputs: Properties) -> str | None:
    wanted = desired(inputs)
    found = observed(host, wanted)
    paths = wanted.paths
    if paths.gateway_unit not in found["units"]:
        return None  # none is there: to be made, or lost with everything else
    if not found["units"].get(paths.hostd_unit, "").startswith("active"):
        log(
            f"gateway on {host.name}: {paths.hostd_unit} does not run, so whether the node needs a new guest cannot be"
            " told beforehand",
            Severity.INFO,
        )
        return None
    return gateway_change.why_new_guest(host, wanted, found)
