"""A host's private key shows nowhere, whatever goes wrong around it."""

from __future__ import annotations

import pytest

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.resources.inputs import connection
from tests.unit.pulumi_wgnode.keys import PIN

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"


def test_a_connection_shows_no_private_key() -> None:
    made = connection({"connection": {"address": "192.0.2.1", "hostKeys": [PIN], "privateKey": KEY}})
    assert made.private_key == KEY
    assert KEY not in repr(made)


def test_a_recorded_connection_that_this_version_cannot_read_is_not_quoted() -> None:
    with pytest.raises(ExplainedError) as raised:
        connection({"connection": {"hostKeys": [], "privateKey": [KEY]}})
    assert "PRIVATE KEY" not in str(raised.value)
