"""A stack's state as it is, in a form that can be published: which resources it has, and a digest of each.

The engine's own plans don't bind the state: one that was made at "12 → 20" applies after somebody went to 31. So a plan
holds this beside them, and is refused where it is another one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

from wgnode.nodeconfig import canonical

SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
"""How the engine marks a secret in an export (sdk/go/common/resource/sig)."""
LENGTH = 16
"""Hexadecimal digits of a digest: 64 bits, against somebody else's change and not against a forger."""
Fingerprint = Mapping[str, Mapping[str, str]]
"""By URN: `id`, and digests of `inputs` and `outputs`; `pending` where its last operation did not come to its end."""
FAILED = "failed"
"""`pending` of a resource that has its new inputs, but did not become as they say (the engine's `initErrors`)."""


def fingerprint(deployment: Mapping[str, Any], key: bytes) -> Fingerprint:
    """Of `deployment` in `pulumi stack export --show-secrets`; `key` is secret, and hides what low-entropy secrets are.

    An operation that was cut off in the middle, or failed there, counts as a difference of its resource. Raises
    KeyError, TypeError or AttributeError for what is no state.
    """
    found = {one["urn"] + _suffix(one): _resource(one, key) for one in deployment.get("resources") or ()}
    for pending in deployment.get("pending_operations") or deployment.get("pendingOperations") or ():
        urn = pending["resource"]["urn"]
        found[urn] = {**found.get(urn, {}), "pending": str(pending["type"])}
    return found


def unfinished(state: Fingerprint) -> bool:
    """Whether an operation was cut off or failed in the middle: the next `up` takes it up, whatever inputs say."""
    return any("pending" in one for one in state.values())


def differences(before: Fingerprint, now: Fingerprint) -> Iterator[str]:
    """What moved, each with its resource as `type name`."""
    for urn in sorted(before.keys() | now.keys()):
        old, new = before.get(urn), now.get(urn)
        if old is None or new is None:
            yield f"{called(urn)} is {'new' if old is None else 'gone'}"
        elif new.get("pending") != old.get("pending"):
            yield f"{called(urn)}: {_pending(new.get('pending'), str(old.get('pending')))}"
        elif moved := [part for part in ("id", "inputs", "outputs") if old.get(part) != new.get(part)]:
            yield f"{called(urn)}: other {', '.join(moved)}"


def called(urn: str) -> str:
    """ "wgnode:index:Gateway site-gateway" of "urn:pulumi:dev-berlin::wgmesh::…$wgnode:index:Gateway::site-gateway"."""
    *_, kinds, name = urn.split("::")
    return f"{kinds.rpartition('$')[2]} {name}"


def _pending(now: str | None, before: str) -> str:
    if now == FAILED:
        return "its last update failed in the middle"
    return f"an operation was cut off ({now})" if now else f"no longer in the middle of an update ({before})"


def _resource(raw: Mapping[str, Any], key: bytes) -> dict[str, str]:
    return {
        "id": str(raw.get("id", "")),
        "inputs": _digest(raw.get("inputs") or {}, key),
        "outputs": _digest(raw.get("outputs") or {}, key),
        **({"pending": FAILED} if raw.get("initErrors") else {}),
    }


def _suffix(raw: Mapping[str, Any]) -> str:
    """One that is about to be deleted stands beside its successor, under the same URN."""
    return f"(old {raw.get('id', '')})" if raw.get("delete") else ""


def _digest(value: Any, key: bytes) -> str:
    return hashlib.sha256(canonical(_hidden(value, key))).hexdigest()[:LENGTH]


def _hidden(value: Any, key: bytes) -> Any:
    """Secrets by their keyed hash, whatever the engine encrypts them with today; 1 and 1.0 are one number there."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return {"secret": hmac.digest(key, str(value["plaintext"]).encode(), "sha256").hex()}
        return {name: _hidden(one, key) for name, one in value.items()}
    if isinstance(value, list):
        return [_hidden(one, key) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
