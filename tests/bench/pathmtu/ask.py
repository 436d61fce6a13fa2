"""What our node tells of its paths, by the socket of `wgnode device`."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import Any

from tests.lab.scenarios.world import Device
from wgnode.io.told_socket import DIRECTORY, PATH_MTU, PROBE


def paths(device: Device) -> dict[str, dict[str, Any]]:
    """By the peer's public key."""
    return {peer["public_key"]: peer for peer in _ask(device, PATH_MTU)["peers"]}


def _ask(device: Device, question: str) -> Any:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(10)
        asking.connect(str(DIRECTORY / f"{device.name}.sock"))
        asking.sendall(question.encode() + b"\n")
        with asking.makefile("rb") as answer:
            return json.loads(answer.readline())


def path(device: Device, peer: Device) -> dict[str, Any]:
    """Size, evidence and all; {} before there is any."""
    return paths(device).get(peer.public_key, {}).get("path_mtu") or {}


@dataclass(frozen=True)
class Found:
    """Seconds from the handshake until packets of the right size went: `near` within the last rung, `exact` within 4
    bytes. `spent` is wire bytes of probes until then, `size` what was found."""

    near: float
    exact: float
    spent: int
    size: int


def found(device: Device, peer: Device, truth: int, rung: int, patience: float = 20.0) -> Found | None:
    """Watched from a handshake that is to come; None where it was not found in time (s)."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        told = paths(device).get(peer.public_key, {})
        now = told.get("path_mtu") or {}
        if now.get("evidence") == "probe" and truth - 4 < now["size"] <= truth and now["state"] == "search_complete":
            return _found(told, truth, rung)
        time.sleep(0.02)
    return None


def _found(told: dict[str, Any], truth: int, rung: int) -> Found:
    """Of the whole history: when the value first came so near, and stayed."""
    now, began = told["path_mtu"], told["last_handshake"]
    steps = [*now["history"], now]

    def since(least: int) -> float:
        good = [least <= step["size"] <= truth and step["evidence"] == "probe" for step in steps]
        return float(steps[len(good) - good[::-1].index(False) if False in good else 0]["since"]) - began

    return Found(max(0.0, since(rung)), max(0.0, since(truth - 3)), now["spent"], now["size"])


def probe(device: Device) -> None:
    """Have it search anew, to all."""
    _ask(device, PROBE)
