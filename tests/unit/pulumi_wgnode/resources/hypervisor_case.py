"""The host that the tests of its resource are about, and what they do with it again and again."""

from __future__ import annotations

from typing import ClassVar

import pytest

from pulumi_wgnode.hosts import owners, undo
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from tests.unit.pulumi_wgnode.fake_host import FakeHost, link
from tests.unit.pulumi_wgnode.keys import KEY, PIN

TRANSIT = ("172.31.255.253/30", "fd77:676e:6f64:6500::1/126")
RECORD = owners.path_of("3fa9c1d2e4b50607")
NEWS = {
    "site": {"id": "3fa9c1d2e4b50607", "mesh": "dev", "name": "berlin"},
    "connection": {"address": "198.51.100.2", "hostKeys": [PIN], "privateKey": KEY},
    "networks": {
        "uplink": "wan0",
        "lanInterface": "lan0",
        "routes": [{"to": "10.2.0.0/24", "via": "10.1.0.2"}],
    },
}


class FakeHypervisor(FakeHost):
    """Its `systemd-run` of network.sh brings up what a host with that script would have."""

    transit = TRANSIT
    routes_up: ClassVar[dict[str, str]] = {"10.2.0.0/24": "via 10.1.0.2"}

    def _systemd_run(self, argv, input):
        if argv[3] == "--unit=wgnode-network-change":
            self.bring_up()
        return super()._systemd_run(argv, input)

    def bring_up(self):
        user = {"type": "tap", "group": "wgnode-qemu"}
        self.links["wgnode-wan"] = link("wgnode-wan", *self.transit, kind="tun", **user)
        if self.links["lan0"].get("linkinfo"):
            self.links["wgnode-lan"] = link("wgnode-lan", kind="tun", master="lan0", **user)
        else:
            self.links["wgnode-lan"] = link("wgnode-lan", kind="tun", master="wgnode-br0", **user)
            self.links["wgnode-br0"] = link("wgnode-br0", "10.1.0.1/24", kind="bridge")
            self.links["lan0"] = link("lan0", master="wgnode-br0")
        self.routes = dict(self.routes_up)


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(undo, "RETRY", 0)
    return FakeHypervisor()


@pytest.fixture
def kind(host):
    return HypervisorHost(connect=lambda _: host, reconnect=lambda _: host.new_connection())


def created(kind, **changes):
    inputs = kind.check({**NEWS, **changes}, {})
    id, state = kind.create("host", inputs, False)
    return inputs, id, state


def paths(kind, state, inputs):
    return {change.path for change in kind.diff(state, inputs, inputs).changes}
