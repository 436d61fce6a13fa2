"""A recovered mesh is written as its stack file writes it, where both mean the same: then the next preview is empty."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_wgnode.operations.recovered_inputs import _endpoint, _mtu
from wgnode.topology.remains import RecoveredSite


@pytest.mark.parametrize(
    ("found", "entry", "mesh", "written"),
    [
        (1420, {}, {}, {}),
        (1380, {}, {"mtu": 1380}, {}),
        (1300, {"mtu": 1300}, {"mtu": 1380}, {"mtu": 1300}),
        (1420, {"mtu": 1420}, {}, {"mtu": 1420}),
        (1300, {}, {"mtu": 1380}, {"mtu": 1300}),
        (1420, {"mtu": 1300}, {}, {"mtu": 1420}),
        (1440, {}, {}, {}),
        (1440, {}, {"mtu": 1380}, {"mtu": 1440}),
        (None, {"mtu": 1300}, {}, {"mtu": 1300}),
        (None, {}, {}, {}),
    ],
)
def test_the_hosts_mtu_counts_and_is_written_only_where_the_file_says_another(
    found: int | None, entry: dict[str, Any], mesh: dict[str, Any], written: dict[str, Any]
) -> None:
    assert _mtu(RecoveredSite(1, (), None, mtu=found), entry, mesh) == written


@pytest.mark.parametrize(
    ("configured", "written"),
    [
        ("[::ffff:203.0.113.7]:1", "[::ffff:203.0.113.7]:1"),
        ("203.0.113.7:1", "203.0.113.7:1"),
        ("203.0.113.7:2", "203.0.113.7:1"),
        ("010.0.0.1:1", "203.0.113.7:1"),
        (None, "203.0.113.7:1"),
        (7, "203.0.113.7:1"),
    ],
)
def test_an_endpoint_is_written_as_in_the_file_where_it_is_the_same(configured: object, written: str) -> None:
    assert _endpoint("203.0.113.7:1", {"endpoint": configured}) == {"endpoint": written}
