"""`pulumi import`: what is on a host comes into a stack that never had it, as the stack that made it has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode import contracts
from pulumi_wgnode.call.kind import Imported
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError, NotPinned
from pulumi_wgnode.resources.importing import Importable
from tests.unit.pulumi_wgnode.keys import KEY, PIN, UNSHOWN
from tests.unit.pulumi_wgnode.resources.gateway_case import NEWS
from tests.unit.pulumi_wgnode.resources.whole_site import WholeSite

SITE = NEWS["site"]
PLACE = "ops@198.51.100.2"
KINDS = ("HypervisorHost", "NatFirewall", "ApplianceImage", "Gateway")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        made = WholeSite(tmp_path_factory.mktemp("whole"), patch)
        for name in KINDS:
            token = f"wgnode:index:{name}"
            made.kinds[token] = Importable(made.kinds[token]._kind, contracts.ALL[token], made._connect)
            made.kinds[token].update(*updated(made, name))
        yield made


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "known"
    file.write_text(f"198.51.100.2 {PIN}\n")
    monkeypatch.setenv("WGNODE_SSH_KNOWN_HOSTS", str(file))


def inputs_of(whole: WholeSite, name: str) -> dict[str, Any]:
    token = f"wgnode:index:{name}"
    named = contracts.ALL[token].inputs.wire_names()
    given = {key: value for key, value in whole.recorded[token][1].items() if key in named and key != "source"}
    return {**given, "neededBy": SITE} if name == "ApplianceImage" else given


def updated(whole: WholeSite, name: str) -> tuple[str, dict[str, Any], dict[str, Any], bool]:
    id, _, state = whole.recorded[f"wgnode:index:{name}"]
    return id, state, inputs_of(whole, name), False


def imported(whole: WholeSite, name: str, id: str = PLACE) -> Imported:
    found = whole.kinds[f"wgnode:index:{name}"].read(id, {}, {})
    assert isinstance(found, Imported)
    return found


@pytest.mark.parametrize("site", ["", f"/{SITE['name']}", f"/{SITE['id']}"])
@pytest.mark.parametrize("name", KINDS)
def test_what_is_imported_is_what_was_deployed_but_for_the_way_in(whole: WholeSite, name: str, site: str) -> None:
    id, _, state = whole.recorded[f"wgnode:index:{name}"]
    found, inputs = imported(whole, name, PLACE + site), inputs_of(whole, name)
    connection = {"address": "198.51.100.2", "user": "ops", "hostKeys": [PIN]}
    assert found.id == id
    assert found.inputs == {**inputs, "connection": connection}
    assert found.state.get("claim") == state.get("claim")
    kind = whole.kinds[f"wgnode:index:{name}"]
    assert kind.diff(found.state, found.inputs, kind.check(found.inputs, found.inputs)).changes == ()


def test_what_the_host_keeps_of_inputs_has_no_secret_and_is_root_s_alone(whole: WholeSite) -> None:
    kept = {path: file for path, file in whole.host.files.items() if f"/{SITE['id']}." in path}
    assert {path.rsplit(".", 1)[1] for path in kept} == {"json", "host", "firewall", "image", "gateway"}
    for path, file in kept.items():
        assert UNSHOWN not in str(file)
        assert KEY not in str(file)
        assert "connection" not in str(file)
        assert path.endswith(".json") or file[1] == 0o600


@pytest.mark.parametrize(
    ("id", "says"),
    [
        ("0123456789abcdef@", "its id says where the resource is"),
        ("ops@198.51.100.2/a/b", "such as root@203.0.113.2/berlin"),
        (f"{PLACE}/nowhere", "has 0 gateways of site 'nowhere'.*there are site"),
    ],
)
def test_an_id_that_leads_nowhere_says_what_one_is(whole: WholeSite, id: str, says: str) -> None:
    with pytest.raises(ExplainedError, match=says):
        imported(whole, "Gateway", id)


def test_a_host_that_no_file_knows_is_not_connected_to(whole: WholeSite) -> None:
    with pytest.raises(NotPinned, match=r"has no key of it"):
        imported(whole, "Gateway", "ops@198.51.100.3")


def test_a_resource_of_a_version_that_kept_no_inputs_is_told_as_such(whole: WholeSite) -> None:
    path = f"/etc/wgnode/owners/{SITE['id']}.firewall"
    kept = whole.host.files.pop(path)
    try:
        with pytest.raises(HostError, match="Declare it without importing it"):
            imported(whole, "NatFirewall")
    finally:
        whole.host.files[path] = kept
