"""`hostd health`, `apply`, `probe`, `accounts`, `holders` and `wait`: ask the running hostd, for people and for what
deploys gateways."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

RUNNING, NOT_RUNNING, UNREACHABLE = 0, 1, 3
"""Exit codes (2 is argparse's own): the node runs; hostd answers but no node runs; hostd does not answer."""
TIMEOUT = 15.0
APPLY_TIMEOUT = 45.0
POLL_INTERVAL = 0.1


def ask(path: Path, question: dict[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
    """One question to hostd's socket. Raises OSError, or ValueError for an answer that is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile("rb") as stream:
            answer = json.loads(stream.readline() or b"null")
    if not isinstance(answer, dict):
        raise ValueError("hostd ended the connection without an answer")
    return answer


def health(path: Path) -> tuple[int, dict[str, Any]]:
    """(exit code, answer). The answer always has "status" and "error"."""
    try:
        answer = ask(path, {"type": "health"})
    except (OSError, ValueError) as error:
        return UNREACHABLE, {"status": "unreachable", "error": f"{path}: {error}"}
    return (RUNNING if answer.get("status") == "running" else NOT_RUNNING), answer


def apply(path: Path, wanted: dict[str, str] | None = None, patience: float = 0.0) -> tuple[int, dict[str, Any]]:
    """Bring the baked layers to the running node: 0 when `applied`, else 1 with `restart` or `error`.

    Where something is `wanted`, the first of these is told as `wait` does.
    """
    try:
        answer = ask(path, {"type": "apply"}, APPLY_TIMEOUT)
    except (OSError, ValueError) as error:
        return UNREACHABLE, {"error": f"{path}: {error}"}
    if "applied" not in answer:
        return NOT_RUNNING, answer
    return wait(path, wanted, patience) if wanted else (RUNNING, answer)


def probe(path: Path, peer: str | None, fresh: bool = False) -> tuple[int, dict[str, Any]]:
    """Search path MTUs anew, to one peer (its public key) or to all: 0 when the node is at it, else 1 with `error`.

    `fresh`: after a handshake of its own.
    """
    try:
        answer = ask(path, {"type": "probe", "peer": peer, **({"fresh": True} if fresh else {})})
    except (OSError, ValueError) as error:
        return UNREACHABLE, {"error": f"{path}: {error}"}
    return (RUNNING if answer.get("probing") else NOT_RUNNING), answer


def accounts(path: Path) -> tuple[int, dict[str, Any]]:
    """What each peer has sent and received in all: 0 with `accounts`, else `error`."""
    return _told(path, {"type": "accounts"}, "accounts")


def holders(path: Path, address: str) -> tuple[int, dict[str, Any]]:
    """Whose the address was: 0 with `holdings` and `since` when all of them are known, else `error`."""
    return _told(path, {"type": "holders", "address": address}, "holdings")


def _told(path: Path, question: dict[str, Any], wanted: str) -> tuple[int, dict[str, Any]]:
    try:
        answer = ask(path, question)
    except (OSError, ValueError) as error:
        return UNREACHABLE, {"error": f"{path}: {error}"}
    return (RUNNING if wanted in answer else NOT_RUNNING), answer


def wait(path: Path, wanted: dict[str, str], patience: float) -> tuple[int, dict[str, Any]]:
    """Like `health`, once the report has all that is `wanted`, says that no node will run, or `patience` (s) is over.

    The exit code is 0 only in the first case.
    """
    deadline = time.monotonic() + patience
    while True:
        code, answer = health(path)
        if all(answer.get(name) == value for name, value in wanted.items()):
            return code, answer
        if answer.get("status") == "failed" or time.monotonic() > deadline:
            return code or NOT_RUNNING, answer
        time.sleep(POLL_INTERVAL)


def describe(answer: dict[str, Any], now: float | None = None) -> str:
    """A few lines for a person."""
    wall = time.time() if now is None else now
    lines = [f"{answer.get('name', 'gateway')}: {answer.get('status', 'unknown')}"]
    if answer.get("error"):
        lines[0] += f" ({answer['error']})"
    if "uptime" in answer:
        lines.append(f"  up {answer['uptime']:.0f} s, loaded {answer.get('loaded')}, live {answer.get('live')}")
    for peer in answer.get("peers", []):
        last = peer.get("last_handshake")
        when = "never" if last is None else f"{max(0, wall - last):.0f} s ago"
        traffic = f"{peer.get('rx_bytes', 0)} B received, {peer.get('tx_bytes', 0)} B sent"
        lines.append(f"  {peer.get('name') or peer['public_key']}: {peer.get('endpoint')}, handshake {when}, {traffic}")
    return "\n".join(lines)
