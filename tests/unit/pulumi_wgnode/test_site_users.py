"""A site's users, as a program in any language gives them: as a model, as a mapping, and as what comes later."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import Output

from pulumi_wgnode.components import Site
from pulumi_wgnode.components.given import BadArguments, mapping

from .test_compiled import config, mesh, people
from .test_components import Engine, engine, run

__all__ = ["engine", "mesh"]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
    return warnings


def berlin(mesh: dict[str, Any], given: Any, root: Path) -> None:
    run(lambda: Site("berlin", given, topology=mesh["topology"], bundle=mesh["bundles"]["berlin"], root=root))


def devices(engine: Engine) -> dict[str, Any]:
    found: dict[str, Any] = engine.inputs("Gateway")["config"]["devices"]
    return found


@pytest.mark.parametrize("way", ["model", "mapping", "later", "secret later", "pool later", "groups later"])
def test_they_become_devices_of_the_gateway_however_they_are_given(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, told: list[str], way: str
) -> None:
    given: Any = config(tmp_path, "berlin", **people())
    if way != "model":
        given = {**mapping(given), "gateway": {"image": "image.tar"}}
    if way.endswith("later"):
        secret = Output.secret(given["deviceSecret"])
        later = {"users": Output.from_input(given["users"]), "deviceSecret": secret}
        alone = way.removesuffix("later").strip()
        given |= {"": later, "secret": {"deviceSecret": secret}}.get(alone) or {alone: Output.from_input(given[alone])}
    berlin(mesh, given, tmp_path)
    assert devices(engine) == {
        "alice/phone": {
            "publicKeys": [people()["users"]["alice"]["devices"]["phone"]["publicKey"]],
            "allowedIPs": ["10.1.0.130/32"],
            "persistentKeepalive": 0,
            "expires": 1801353600,
            "access": 1,
        }
    }
    assert told == []


@pytest.mark.parametrize("way", ["model", "pool later"])
def test_who_leaves_is_told_to_the_host_and_its_firewall(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, way: str
) -> None:
    users = copy.deepcopy(people()["users"])
    users["alice"]["devices"]["phone"]["egressAddresses"] = ["203.0.113.33"]
    more = {"egressPool": {"v4": "203.0.113.32/28"}, "groups": {"staff": {"reach": "all", "egress": "pool"}}}
    given: Any = config(tmp_path, "berlin", **people(users=users, **more))
    if way == "pool later":
        later = {"egressPool": Output.from_input(more["egressPool"])}
        given = {**mapping(given), "gateway": {"image": "image.tar"}, **later}
    berlin(mesh, given, tmp_path)
    phone = {"addresses": ["10.1.0.130"], "public": ["203.0.113.33"], "open": False}
    assert engine.inputs("NatFirewall")["egress"] == {"lan": "br0", "devices": {"alice/phone": phone}}
    networks = engine.inputs("HypervisorHost")["networks"]
    assert networks["egress"] == {"public": ["203.0.113.33"], "routed": False}
    rules = engine.inputs("Gateway")["config"]["policy"]["classes"][1]["outgoing"]
    assert [rule["internet"] for rule in rules] == [True], "the data plane lets it out as well"


def test_who_does_not_leave_has_none_of_it(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    berlin(mesh, config(tmp_path, "berlin", **people()), tmp_path)
    assert engine.inputs("NatFirewall").get("egress") is None
    assert engine.inputs("HypervisorHost")["networks"].get("egress") is None


def test_who_gets_nothing_is_told_by_name(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path, told: list[str]
) -> None:
    users = copy.deepcopy(people()["users"])
    users["alice"] = {**users["alice"], "groups": [], "expires": "2020-01-01"}
    berlin(mesh, config(tmp_path, "berlin", **people(users=users)), tmp_path)
    assert "devices" not in engine.inputs("Gateway")["config"]
    assert ["is in no group" in told[0], "has expired (2020-01-01)" in told[1]] == [True, True]


def test_what_comes_later_is_judged_when_it_is_there(engine: Engine, mesh: dict[str, Any], tmp_path: Path) -> None:
    given = {**mapping(config(tmp_path, "berlin", **people())), "gateway": {"image": "image.tar"}}
    users = copy.deepcopy(given["users"])
    users["alice"]["devices"]["phone"]["publicKey"] = "x"
    with pytest.raises(BadArguments, match=r"site 'berlin': users\.alice\.devices\.phone\.publicKey: 'x' is no"):
        berlin(mesh, {**given, "users": Output.from_input(users)}, tmp_path)


def test_a_mapping_whose_users_do_not_fit_registers_nothing(
    engine: Engine, mesh: dict[str, Any], tmp_path: Path
) -> None:
    given = {**mapping(config(tmp_path, "berlin", **people())), "gateway": {"image": "image.tar"}}
    given["groups"] = {}
    with pytest.raises(BadArguments, match=r"users\.alice\.groups\[0\] user 'alice': there is no group 'staff'"):
        berlin(mesh, given, tmp_path)
    assert engine.registered == []
