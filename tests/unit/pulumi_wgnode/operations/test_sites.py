"""The sites of somebody else's program, whose configuration is no matter of ours: from its stacks' states."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import sites
from pulumi_wgnode.operations.stacks import NoSite
from pulumi_wgnode.provider import registry
from tests.unit.pulumi_wgnode.operations.project import Folder
from tests.unit.pulumi_wgnode.operations.test_status import Hosts
from tests.unit.pulumi_wgnode.resources.whole_site import WholeSite
from wgnode.cli import main


@pytest.fixture
def shop(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A program of another shape: all gateways in one stack beside other things, and a stack without any."""
    hosts = Hosts(folder, monkeypatch)
    exported = [
        *_site(folder, monkeypatch, hosts, "berlin", "198.51.100.2"),
        *_site(folder, monkeypatch, hosts, "paris", "198.51.100.3"),
        {"type": "aws:s3/bucket:Bucket", "id": "x", "inputs": {}, "outputs": {}},
    ]
    for stack, resources in (("prod", exported), ("dns", exported[-1:])):
        folder.stack(stack, {"shop:size": "large"})
        folder.export(stack, json.dumps({"version": 3, "deployment": {"resources": resources}}))
    monkeypatch.setattr(pool, "connect", hosts.connect)
    monkeypatch.setattr(registry, "kind", hosts.kind)
    return folder


def _site(folder: Folder, patch: pytest.MonkeyPatch, hosts: Hosts, name: str, address: str) -> list[dict[str, Any]]:
    """The resources of a site of that name on a host of its own."""
    whole = WholeSite(folder.root, patch)
    hosts.by_address[address] = whole.host
    inputs = whole.recorded["wgnode:index:Gateway"][1]
    text = (
        whole.export()
        .replace(inputs["connection"]["address"], address)
        .replace('"name": "berlin"', f'"name": "{name}"')
    )
    text = text if name == "berlin" else text.replace(inputs["site"]["id"], "77aabbccddeeff00")
    return [one for one in json.loads(text)["deployment"]["resources"] if "id" in one]


def test_each_gateway_of_a_state_is_a_site_with_what_is_recorded_of_it(shop: Folder) -> None:
    berlin, paris = sites.know(shop.root, ["prod"])
    assert [one.key for one in (berlin, paris)] == [("prod", "berlin"), ("prod", "paris")]
    assert isinstance(berlin.site, sites.SiteStack)
    assert isinstance(paris.site, sites.SiteStack)
    assert isinstance(paris.site.connection, Connection)
    assert (berlin.site.connection.address, paris.site.connection.address) == ("198.51.100.2", "198.51.100.3")
    assert isinstance(berlin.recorded, tuple)
    assert isinstance(paris.recorded, tuple)
    for one in (berlin.recorded, paris.recorded):
        assert [part.part for part in one] == ["host", "firewall", "image", "gateway"]
    assert berlin.recorded[0].id != paris.recorded[0].id


def test_a_stack_without_sites_is_told_where_it_was_named_and_passed_over_else(shop: Folder) -> None:
    assert [one.key for one in sites.know(shop.root, ["dns", "prod"], named=False)] == [
        ("prod", "berlin"),
        ("prod", "paris"),
    ]
    (only,) = sites.know(shop.root, ["dns"])
    assert isinstance(only.site, NoSite)
    assert "stack 'dns' has no wgmesh:site" in str(only.site)
    assert str(only.site).endswith("and its state has no gateway")


def test_status_works_on_it(shop: Folder) -> None:
    done = CliRunner().invoke(main, ["status"])
    assert "berlin: running" in done.output
    assert "paris:" in done.output
    assert "dns" not in done.output
