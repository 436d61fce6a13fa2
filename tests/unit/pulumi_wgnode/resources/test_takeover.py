"""A site that version 0.1 deployed, before there were owner records, is taken over by the first `up`.

cases/site-before-owners.json has what that version recorded and wrote: inputs, state and files of each resource, made
by its own code on the fake hosts of these tests (a host's name, keys and image are invented).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pulumi_wgnode.call.kind import Imported
from pulumi_wgnode.hosts import owners, undo
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.gateway_state import desired
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.fake_host import FakeHost
from tests.unit.pulumi_wgnode.resources import firewall_case, gateway_case, hypervisor_case
from tests.unit.pulumi_wgnode.resources.gateway_host import GatewayHost
from wgnode.firewall import nft
from wgnode.image import paths

CASE = json.loads(Path(__file__).with_name("cases").joinpath("site-before-owners.json").read_text())
UNITS = (paths.PLAIN.hostd_unit, paths.PLAIN.gateway_unit)


def with_files(host, kind):
    host.files = {
        path: (base64.b64decode(data), mode, owner) for path, (data, mode, owner) in CASE[kind]["files"].items()
    }
    return host


def hypervisor(monkeypatch):
    """Its host as that version left it: by the same steps as today, but for the files."""
    host = hypervisor_case.FakeHypervisor()
    kind = HypervisorHost(connect=lambda _: host, reconnect=lambda _: host.new_connection())
    kind.create("host", kind.check(hypervisor_case.NEWS, {}), False)
    host.directories.pop(owners.DIRECTORY)
    return with_files(host, "HypervisorHost"), kind, hypervisor_case.NEWS


def firewalled(monkeypatch):
    host, render = FakeHost(), nft.script

    def remember(chains, table="wgnode", sets=()):
        chains = tuple(chains)
        host.rulesets[render(chains, table, sets)] = chains
        return render(chains, table, sets)

    monkeypatch.setattr(nft, "script", remember)
    kind = NatFirewall(connect=lambda _: host, reconnect=lambda _: host.new_connection())
    kind.create("fw", kind.check(firewall_case.NEWS, {}), False)
    return with_files(host, "NatFirewall"), kind, firewall_case.NEWS


def running(monkeypatch):
    """By a unit that lacks only the firmware's name: QEMU's own user and words for the guest's kernel came later as
    well, and ask for a new guest."""
    host = with_files(GatewayHost(), "Gateway")
    kind = Gateway(connect=lambda _: host)
    unit = desired(kind.check(gateway_case.NEWS, {})).files["gatewayUnit"]
    host.files[unit.path] = (unit.data.replace(b" -bios qboot.rom", b""), unit.mode, unit.owner)
    host.directories = dict.fromkeys((paths.PLAIN.gateway, paths.PLAIN.hostd_directory), "0755 root:root")
    for unit in UNITS:
        host.states[unit] = ["inactive", "enabled"]
        host._change("restart", unit)
    return host, kind, gateway_case.NEWS


@pytest.mark.parametrize(
    ("name", "place", "changes"),
    [
        (
            "HypervisorHost",
            hypervisor,
            {
                owners.DIRECTORY,
                paths.PLAIN.network_script,
                "/etc/wgnode/found.json",
                f"/etc/systemd/system/{paths.PLAIN.network_unit}",
            },
        ),
        ("NatFirewall", firewalled, {paths.PLAIN.firewall_file}),
        ("Gateway", running, {f"/etc/systemd/system/{unit}" for unit in UNITS}),
    ],
)
def test_a_resource_of_that_version_is_taken_over_in_place(name, place, changes, monkeypatch):
    monkeypatch.setattr(undo, "RETRY", 0)
    host, bare, news = place(monkeypatch)
    kind, old = OnHost(bare, lambda _: host), CASE[name]
    host.events.clear()
    state, real = kind.read(old["id"], old["state"], old["inputs"])
    inputs = kind.check(news, real)
    planned = kind.diff(state, real, inputs)
    assert not [change for change in planned.changes if change.replace]
    assert host.events == [], "a preview changes nothing"
    now = kind.update(old["id"], state, inputs, False)
    record = owners.path_of(news["site"]["id"])
    written = [event.split()[1] for event in host.events if event.startswith(("write", "make"))]
    assert written[0] == record, "first"
    assert {path for path in written[1:] if not path.endswith(".pyz")} == changes
    assert "restart wgnode-gateway.service" not in host.events
    ended = [event for event in host.events if event.startswith(("run", "delete", "remove", "install"))]
    assert not [event for event in ended if not event.endswith(".pyz")]
    found = kind.read(old["id"], now, inputs)
    assert isinstance(found, Imported), "the id that it had then"
    assert found.id == news["site"]["id"]
    assert kind.diff(found.state, found.inputs, inputs).changes == ()
