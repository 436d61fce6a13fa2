"""Live change: the baked layers, as they lie on the host, are brought to the node that runs.

So what is applied is what the next boot loads, and no secret is on a command line or passes through another process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wgnode.hostd.guest import Content, GuestLink
from wgnode.hostd.said import Failure, Outcome
from wgnode.image import layers
from wgnode.io.control import Message

APPLY_TIMEOUT = 30.0
"""Seconds; under emulation a thousand new peers take a node some."""

Reply = Callable[[dict[str, Any]], None]


def apply(guest: GuestLink, reply: Reply, config_layer: Path, secrets_layer: Path) -> None:
    """Answers what the node answers (appliance.gateway.Gateway.configure), `restart` for one that can't be changed."""
    if guest.status != "running" or guest.hello is None:
        return reply({"restart": f"the guest is {guest.status}"})
    if "configure" not in guest.hello.can:
        return reply({"restart": f"version {guest.hello.version} of the node can't be changed while it runs"})
    try:
        config = layers.config_of(config_layer.read_bytes()).to_json()
        secrets = layers.secrets_of(secrets_layer.read_bytes()).to_json()
    except (OSError, ValueError) as error:
        return reply({"error": f"the baked layers can't be applied: {error}"})
    message: Message = {"type": "configure", "config": config.decode(), "secrets": secrets.decode()}
    guest.request(message, lambda answer: reply(_of(answer)), APPLY_TIMEOUT)


def _of(answer: Content | None) -> dict[str, Any]:
    if answer is None:
        return {"error": f"the guest did not answer within {APPLY_TIMEOUT:.0f} s"}
    if isinstance(answer, Outcome):
        return dict(answer.report)
    return {"error": answer.error if isinstance(answer, Failure) else "the guest gave the answer to another question"}
