"""Secrets among inputs are marked by the provider, at every depth: a program in YAML or Go need not know of them."""

from __future__ import annotations

from typing import Any

from pulumi_wgnode import contracts
from pulumi_wgnode.call.kind import UNKNOWN, Secret

GATEWAY = contracts.ALL["wgnode:index:Gateway"]


def test_a_connection_s_secrets_are_marked_wherever_they_are_and_nothing_else_is() -> None:
    jump: dict[str, Any] = {"address": "192.0.2.1", "privateKey": "k1", "passphrase": "p1"}
    connection = {"address": "192.0.2.2", "privateKey": "k2", "passphrase": UNKNOWN, "jumpHosts": [jump]}
    sealed = GATEWAY.sealed({"connection": connection, "secrets": "s", "instance": "", "newer": {"privateKey": 1}})
    assert sealed == {
        "connection": {
            "address": "192.0.2.2",
            "privateKey": Secret("k2"),
            "passphrase": UNKNOWN,
            "jumpHosts": [{"address": "192.0.2.1", "privateKey": Secret("k1"), "passphrase": Secret("p1")}],
        },
        "secrets": Secret("s"),
        "instance": "",
        "newer": {"privateKey": 1},
    }


def test_what_is_unknown_as_a_whole_stays_so() -> None:
    assert GATEWAY.sealed({"connection": UNKNOWN}) == {"connection": UNKNOWN}
