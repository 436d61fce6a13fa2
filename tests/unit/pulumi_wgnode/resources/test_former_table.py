"""Two gateways on a host, of which one has its table from a version whose tables cut each other."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.hosts.owners import Owner, Record
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.unit.pulumi_wgnode.fake_host import FakeHost
from tests.unit.pulumi_wgnode.resources.test_foresee import FIREWALL, preview, warnings


@pytest.fixture
def told():
    """(text, severity) of what a preview says."""
    lines = []
    log.send_to(lambda text, severity: lines.append((text, severity)))
    yield lines
    log.send_to(None)


@pytest.mark.parametrize(
    ("chain", "tells"), [("input", True), ("input-end", False), ("forward", True), ("forward-end", False)]
)
def test_a_table_of_a_former_version_that_drops_what_ours_lets_in_is_told(told, chain, tells):
    host, office = FakeHost(), Owner("0b1c2d3e4f506172", "corp", "office")
    record = Record(office, "1", "0b1c2d3e", transit=("172.31.255.248/30",), listen_port=51821)
    host.files[record.path] = (record.to_json().encode(), 0o644, "root")
    hook = chain.removesuffix("-end")
    theirs = {"family": "inet", "table": record.paths.table}
    host.foreign = [
        {"chain": {**theirs, "name": chain, "type": "filter", "hook": hook, "prio": 0, "policy": "accept"}},
        {"rule": {**theirs, "chain": chain, "comment": f"{hook}-drop", "expr": [{"drop": None}]}},
    ]
    preview(NatFirewall, host, FIREWALL)
    former = [text for text in warnings(told) if "of a former version" in text]
    assert bool(former) == tells
    assert all("the firewall of site 'office' of mesh 'corp'" in text for text in former)
