"""A gateway whose making or taking away fails: what is kept, what is said, and that no key is."""

from __future__ import annotations

import base64

import pytest

from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.hosts.host import HostError, HostUnreachable
from pulumi_wgnode.resources import gateway_change
from pulumi_wgnode.resources.gateway import Gateway
from tests.unit.pulumi_wgnode.keys import UNSHOWN
from tests.unit.pulumi_wgnode.resources.gateway_case import (
    GATEWAY_UNIT,
    HOSTD_UNIT,
    ID,
    NEWS,
    PRIVATE,
    clock,
    created,
    host,
    kind,
)
from wgnode.image import paths

__all__ = ["clock", "host", "kind"]


def test_what_was_made_before_a_failure_is_kept_and_differs(kind, host):
    host.fails = gateway_change._SWITCH
    with pytest.raises(Partial) as error:
        created(kind)
    assert error.value.id == ID
    state = error.value.state
    assert {"config", "secrets", "hostd", "hostdUnit"} == set(state["files"])
    inputs = error.value.inputs
    differing = {change.path for change in kind.diff(state, inputs, inputs).changes}
    assert {"files.gatewayUnit", "applied", "live"} <= differing
    host.fails = None
    state = kind.update(ID, state, inputs, False)
    assert kind.diff(state, inputs, inputs).changes == ()


def test_a_host_lost_half_way_keeps_the_gateway_in_state_as_unfinished(kind, host):
    host.fails, host.loses_connection = paths.PLAIN.secrets_layer, True
    with pytest.raises(Partial) as error:
        created(kind)
    inputs, state = error.value.inputs, error.value.state
    assert (error.value.id, state["connection"]) == (ID, inputs["connection"])
    differing = {change.path for change in kind.diff(state, inputs, inputs).changes}
    assert {"files.config", "files.secrets", GATEWAY_UNIT, HOSTD_UNIT, "applied", "live"} <= differing


def test_a_host_that_was_never_reached_has_no_gateway(kind, host):
    host.reachable = False
    with pytest.raises(HostUnreachable):
        Gateway(connect=lambda _: host._reach()).create("berlin-gateway", kind.check(NEWS, {}), False)


@pytest.mark.parametrize("fails", [paths.PLAIN.secrets_layer, "switch", f"restart {paths.PLAIN.hostd_unit}"])
def test_no_key_is_in_the_text_of_a_failure(kind, host, fails):
    host.fails = fails
    with pytest.raises(Partial) as error:
        created(kind)
    assert not [text for text in (base64.b64encode(PRIVATE).decode(), UNSHOWN) if text in str(error.value)]
    assert UNSHOWN not in repr(error.value)


def test_deleting_leaves_no_file_and_no_running_unit(kind, host):
    host.files["/var/lib/wgnode/images/x/vmlinux"] = (b"other", 0o644, "root")
    before = dict(host.files)
    _, id, state = created(kind)
    host.files[f"{paths.PLAIN.secrets_layer}.Xy12"] = (b"half a write", 0o600, "root")
    assert paths.PLAIN.initrd in host.files
    kind.delete(id, state)
    assert host.files == before
    assert host.states == {
        unit: ["inactive", "disabled"] for unit in (paths.PLAIN.gateway_unit, paths.PLAIN.hostd_unit)
    }


def test_deleting_twice_is_no_error(kind, host):
    _, id, state = created(kind)
    kind.delete(id, state)
    kind.delete(id, state)


def test_a_failed_deletion_is_an_error(kind, host):
    _, id, state = created(kind)
    host.fails = "rm -rf"
    with pytest.raises(HostError):
        kind.delete(id, state)
