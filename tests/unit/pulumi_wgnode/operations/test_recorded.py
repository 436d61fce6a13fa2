"""A site's resources out of its stack's state, as `pulumi stack export` gives it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulumi_wgnode.operations import recorded
from pulumi_wgnode.operations.stacks import StackError
from tests.unit.pulumi_wgnode.operations.project import Folder
from tests.unit.pulumi_wgnode.resources.whole_site import SECRET


def state(*resources: dict[str, Any]) -> str:
    return json.dumps({"version": 3, "deployment": {"resources": list(resources)}})


def sealed(value: Any) -> dict[str, Any]:
    return {**SECRET, "plaintext": json.dumps(value)}


def test_what_is_on_the_host_is_taken_in_order_with_its_secrets_opened(folder: Folder) -> None:
    gateway = {
        "type": "wgnode:index:Gateway",
        "id": "a",
        "inputs": {"secrets": sealed('{"a": 1}'), "n": [sealed([2.0])]},
    }
    host = {"type": "wgnode:index:HypervisorHost", "id": "a", "outputs": {"facts": {"kvm": False, "memory": 1024.0}}}
    others = [{"type": "pulumi:pulumi:Stack"}, {"type": "wgnode:index:Site", "inputs": {}}]
    folder.export("dev-berlin", state(*others, gateway, host, {**gateway, "delete": True, "id": "old"}))
    first, second = recorded.read(folder.root, "dev-berlin")
    assert (first.part, first.inputs, first.outputs) == ("host", {}, {"facts": {"kvm": False, "memory": 1024}})
    assert (second.part, second.id, second.inputs) == ("gateway", "a", {"secrets": '{"a": 1}', "n": [[2]]})
    assert "stack export --show-secrets --stack dev-berlin" in (folder.bin / "calls").read_text()
    assert '"a": 1' not in repr(second), "secrets are shown nowhere by accident"


@pytest.mark.parametrize("text", ['{"version": 3, "deployment": {}}', '{"version": 3}', state()])
def test_a_stack_that_was_never_run_has_nothing(folder: Folder, text: str) -> None:
    folder.export("dev-berlin", text)
    assert recorded.read(folder.root, "dev-berlin") == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"deployment": {"resources": [1]}}',
        state({"type": "wgnode:index:Gateway", "inputs": SECRET}),
    ],
)
def test_what_is_no_state_is_an_error_by_name(folder: Folder, text: str) -> None:
    folder.export("dev-berlin", text)
    with pytest.raises(StackError, match=r"stack 'dev-berlin': .*no state that this version can read"):
        recorded.read(folder.root, "dev-berlin")


def test_a_stack_that_is_not_there_is_told_in_the_engines_words(folder: Folder) -> None:
    with pytest.raises(StackError, match="no stack named 'dev-berlin' found"):
        recorded.read(folder.root, "dev-berlin")
