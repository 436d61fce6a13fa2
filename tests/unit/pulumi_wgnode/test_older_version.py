"""Going back to an older version: whatever a newer one wrote is refused by its number, with the way out, and stays."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode import recovery, seal
from pulumi_wgnode.call import log
from pulumi_wgnode.call.kind import Imported, Partial
from pulumi_wgnode.components.compiled import SiteError, compile_gateway
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.provider import registry
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from pulumi_wgnode.resources.versioned import MARK, Versioned, of_connection, of_gateway
from tests.unit.pulumi_wgnode.resources import gateway_case
from tests.unit.pulumi_wgnode.resources.gateway_host import GatewayHost
from tests.unit.pulumi_wgnode.resources.hypervisor_case import NEWS, FakeHypervisor
from tests.unit.pulumi_wgnode.test_compiled import config
from tests.unit.pulumi_wgnode.test_mesh_topology import mesh, over_the_wire
from tests.unit.pulumi_wgnode.test_recovery import recovery_of
from wgnode import formats, recipient
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import NewerTopology, Topology, TopologyError

KIND = MeshTopology()
NEWER = r"changed nothing\. Go on with that version or a later one.*docs/how-to/older-version\.md"


def test_a_greater_number_is_refused_and_no_other() -> None:
    for known in (1, 2, 2.0):
        assert formats.newer("it", known, 2) is None
    for other in (None, True, "3", [3]):
        assert formats.newer("it", other, 0) is None, "damaged rather than newer"
    assert "it has format 3, of wgnode 0.9.0; this version reads up to 2" in (formats.newer("it", 3, 2, "0.9.0") or "")
    for by in (None, 9, "\x1b[2J", "x" * 99):
        assert "of a newer version of wgnode;" in (formats.newer("it", 3.0, 2, by) or ""), "a host said it"
    assert (Path(__file__).parents[3] / formats.WAY_OUT).is_file()


# State of any resource


class Plain:
    """A kind that keeps nothing but its inputs, and must never see a mark."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def foresee(self) -> str:
        return "foreseen"

    def diff(self, state: Any, old: Any, news: Any) -> str:
        self.seen.append(state)
        return "diff"

    def create(self, name: str, inputs: Any, preview: bool) -> tuple[str, Any]:
        return "id", inputs

    def read(self, id: str, state: Any, inputs: Any) -> Any:
        self.seen.append(state)
        return Imported("own", state, inputs) if id == "elsewhere" else (state, inputs)

    def update(self, id: str, state: Any, inputs: Any, preview: bool) -> Any:
        self.seen.append(state)
        if inputs.get("fails"):
            raise Partial(id, {"half": True}, inputs, "broke")
        return inputs

    def delete(self, id: str, state: Any) -> None:
        self.seen.append(state)


def calls(kind: Any, state: Any) -> list[Any]:
    return [
        lambda: kind.diff(state, {}, {}),
        lambda: kind.read("id", state, {}),
        lambda: kind.update("id", state, {}, False),
        lambda: kind.update("id", state, {}, True),
        lambda: kind.delete("id", state),
    ]


def test_a_state_of_a_newer_version_is_neither_read_nor_compared_nor_changed_nor_deleted() -> None:
    """`newer` is that version as it will be; the state that it leaves is given to this one."""
    inner = Plain()
    newer, ours = Versioned(inner, known=2), Versioned(inner)  # type: ignore[arg-type]
    _, state = newer.create("name", {"a": 1}, False)
    for call in calls(newer, state):
        call()
    assert inner.seen == [{"a": 1}] * 5
    for call in calls(ours, {**state, MARK: {"format": 2, "by": "0.9.0"}}):
        with pytest.raises(ExplainedError, match=r"this resource has format 2, of wgnode 0\.9\.0.*" + NEWER):
            call()
    assert len(inner.seen) == 5, "it was not even asked"


def test_what_is_written_is_marked_and_what_is_read_keeps_its_mark_until_it_is_in_our_format() -> None:
    older, ours = Versioned(Plain()), Versioned(Plain(), known=2)  # type: ignore[arg-type]
    assert ours.foresee() == "foreseen"
    _, old = older.create("name", {"a": 1}, False)
    assert older.read("id", old, {}) == (old, {})
    assert older.read("id", {"a": 1}, {}) == ({"a": 1}, {}), "of a version without marks: nothing is new in it"
    assert ours.read("id", old, {})[0][MARK]["format"] == 2  # type: ignore[index]
    assert ours.read("elsewhere", {}, {}).state[MARK]["format"] == 2  # type: ignore[union-attr]
    assert ours.update("id", old, {"b": 2}, False)[MARK]["format"] == 2
    with pytest.raises(Partial) as half:
        ours.update("id", old, {"fails": True}, False)
    assert half.value.state == {"half": True, MARK: ours.create("name", {}, False)[1][MARK]}


PLAIN = {"address": "192.0.2.1", "port": 22, "user": "root", "hostKeys": ["k"], "privateKey": "p", "agent": False}


