"""An access policy in a file, for a device that no gateway's configuration describes: JSON, {"policy": ..., "peers":
{KEY: NUMBER}}, the policy as in a node's configuration (policy/written.py), and the classes of peers by public key."""

from __future__ import annotations

from pathlib import Path

from wgnode.io import strict
from wgnode.io.shell import Shell
from wgnode.nodeconfig import decode_key
from wgnode.policy import written
from wgnode.policy.model import Policy

LARGEST = 16 << 20


def read(path: Path) -> tuple[Policy, dict[bytes, int]]:
    """Raises OSError, and ValueError that says what is wrong."""
    try:
        raw = strict.loads(path.read_bytes()[:LARGEST])
        policy = written.read(raw["policy"])
        peers = {decode_key(key): number for key, number in raw["peers"].items()}
    except (strict.Malformed, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"policy {path}: {type(error).__name__}: {error}") from None
    for number in peers.values():
        if type(number) is not int or not 0 <= number < len(policy.classes):
            raise ValueError(f"policy {path}: {number!r:.40} is no class of it")
    return policy, peers


def apply(path: Path, shell: Shell) -> int:
    """Judge by it from the next packet on; how many peers it names. Raises as `read`, with what was in force as it
    was."""
    policy, peers = read(path)
    with shell.changing():
        shell.device.access.set_policy(policy, peers)
    return len(peers)
