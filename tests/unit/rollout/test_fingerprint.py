"""A state's fingerprint: what moves it, what doesn't, how the difference is called, and that no secret is in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from wgnode.rollout.fingerprint import SECRET, SIGNATURE, differences, fingerprint, unfinished

KEY = b"k" * 32
URN = "urn:pulumi:dev-berlin::wgmesh::wgnode:index:Site$wgnode:index:Gateway::site-gateway"


def secret(text: str) -> dict[str, str]:
    return {SIGNATURE: SECRET, "plaintext": json.dumps(text)}


def deployment() -> dict[str, Any]:
    gateway = {
        "urn": URN,
        "id": "0011223344556677",
        "type": "wgnode:index:Gateway",
        "inputs": {"machine": {"memory": 128.0}, "secrets": secret("the private key")},
        "outputs": {"live": "abcd"},
        "created": "2026-01-01T00:00:00Z",
    }
    stack = {
        "urn": "urn:pulumi:dev-berlin::wgmesh::pulumi:pulumi:Stack::wgmesh-dev-berlin",
        "outputs": {"name": "berlin"},
    }
    return {"resources": [stack, gateway]}


def moved(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    now = copy.deepcopy(deployment())
    change(now)
    return list(differences(fingerprint(deployment(), KEY), fingerprint(now, KEY)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda now: now["resources"][1]["inputs"]["machine"].update(memory=256.0), "other inputs"),
        (lambda now: now["resources"][1]["outputs"].update(live="ef"), "other outputs"),
        (lambda now: now["resources"][1].update(id="another"), "other id"),
        (lambda now: now["resources"][1]["inputs"].update(secrets=secret("another key")), "other inputs"),
        (lambda now: now["resources"].pop(1), "is gone"),
    ],
)
def test_what_moves_is_named_by_its_resource(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    (told,) = moved(change)
    assert told.startswith("wgnode:index:Gateway site-gateway")
    assert told.endswith(said)


def test_a_new_resource_and_one_that_waits_to_be_deleted_are_differences() -> None:
    other = {"urn": URN.replace("site-gateway", "more"), "inputs": {}, "outputs": {}}
    assert moved(lambda now: now["resources"].append(other)) == ["wgnode:index:Gateway more is new"]
    old = {**deployment()["resources"][1], "delete": True}
    assert len(moved(lambda now: now["resources"].append(old))) == 1


def test_an_operation_that_was_cut_off_is_a_difference() -> None:
    pending = {"resource": {"urn": URN}, "type": "updating"}
    (told,) = moved(lambda now: now.update(pending_operations=[pending]))
    assert told == "wgnode:index:Gateway site-gateway: an operation was cut off (updating)"


def test_an_update_that_failed_in_the_middle_is_a_difference_whatever_its_inputs_say() -> None:
    broken = deployment()
    broken["resources"][1]["initErrors"] = ["it does not boot"]
    before, now = fingerprint(deployment(), KEY), fingerprint(broken, KEY)
    assert list(differences(before, now)) == ["wgnode:index:Gateway site-gateway: its last update failed in the middle"]
    assert list(differences(now, before)) == [
        "wgnode:index:Gateway site-gateway: no longer in the middle of an update (failed)"
    ]
    assert (unfinished(before), unfinished(now)) == (False, True)


def test_times_and_how_numbers_are_written_are_no_difference() -> None:
    assert moved(lambda now: now["resources"][1].update(modified="2027-01-01T00:00:00Z")) == []
    assert moved(lambda now: now["resources"][1]["inputs"]["machine"].update(memory=128)) == []
    assert moved(lambda now: now["resources"].reverse()) == []


def test_no_secret_is_in_it_and_who_has_not_the_key_can_not_try_values() -> None:
    assert "private key" not in json.dumps(fingerprint(deployment(), KEY))
    one, other = (fingerprint(deployment(), key)[URN]["inputs"] for key in (KEY, b"o" * 32))
    assert one != other


def test_a_state_of_nothing_is_nothing() -> None:
    assert fingerprint({}, KEY) == fingerprint({"resources": None}, KEY) == {}
