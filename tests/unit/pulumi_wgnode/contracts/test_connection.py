"""What the parts of a connection say together is judged by the provider, so that a program in any language is told."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.provider import construct, registry
from tests.unit.pulumi_wgnode import whole_inputs
from tests.unit.pulumi_wgnode.keys import KEY, PIN

HERE = {"address": "192.0.2.1", "hostKeys": [PIN]}
ON_HOSTS = [token for token in registry.MODULES if not token.endswith(":MeshTopology")]
BAD = [
    ({**HERE, "privateKey": KEY, "agent": True}, "agent", "is true beside a privateKey; keep one of them"),
    ({**HERE, "passphrase": "secret"}, "privateKey", "is missing: `passphrase` is of no key"),
    ({**HERE, "jumpHosts": [{**HERE, "passphrase": "secret"}]}, "jumpHosts[0].privateKey", "is missing"),
    ({**HERE, "jumpHosts": [{**HERE, "privateKey": KEY, "agent": True}]}, "jumpHosts[0].agent", "is true beside"),
]


def refused(token: str, connection: dict[str, Any]) -> list[tuple[str, str]]:
    news = whole_inputs.ALL[token.rsplit(":", 1)[1]]
    try:
        registry.kind(token).check({**news, "connection": connection}, {})
    except CheckError as error:
        return error.failures
    return []


@pytest.mark.parametrize("token", ON_HOSTS)
@pytest.mark.parametrize(("connection", "path", "said"), BAD)
def test_it_is_a_failure_of_every_resource_on_a_host_at_its_path(
    token: str, connection: dict[str, Any], path: str, said: str
) -> None:
    ((where, why),) = refused(token, connection)
    assert where == f"connection.{path}"
    assert why.startswith(said)
    assert "secret" not in why


@pytest.mark.parametrize(("connection", "path", "said"), BAD)
def test_so_it_is_of_a_component(connection: dict[str, Any], path: str, said: str) -> None:
    ((where, why),) = construct.failures("wgnode:index:Site", {**whole_inputs.ALL["Site"], "host": connection})
    assert where == f"host.{path}"
    assert why.startswith(said)


@pytest.mark.parametrize(
    "connection",
    [
        {**HERE, "privateKey": KEY, "passphrase": UNKNOWN},
        {**HERE, "privateKey": UNKNOWN, "agent": True},
        {**HERE, "privateKey": UNKNOWN, "passphrase": "secret"},
        {**HERE, "privateKey": KEY, "agent": False},
        {**HERE, "agent": True},
    ],
)
def test_what_may_be_in_order_is_no_failure(connection: dict[str, Any]) -> None:
    assert refused("wgnode:index:Gateway", connection) == []
