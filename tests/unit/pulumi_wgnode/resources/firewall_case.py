"""The host that the tests of its firewall are about: a fake whose nft understands the scripts that our rules make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from pulumi_wgnode.hosts import owners, undo
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.unit.pulumi_wgnode.fake_host import FakeHost
from tests.unit.pulumi_wgnode.keys import KEY, PIN
from wgnode.firewall import nft
from wgnode.firewall.expressions import NamedSet
from wgnode.firewall.rules import Chain

RECORD = owners.path_of("3fa9c1d2e4b50607")
NEWS: dict[str, Any] = {
    "site": {"id": "3fa9c1d2e4b50607", "mesh": "dev", "name": "berlin"},
    "connection": {"address": "198.51.100.2", "hostKeys": [PIN], "privateKey": KEY},
    "uplink": "wan0",
    "managementNetworks": ["192.0.2.0/24"],
}


def understands_scripts(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also, an undo is not waited for."""
    render = nft.script

    def remember(chains: Iterable[Chain], table: str = "wgnode", sets: Sequence[NamedSet] = ()) -> str:
        chains = tuple(chains)
        text = render(chains, table, sets)
        host.rulesets[text], host.named[text] = chains, tuple(sets)
        return text

    monkeypatch.setattr(nft, "script", remember)
    monkeypatch.setattr(undo, "RETRY", 0)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    made = FakeHost()
    understands_scripts(made, monkeypatch)
    return made


@pytest.fixture
def kind(host: FakeHost) -> NatFirewall:
    return NatFirewall(connect=lambda _: host, reconnect=lambda _: host.new_connection())


def created(kind: NatFirewall, **changes: Any) -> tuple[dict[str, Any], str, dict[str, Any]]:
    inputs = kind.check({**NEWS, **changes}, {})
    id, state = kind.create("fw", inputs, False)
    return inputs, id, state
