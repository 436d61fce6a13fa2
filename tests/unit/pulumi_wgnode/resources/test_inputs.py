"""A host's private key shows nowhere, whatever goes wrong around it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.contracts.connection import Connection as Contract
from pulumi_wgnode.contracts.connection import Jump
from pulumi_wgnode.contracts.hypervisor_host import HypervisorHostInputs
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.resources.inputs import connection, described, undescribed, validated
from tests.unit.pulumi_wgnode.keys import PIN
from tests.unit.pulumi_wgnode.resources import hypervisor_case

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"


def test_a_connection_shows_no_private_key() -> None:
    made = connection({"connection": {"address": "192.0.2.1", "hostKeys": [PIN], "privateKey": KEY}})
    assert made.private_key == KEY
    assert KEY not in repr(made)


def test_each_part_of_a_connection_goes_both_ways() -> None:
    jump = {name: name for name in Jump.wire_names()}
    lists = {"hostKeys": ["k"], "hostAuthorities": ["a"], "port": 2222, "agent": True}
    given = {**jump, **lists, "jumpHosts": [{**jump, **lists}]}
    assert given.keys() == set(Contract.wire_names())
    made = described(given)
    assert undescribed(made) == given
    unset = {field.name for field in fields(made) if getattr(made, field.name) == field.default}
    assert unset == {"is_jump"}, "each has been given"


def test_a_recorded_connection_that_this_version_cannot_read_is_not_quoted() -> None:
    with pytest.raises(ExplainedError) as raised:
        connection({"connection": {"hostKeys": [], "privateKey": [KEY]}})
    assert "PRIVATE KEY" not in str(raised.value)


def test_a_host_s_lan_is_no_uplink():
    same = {"uplink": "wan0", "lanInterface": "wan0"}
    with pytest.raises(CheckError, match="networks: wan0 is the uplink; the LAN needs an interface of its own"):
        validated(HypervisorHostInputs, {**hypervisor_case.NEWS, "networks": same})
    later = {"uplink": UNKNOWN, "lanInterface": UNKNOWN}
    assert validated(HypervisorHostInputs, {**hypervisor_case.NEWS, "networks": later})["networks"] == later