@pytest.mark.parametrize(
    ("connection", "format"),
    [
        (PLAIN, 1),
        ({"address": "192.0.2.1", "hostKeys": ["k"], "jumpHosts": []}, 1),
        ({**PLAIN, "jumpHosts": [{"address": "192.0.2.2"}]}, 2),
        ({"sshHost": "berlin"}, 2),
        ({"address": "192.0.2.1", "hostAuthorities": ["a"]}, 2),
        ({**PLAIN, "certificate": "c"}, 2),
        ({**PLAIN, "passphrase": "p"}, 2),
    ],
)
def test_a_host_reached_in_a_new_way_is_of_the_format_that_versions_before_refuse(
    connection: dict[str, Any], format: int
) -> None:
    kind = Versioned(Plain(), 2, of_connection)  # type: ignore[arg-type]
    assert kind.create("name", {"connection": connection}, False)[1][MARK]["format"] == format


def test_a_gateway_with_devices_is_of_a_format_that_versions_without_users_refuse() -> None:
    kind = Versioned(Plain(), 3, of_gateway)  # type: ignore[arg-type]
    for node, format in ({}, 2), ({"devices": {}}, 2), ({"devices": {"ada/phone": {}}}, 3):
        assert kind.create("name", {"config": node}, False)[1][MARK]["format"] == format


def test_that_a_format_will_grow_is_told_once_by_whoever_sees_it_first() -> None:
    told: list[str] = []
    log.send_to(lambda text, severity: told.append(text))
    kind = Versioned(Plain(), 2, of_connection)  # type: ignore[arg-type]
    new = {"connection": {**PLAIN, "certificate": "c"}}
    _, state = kind.create("name", {"connection": PLAIN}, False)
    assert kind.read("id", state, {}) == (state, {})
    kind.update("id", state, {"connection": {**PLAIN, "port": 2222}}, True)
    assert told == []
    kind.update("id", state, new, True)
    assert len(told) == 1
    assert "has format 1; with the next `pulumi up` it has format 2" in told[0]
    back = kind.update("id", {**new, MARK: {"format": 2, "by": "9"}}, {"connection": PLAIN}, False)
    assert back[MARK]["format"] == 1, "what is not there any more is no reason to refuse it"
    log.send_to(None)


def test_what_is_read_in_a_new_shape_is_marked_so_whether_or_not_it_had_a_mark() -> None:
    kind = Versioned(Plain(), 2)  # type: ignore[arg-type]
    assert kind.read("id", {"config": "text"}, {})[0][MARK]["format"] == 2  # type: ignore[index]


@pytest.mark.parametrize("token", registry.MODULES)
def test_every_kind_refuses_it(token: str) -> None:
    kind = registry.kind(token)
    newer = {MARK: {"format": 9, "by": "0.9.0"}, "connection": {}}
    with pytest.raises(ExplainedError, match=NEWER):
        kind.read("id", newer, {"connection": {}})
    with pytest.raises(ExplainedError, match=NEWER):
        kind.delete("id", newer)


# The mesh


@pytest.fixture
def made() -> dict[str, Any]:
    return over_the_wire(KIND.create("mesh", mesh(), False)[1])


def test_a_mesh_of_a_newer_version_keeps_its_keys(made: dict[str, Any]) -> None:
    newer = copy.deepcopy(made)
    newer["topology"]["format"] += 1
    before = copy.deepcopy(newer)
    for call in (
        lambda: KIND.read("mesh", newer, mesh()),
        lambda: KIND.diff(newer, mesh(), mesh()),
        lambda: KIND.update("mesh", newer, mesh(), True),
        lambda: KIND.update("mesh", newer, mesh(), False),
    ):
        with pytest.raises(ExplainedError, match=r"the mesh's state has format 3.*" + NEWER):
            call()
    assert newer == before


def test_pre_shared_keys_of_an_unknown_label_are_not_left_out(made: dict[str, Any]) -> None:
    """Two sites that have no label in common would talk without a pre-shared key."""
    made["topology"]["sites"]["berlin"]["labels"] = [3, 2]
    with pytest.raises(TopologyError, match=r"labels \[3, 2\]"):
        Topology.from_dict(made["topology"])
    with pytest.raises(ExplainedError, match=r"labels \[3, 2\].*use a later one"):
        KIND.update("mesh", made, mesh(), False)


def newer_bundle(sealed: str) -> str:
    raw = base64.b64decode(sealed)
    return base64.b64encode(bytes([raw[0] + 1]) + raw[1:]).decode()


def test_a_bundle_of_a_newer_version_is_not_sealed_again_in_the_older_format(made: dict[str, Any]) -> None:
    made["bundles"]["cabin"] = newer_bundle(made["bundles"]["cabin"])
    for preview in (True, False):
        with pytest.raises(ExplainedError, match=r"the bundle has format 3.*" + NEWER):
            KIND.update("mesh", made, mesh(), preview)


