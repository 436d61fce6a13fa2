"""Asking a `wgnode device` of this machine what it knows of its paths, by its socket (docs/device-socket.md)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations.mtu_judge import Asked
from wgnode.hostd import said
from wgnode.io import strict
from wgnode.io.told_socket import DIRECTORY, PATH_MTU, PROBE

PATIENCE = 10.0
"""Seconds."""


class DeviceError(ExplainedError):
    """The device can't be asked; the text names it and says why."""


def ask(name: str, directory: Path = DIRECTORY) -> Asked:
    """Raises DeviceError."""
    answer = _answer(name, PATH_MTU, directory)
    try:
        health = said.report({"peers": [_peer(raw) for raw in answer["peers"]]})
    except (said.Refused, KeyError, TypeError) as error:
        raise DeviceError(f"device {name}: its answer is not understood: {error}") from None
    status = "running" if answer.get("searching") else "running, without a search of path MTUs"
    return Asked("none", name, "this machine", status, "", health.report)


def probe(name: str, key: str | None, directory: Path = DIRECTORY) -> str:
    """Have it search anew, to one peer or all. What went wrong, "" for nothing. Raises DeviceError."""
    answer = _answer(name, f"{PROBE} {key}" if key else PROBE, directory)
    if answer.get("probing"):
        return ""
    return f"it does not probe: {answer.get('error', 'no session with whom, or nobody to ask')}"


def _peer(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: raw[name] for name in ("public_key", "endpoint", "path_mtu") if name in raw}


def _answer(name: str, question: str, directory: Path) -> dict[str, Any]:
    path = directory / f"{name}.sock"
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(PATIENCE)
            asking.connect(str(path))
            asking.sendall(question.encode() + b"\n")
            with asking.makefile("rb") as stream:
                answer = strict.loads(stream.readline())
    except FileNotFoundError:
        raise DeviceError(f"device {name}: there is no {path}; `wgnode device {name}` makes it while it runs") from None
    except (OSError, ValueError) as error:
        raise DeviceError(f"device {name}: {path}: {error}") from None
    return answer if isinstance(answer, dict) else {}
