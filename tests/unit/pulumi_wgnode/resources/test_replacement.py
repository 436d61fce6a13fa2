"""A preview of a replacement: what its deletion would refuse is told; what will have gone by then is not in the way."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import HostError, HostKeyMismatch, HostUnreachable
from pulumi_wgnode.hosts.owners import Owner, Record
from pulumi_wgnode.resources import ownership
from pulumi_wgnode.resources.appliance_image import ApplianceImage
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.fake_host import FakeHost
from tests.unit.pulumi_wgnode.resources import gateway_case
from tests.unit.pulumi_wgnode.resources.gateway_host import GatewayHost
from tests.unit.pulumi_wgnode.resources.hypervisor_case import FakeHypervisor
from tests.unit.pulumi_wgnode.resources.test_foresee import CONNECTION, FIREWALL, HOST, SITE, one, preview, warnings
from wgnode.firewall import nft
from wgnode.image import paths


@pytest.fixture
def told():
    """(text, severity) of what a preview says."""
    lines = []
    log.send_to(lambda text, severity: lines.append((text, severity)))
    yield lines
    log.send_to(None)


OTHER = {**SITE, "id": "77ac01d2e4b50607"}


def replaced(kind, host, news, run_by=None):
    """A deployed resource as the engine previews its replacement by that of another site: its diff, then a creation."""
    bare = kind(connect=lambda _: host)
    inputs = bare.check(news, {})
    id, state = bare.create("it", inputs, False)
    if run_by:
        host.units[run_by] = ["active", "enabled"]
    host.events.clear()
    whole = OnHost(bare, lambda _: host)
    other = whole.check({**news, "site": OTHER}, inputs)
    (change,) = [one for one in whole.diff(state, inputs, other).changes if one.replace]
    assert change.path == "site.id"
    whole.foresee(other, None)
    assert host.events == []
    return whole, id, state


@pytest.fixture(autouse=True)
def new_run(monkeypatch):
    """The memory of what leaves is the process's."""
    monkeypatch.setattr(ownership, "_leaving", set())


def hypervisor(connect):
    return HypervisorHost(connect, lambda to: connect(to).new_connection())


@pytest.mark.parametrize("instance", ["", SITE["id"][:8]])
def test_a_replacement_of_the_host_under_a_gateway_that_runs_is_told_as_refused(told, instance):
    """Also of a further gateway, whose unit has another name."""
    host = FakeHypervisor()
    if instance:
        first = Record(Owner("0b1c2d3e4f506172", "corp", "office"), "1")
        host.files[first.path] = (first.to_json().encode(), 0o644, "root")
    unit = paths.Paths(instance).gateway_unit
    kind, id, state = replaced(hypervisor, host, HOST, run_by=unit)
    assert state["instance"] == instance
    assert one(told).startswith("`pulumi up` would be refused: host root@fake: the site's gateway still runs on it")
    with pytest.raises(HostError, match="`pulumi destroy` the gateway first, or the whole stack"):
        kind.delete(id, state)
    assert host.events == [], "and it is"


def test_a_replacement_that_nothing_stands_in_the_way_of_is_not_told_as_refused(told):
    """Its own record is that of another site of the same mesh, but is gone by the time of the creation."""
    host = FakeHypervisor()
    kind, id, state = replaced(hypervisor, host, HOST)
    assert warnings(told) == []
    kind.delete(id, state)
    kind.create("it", kind.check({**HOST, "site": OTHER}, {}), False)


def test_another_site_of_the_mesh_that_stays_is_told_all_the_same(told):
    host = FakeHypervisor()
    stays = Record(Owner("88ac01d2e4b50607", "demo", "farm"), "1", "88ac01d2", listen_port=1)
    replaced(hypervisor, host, HOST)
    host.files[stays.path] = (stays.to_json().encode(), 0o644, "root")
    preview(HypervisorHost, host, {**HOST, "site": OTHER})
    assert "it is the host of site 'farm' of mesh 'demo'" in one(told)


def test_no_other_kind_s_replacement_is_refused(told, monkeypatch):
    monkeypatch.setattr(undo, "RETRY", 0)
    host, render = FakeHost(), nft.script

    def remember(chains, table, sets):
        host.rulesets[render(chains, table, sets)] = tuple(chains)
        return render(chains, table, sets)

    monkeypatch.setattr(nft, "script", remember)
    replaced(lambda connect: NatFirewall(connect, lambda to: connect(to).new_connection()), host, FIREWALL)
    guest = GatewayHost()
    replaced(Gateway, guest, gateway_case.NEWS)
    refused = [text for text in warnings(told) if "would be refused" in text]
    assert refused == []
    assert not hasattr(ApplianceImage, "require_replaceable")
    assert not ApplianceImage().diff(*image_inputs()).delete_before_replace, "the gateway moves over in between"


def image_inputs():
    """State, old inputs and new ones of an image that is to be another."""
    before = {"connection": CONNECTION, "sha256": "ab" * 32}
    state = {**before, "wanted": {}, "files": {}, "directories": {paths.image_directory("ab" * 32): "0755 root:root"}}
    return state, before, {**before, "sha256": "cd" * 32}


@pytest.mark.parametrize("error", [HostUnreachable("away"), HostKeyMismatch("another key")])
def test_a_replacement_on_a_host_that_nobody_gets_into_is_not_judged_and_no_error(told, error):
    """The read before it has told that."""
    host = FakeHypervisor()
    bare = hypervisor(lambda _: host)
    inputs = bare.check(HOST, {})
    _, state = bare.create("it", inputs, False)

    def away(_):
        raise error

    whole = OnHost(hypervisor(away), away)
    assert [one.path for one in whole.diff(state, inputs, {**inputs, "site": OTHER}).changes if one.replace]
    assert warnings(told) == []