def test_a_site_says_which_of_the_two_programs_is_too_old(tmp_path: Path) -> None:
    private, public = recipient.generate()
    inputs = mesh()
    inputs["sites"]["cabin"]["recipient"] = public
    outputs = over_the_wire(KIND.create("mesh", inputs, False)[1])
    site = config(tmp_path, recipientKey=private)
    compile_gateway(site, outputs["topology"], outputs["bundles"]["cabin"])
    newer = {**outputs["topology"], "format": 3}
    with pytest.raises(SiteError, match=r"mesh stack 'dev-mesh': the topology has format 3.*" + NEWER):
        compile_gateway(site, newer, outputs["bundles"]["cabin"])
    with pytest.raises(SiteError, match=r"the bundle has format 3.*" + NEWER) as refused:
        compile_gateway(site, outputs["topology"], newer_bundle(outputs["bundles"]["cabin"]))
    assert "recipient" not in str(refused.value), "its key is right"
    with pytest.raises(SiteError, match=r"format 1.*run `pulumi up -s dev-mesh` with this version"):
        compile_gateway(site, {**outputs["topology"], "format": 1}, outputs["bundles"]["cabin"])


def test_what_is_inside_a_bundle_has_a_number_too() -> None:
    bundle = Bundle("dev", "cabin", (bytes(32),), bytes(32), 1, "3fa9c1d2e4b50607")
    newer = bundle.to_json().replace(b'"format":2', b'"format":3')
    with pytest.raises(NewerTopology, match=NEWER):
        Bundle.from_json(newer)
    assert issubclass(seal.NewerBundle, seal.SealError)


def test_a_recovery_file_of_a_newer_version_is_told_with_the_version(made: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "file"
    recovery.write(file, recovery_of(made))
    raw = json.loads(file.read_text())
    raw["recovered"]["format"] += 1
    raw["resources"][-1]["version"] = "0.9.0"
    file.write_text(json.dumps(raw))
    with pytest.raises(ExplainedError, match=r"format 3, of wgnode 0\.9\.0.*" + NEWER):
        recovery.read(f"{recovery.PREFIX}{file}")


# The host


def written_by_newer(host: Any, id: str) -> None:
    path = owners.path_of(id)
    record = json.loads(host.files[path][0]) | {"format": 2, "version": "0.9.0", "instance": {"of": "another kind"}}
    host.files[path] = (json.dumps(record).encode(), 0o644, "root")


def test_a_gateway_with_a_record_of_a_newer_version_stays_as_it_is() -> None:
    """Also where the state was brought back from a backup of before, and has no mark."""
    host = FakeHypervisor()
    kind = HypervisorHost(connect=lambda _: host, reconnect=lambda _: host.new_connection())
    inputs = kind.check(NEWS, {})
    id, state = kind.create("host", inputs, False)
    written_by_newer(host, id)
    before = dict(host.files), set(host.users), dict(host.links)
    for call in (
        lambda: kind.read(id, state, inputs),
        lambda: kind.update(id, state, inputs, False),
        lambda: kind.create("host", inputs, False),
        lambda: list(kind.foresee(host, inputs, state)),
        lambda: kind.delete(id, state),
        lambda: kind.delete(id, {name: value for name, value in state.items() if name != "site"}),
    ):
        with pytest.raises(HostError, match=rf"root@fake: {owners.path_of(id)} has format 2, of wgnode 0\.9\.0.*"):
            call()
    assert (host.files, host.users, host.links) == before
    other = kind.check({**NEWS, "site": {"id": "0b1c2d3e4f506172", "mesh": "corp", "name": "office"}}, {})
    with pytest.raises(HostError, match=r"nobody can tell whose gateway there is: .*" + NEWER):
        kind.create("host", other, False)


def test_a_newer_gateway_is_not_taken_for_the_plain_one_by_who_only_looks() -> None:
    record = owners.Record(owners.Owner("3fa9c1d2e4b50607", "dev", "berlin"), "0.9.0")
    seen = owners.Seen("", (), {record.owner.id: "has format 2"}, frozenset({record.owner.id}))
    with pytest.raises(HostError, match="has format 2"):
        owners.paths_of(seen, "berlin")
    own = owners.Seen("", (record,), {"0b1c2d3e4f506172": "has format 2"}, frozenset({"0b1c2d3e4f506172"}))
    assert owners.chosen(own, "berlin") == record


def test_a_configuration_of_a_newer_version_is_no_drift() -> None:
    host = GatewayHost()
    kind = Gateway(connect=lambda _: host)
    inputs, id, state = gateway_case.created(kind)
    newer = {**inputs, "config": gateway_case.NEWS["config"].replace('"format":1', '"format":2')}
    with pytest.raises(ExplainedError, match=r"the gateway's configuration has format 2.*" + NEWER):
        kind.read(id, state, newer)
    older = {**inputs, "config": "{}"}
    assert kind.read(id, state, older)[0]["files"] == {}  # type: ignore[index]
