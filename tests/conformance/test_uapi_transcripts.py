"""The published UAPI transcripts, each verified on wireguard-go, replayed on our parser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wgnode.dataplane.plain import PlainPlane
from wgnode.io.node import new_device
from wgnode.io.uapi import handle

NAMES = ("private_key", "listen_port", "fwmark")


def parse(reply: str) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Device, peers and errno of an answer to get, as the transcripts write them."""
    device: dict[str, Any] = {}
    peers: list[dict[str, Any]] = []
    number = 0
    for line in reply.strip().splitlines():
        key, _, value = line.partition("=")
        if key == "errno":
            number = int(value)
        elif key == "public_key":
            peers.append({key: value, "allowed_ip": []})
        elif key == "allowed_ip":
            peers[-1][key].append(value)
        else:
            (peers[-1] if peers else device)[key] = int(value) if value.isdecimal() and len(value) < 64 else value
    return device, peers, number


def comparable(peer: dict[str, Any]) -> dict[str, Any]:
    return {
        "public_key": peer["public_key"],
        "preshared_key": peer.get("preshared_key") or "0" * 64,
        "endpoint": peer.get("endpoint"),
        "persistent_keepalive_interval": peer.get("persistent_keepalive_interval", 0),
        "allowed_ip": sorted(peer.get("allowed_ip", [])),
    }


def by_key(peers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(map(comparable, peers), key=lambda peer: str(peer["public_key"]))


def test_every_transcript(vectors: Path) -> None:
    content = json.loads((vectors / "uapi.json").read_text())
    assert len(content["cases"]) == 52
    for case in content["cases"]:
        tested = new_device(PlainPlane())
        assert handle(tested, content["reset"], 0.0) == "errno=0\n\n"
        for step in case["steps"]:
            device, peers, number = parse(handle(tested, step["request"], 0.0))
            assert (number != 0) == (step["errno"] != 0), case["name"]
            assert number <= 0, case["name"]
            if "device" in step:
                wanted = step["device"]
                assert all((device.get(key) or None) == (wanted.get(key) or None) for key in NAMES), case["name"]
                assert by_key(peers) == by_key(step["peers"]), case["name"]


@pytest.mark.parametrize("name", ["private_key", "preshared_key"])
def test_the_comparison_would_notice_a_difference(name: str) -> None:
    device, peers, _ = parse(f"private_key={'1' * 64}\npublic_key={'2' * 64}\npreshared_key={'3' * 64}\nerrno=0\n\n")
    assert (device if name == "private_key" else comparable(peers[0]))[name] in ("1" * 64, "3" * 64)
