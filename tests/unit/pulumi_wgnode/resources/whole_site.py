"""A fake host with all of a site on it, deployed by its resources, and what a stack's state records of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.call.kind import Kind
from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.resources import gateway_change
from pulumi_wgnode.resources.appliance_image import ApplianceImage
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.resources import firewall_case, gateway_case, hypervisor_case
from tests.unit.pulumi_wgnode.resources.firewall_case import understands_scripts
from tests.unit.pulumi_wgnode.resources.gateway_host import Clock, GatewayHost
from wgnode.image.archive import Members, write_archive

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


class SiteHost(hypervisor_case.FakeHypervisor, GatewayHost):
    """Links, a firewall, and a gateway whose peers have just been heard."""

    def _change(self, verb: str, unit: str) -> None:
        super()._change(verb, unit)
        if verb == "start":
            self.states[unit][0] = "active"

    def _node(self) -> dict[str, Any]:
        node = super()._node()
        return {**node, "peers": [{**peer, "last_handshake": time.time() - 5} for peer in node["peers"]]}


class WholeSite:
    """`kinds` as the provider has them, and by token `recorded`: id, inputs and outputs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gateway_change, "time", Clock())
        self.host = SiteHost()
        understands_scripts(self.host, monkeypatch)
        image, sha256 = folder / "image.tar", ""
        sha256 = write_archive(image, Members(b"kernel", b"initramfs", {"format": 1, "version": "1", "extension": ""}))
        self.kinds: dict[str, Kind] = {}
        self.recorded: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {}
        shared = {"site": gateway_case.NEWS["site"], "connection": gateway_case.NEWS["connection"]}
        connect = {"connect": self._connect, "reconnect": lambda _: self.host.new_connection()}
        self._deploy(HypervisorHost(**connect), {**hypervisor_case.NEWS, **shared})
        self._deploy(NatFirewall(**connect), {**firewall_case.NEWS, **shared})
        given = {"connection": shared["connection"], "source": str(image), "sha256": sha256}
        self._deploy(ApplianceImage(connect=self._connect), given)
        directory = self.recorded["wgnode:index:ApplianceImage"][2]["directory"]
        lies = {"directory": directory, "sha256": sha256}
        self._deploy(Gateway(connect=self._connect), {**gateway_case.NEWS, "image": lies})

    def _connect(self, _: Connection) -> SiteHost:
        self.host._reach()
        return self.host

    def _deploy(self, kind: Any, news: dict[str, Any]) -> None:
        token = f"wgnode:index:{type(kind).__name__}"
        inputs = kind.check(news, {})
        id, outputs = kind.create("x", inputs, False)
        self.kinds[token] = OnHost(kind, self._connect)
        self.recorded[token] = id, inputs, outputs

    def export(self) -> str:
        """As `pulumi stack export --show-secrets` gives it."""
        resources: list[dict[str, Any]] = [{"type": "pulumi:pulumi:Stack", "urn": "urn:…"}]
        for token, (id, inputs, outputs) in reversed(self.recorded.items()):
            known = {**inputs, "connection": _sealed(inputs["connection"])}
            resources.append({"type": token, "id": id, "inputs": known, "outputs": outputs})
        return json.dumps({"version": 3, "deployment": {"resources": resources}})


def _sealed(value: Any) -> dict[str, Any]:
    return {**SECRET, "plaintext": json.dumps(value)}
