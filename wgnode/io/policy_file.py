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
_FORM = "its form is {policy: {classes, known, own}, peers}, as of a gateway's configuration"


def read(path: Path) -> tuple[Policy, dict[bytes, int]]:
    """Raises OSError, and ValueError that says what is wrong."""
    try:
        raw = strict.loads(path.read_bytes()[:LARGEST])
        policy = written.read(raw["policy"])
        peers = {decode_key(key): number for key, number in raw["peers"].items()}
    except KeyError as error:
        raise ValueError(f"policy {path}: there is no {error}; {_FORM}") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(f"policy {path}: a value of another type ({error}); {_FORM}") from None
    except ValueError as error:
        raise ValueError(f"policy {path}: {error}; {_FORM}") from None
    if written.written(policy) != raw["policy"] or raw.keys() != {"policy", "peers"}:
        raise ValueError(
            f"policy {path}: something in it would not be kept to, or be taken for something else; {_FORM}"
        )
    for number in peers.values():
        if type(number) is not int or not 0 <= number < len(policy.classes):
            raise ValueError(f"policy {path}: {number!r:.40} is no class of it; it has 0 to {len(policy.classes) - 1}")
    return policy, peers


def apply(path: Path, shell: Shell) -> int:
    """Judge by it from the next packet on; how many peers it names. Raises as `read`, with what was in force as it
    was."""
    policy, peers = read(path)
    with shell.changing():
        shell.device.access.set_policy(policy, peers)
    return len(peers)
