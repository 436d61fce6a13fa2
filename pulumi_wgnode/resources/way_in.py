"""Another way into the same host: an update, so that the state has it, and never a replacement."""

from __future__ import annotations

import os
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.hosts.ssh.environment import PORT, ROOT, SSH_PORT, USER


def as_said(old_inputs: Properties, news: Properties) -> Properties:
    """The old inputs without what former versions recorded as the connection's defaults, where the program still
    leaves that open, and the environment has nothing else in its place: no difference, then."""
    old, new = old_inputs.get("connection"), news.get("connection")
    if not isinstance(old, dict) or not isinstance(new, dict):
        return old_inputs
    kept = {name: value for name, value in old.items() if name in new or not _is_default(name, value)}
    return {**old_inputs, "connection": kept}


def _is_default(name: str, value: Any) -> bool:
    if name == "agent":
        return value is False
    default, variable = {"port": (SSH_PORT, PORT), "user": (ROOT, USER)}.get(name, (None, ""))
    return default is not None and value == default and not os.environ.get(variable)
