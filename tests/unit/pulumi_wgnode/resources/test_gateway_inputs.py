"""What a gateway is asked to be: the files that should be there, and which inputs are taken."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import json
from dataclasses import replace

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.call.log import send_to
from pulumi_wgnode.contracts.node import (
    NodeCarrier,
    NodeConfiguration,
    NodeDevice,
    NodeKeys,
    NodeLink,
    NodePeer,
    config_of,
    described,
    keys_described,
    secrets_of,
)
from pulumi_wgnode.resources.gateway import desired
from tests.unit.pulumi_wgnode.keys import UNSHOWN
from tests.unit.pulumi_wgnode.resources.gateway_case import (
    CONFIG,
    GATEWAY_FILE,
    HOSTD_FILE,
    IMAGE,
    NEWS,
    PEER,
    PRIVATE,
    PUBLIC,
    SECRETS,
    clock,
    created,
    host,
    kind,
)
from wgnode.image import layers, paths
from wgnode.nodeconfig import CarrierConfig, LinkConfig, NodeConfig, NodeSecrets, PeerConfig, expected_live_digest

__all__ = ["clock", "host", "kind"]


# What should be there


def test_the_files_of_a_gateway_and_who_may_read_them(kind):
    files = desired(kind.check(NEWS, {})).files
    modes = {name: (content.path, content.mode, content.owner) for name, content in files.items()}
    hostd = modes.pop("hostd")
    assert modes == {
        "config": ("/var/lib/wgnode/gateway/config.cpio", 0o644, "root"),
        "secrets": ("/var/lib/wgnode/gateway/secrets.cpio", 0o600, "wgnode"),
        "gatewayUnit": (GATEWAY_FILE, 0o644, "root"),
        "hostdUnit": (HOSTD_FILE, 0o644, "root"),
    }
    digest = hashlib.sha256(files["hostd"].data).hexdigest()
    assert hostd == (f"/var/lib/wgnode/hostd/{digest[:16]}.pyz", 0o644, "root")


def test_the_layers_hold_configuration_and_secrets_apart(kind):
    files = desired(kind.check(NEWS, {})).files
    assert layers.config_of(files["config"].data) == CONFIG
    assert SECRETS.to_json() in files["secrets"].data
    private = base64.b64encode(PRIVATE)
    assert [name for name, content in files.items() if private in content.data] == ["secrets"]


def test_the_units_name_image_machine_and_companion(kind):
    inputs = kind.check({**NEWS, "machine": {"memory": 160, "cpus": 2, "accelerator": "kvm"}}, {})
    files = desired(inputs).files
    text = files["gatewayUnit"].data.decode()
    for word in (f"{paths.image_directory(IMAGE)}/vmlinux", "52:54:00:aa:bb:cc", "-m 160", "-smp 2", "-accel kvm"):
        assert word in text
    assert files["hostd"].path in files["hostdUnit"].data.decode()


def test_the_digests_wanted_are_those_that_the_node_computes(kind):
    wanted = desired(kind.check(NEWS, {}))
    assert (wanted.applied, wanted.live) == (CONFIG.digest, expected_live_digest(CONFIG, SECRETS))


def test_other_preshared_keys_are_another_live_digest_of_the_same_configuration(kind):
    other = NodeSecrets((PRIVATE,), {PEER: (PRIVATE,)}).to_json().decode()
    one, two = desired(kind.check(NEWS, {})), desired(kind.check({**NEWS, "secrets": other}, {}))
    assert one.applied == two.applied
    assert one.live != two.live


# Checking


def test_what_is_not_given_gets_its_default(kind):
    inputs = kind.check({**NEWS, "machine": {}}, {})
    assert inputs["machine"] == {"memory": 128, "cpus": 1, "accelerator": "tcg"}


@pytest.mark.parametrize("carried", [True, False])
def test_cards_carry_udp_segmentation_where_the_host_was_found_to(kind, carried):
    inputs = kind.check({**NEWS, "machine": {"udpSegmentation": carried}}, {})
    text = desired(inputs).files["gatewayUnit"].data.decode()
    assert ("host_uso=on" in text) is carried
    assert ("udpSegmentation" in inputs["machine"]) is carried, "as in states of before, where it is not"


def test_a_machine_is_of_its_hosts_processor_which_is_recorded_where_it_is_not_amd64(kind):
    inputs = kind.check({**NEWS, "machine": {"architecture": "arm64"}}, {})
    text = desired(inputs).files["gatewayUnit"].data.decode()
    assert "ExecStart=/usr/bin/qemu-system-aarch64 " in text
    assert "console=ttyAMA0" in text
    assert "TSC" not in text
    assert inputs["machine"]["architecture"] == "arm64"
    assert "architecture" not in kind.check({**NEWS, "machine": {"architecture": "amd64"}}, {})["machine"]
    with pytest.raises(CheckError, match="architecture: backend nanos: its machine"):
        kind.check({**NEWS, "machine": {"architecture": "arm64", "backend": "nanos"}}, {})


NO_KVM = {"usable": False, "reason": "neither kvm_intel nor kvm_amd is loaded"}
KVM = {"usable": True, "reason": "kvm_intel is loaded and a probe guest started"}


def accelerated(kind, asked, kvm, olds=None):
    """The accelerator that is recorded."""
    inputs = kind.check({**NEWS, "machine": {"accelerator": asked, "kvm": kvm}}, olds or {})
    assert set(inputs["machine"]) == {"memory", "cpus", "accelerator"}, "no fact of the host is recorded"
    return inputs["machine"]["accelerator"]


def made_for(which):
    """Inputs as they were recorded of a gateway that runs by that."""
    return {**NEWS, "machine": {"memory": 128, "cpus": 1, "accelerator": which}}


@pytest.mark.parametrize("before", [{}, made_for("tcg")])
def test_auto_takes_kvm_where_the_host_has_it_and_emulates_elsewhere(kind, before):
    assert accelerated(kind, "auto", KVM, before) == "kvm"
    assert accelerated(kind, "auto", NO_KVM, before) == "tcg"
    assert accelerated(kind, "tcg", KVM, before) == "tcg"


def refusal(kind, asked, olds):
    with pytest.raises(CheckError) as error:
        accelerated(kind, asked, NO_KVM, olds)
    ((path, why),) = error.value.failures
    assert path == "machine.accelerator"
    assert NO_KVM["reason"] in why
    return why


@pytest.mark.parametrize("before", [{}, made_for("tcg"), made_for("kvm")])
def test_kvm_that_was_asked_for_and_is_not_there_is_an_error_by_name(kind, before):
    assert "gateway.accelerator: kvm, but" in refusal(kind, "kvm", before)


def test_a_gateway_that_runs_by_kvm_is_not_emulated_because_a_probe_failed(kind):
    why = refusal(kind, "auto", made_for("kvm"))
    assert "It is left as it is" in why
    assert "`gateway.accelerator: tcg`" in why
    assert accelerated(kind, "auto", KVM, made_for("kvm")) == "kvm"
    assert accelerated(kind, "tcg", NO_KVM, made_for("kvm")) == "tcg", "who asks for it gets it"


def test_nor_is_one_that_is_found_on_the_host_and_taken_over(kind, host):
    """As after a lost state: nothing is recorded of it, but its unit says what it runs by."""
    created(kind, machine={"accelerator": "kvm"})
    assert "It is left as it is" in refusal(kind, "auto", {})
    host.reachable = False
    assert accelerated(kind, "auto", NO_KVM) == "tcg", "the change itself would tell that it is away"


def test_what_a_host_has_is_not_judged_before_it_is_known(kind):
    inputs = kind.check({**NEWS, "machine": {"accelerator": "auto", "kvm": UNKNOWN}}, {})
    assert inputs["machine"]["kvm"] is UNKNOWN


def test_auto_without_the_hosts_facts_is_asked_for_them(kind):
    with pytest.raises(CheckError, match="auto needs the host's facts"):
        kind.check({**NEWS, "machine": {"accelerator": "auto"}}, {})


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ("tcg", "kvm", "its host can run guests by KVM now: a new guest is started"),
        ("kvm", "tcg", "a new guest is started, by software emulation in place of KVM"),
        ("kvm", "kvm", ""),
        ("tcg", "tcg", ""),
    ],
)
def test_another_accelerator_is_announced_as_a_new_guest(kind, before, now, says):
    inputs, _, state = created(kind, machine={"accelerator": before})
    said = []
    send_to(lambda text, severity: said.append(text))
    try:
        kind.diff(state, inputs, kind.check({**NEWS, "machine": {"accelerator": now}}, inputs))
    finally:
        send_to(None)
    assert [says in text for text in said] == ([True] if says else [])


def test_a_check_tells_what_the_host_will_say(kind):
    inputs = kind.check(NEWS, {})
    assert inputs["units"] == dict.fromkeys((paths.PLAIN.gateway_unit, paths.PLAIN.hostd_unit), "active, enabled")
    assert inputs["publicKey"] == base64.b64encode(PUBLIC).decode()
    assert inputs["addresses"] == ["10.99.0.1/24"]


def test_during_a_rotation_the_public_key_is_the_current_one(kind):
    rotating = replace(CONFIG, public_keys=(PEER, PUBLIC)).to_json().decode()
    assert kind.check({**NEWS, "config": rotating}, {})["publicKey"] == base64.b64encode(PEER).decode()


def test_unknown_configuration_is_not_judged(kind):
    inputs = kind.check({**NEWS, "config": UNKNOWN, "secrets": UNKNOWN}, {})
    assert "files" not in inputs
    _, _, state = created(kind)
    assert "config" in [change.path for change in kind.diff(state, kind.check(NEWS, {}), inputs).changes]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"machine": {"memory": 127}}, "machine.memory"),
        ({"machine": {"accelerator": "hvf"}}, "machine.accelerator"),
        ({"image": {"directory": "/x", "sha256": "AB"}}, "image.sha256"),
        ({"config": "{}"}, "config"),
        ({"config": json.dumps(json.loads(CONFIG.to_json()))}, "config"),
        ({"secrets": "{}"}, "secrets"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_unusable_inputs_are_named_by_path(kind, changes, path):
    with pytest.raises(CheckError) as error:
        kind.check({**NEWS, **changes}, {})
    assert [where for where, _ in error.value.failures] == [path]


def test_the_refusal_of_secrets_never_quotes_them(kind):
    broken = SECRETS.to_json().decode().replace('"format"', '"farmat"')
    with pytest.raises(CheckError) as error:
        kind.check({**NEWS, "secrets": broken, "machine": {"memory": 1}}, {})
    assert {where for where, _ in error.value.failures} == {"secrets", "machine.memory"}
    assert not [text for text in (base64.b64encode(PRIVATE).decode(), UNSHOWN, "farmat") if text in str(error.value)]


# Configuration and keys are structures; as text, states of before have them


def test_structure_and_text_are_the_same_inputs(kind):
    structured = {**NEWS, "config": described(CONFIG), "secrets": keys_described(SECRETS)}
    sparse = copy.deepcopy(structured)
    for link in (sparse["config"]["transit"], sparse["config"]["lan"]):
        del link["proxyArp"], link["masquerade"]
    del sparse["config"]["interface"], sparse["config"]["mtu"], sparse["config"]["lan"]["gateways"]
    assert kind.check(NEWS, {}) == kind.check(structured, {}) == kind.check(sparse, {})
    assert config_of(structured["config"]) == config_of(NEWS["config"]) == CONFIG
    assert secrets_of(structured["secrets"]) == secrets_of(NEWS["secrets"]) == SECRETS


def test_a_state_of_before_structures_is_no_difference_and_is_read_as_one_of_now(kind):
    inputs, id, state = created(kind)
    text = {name: NEWS[name] for name in ("config", "secrets")}
    before = ({**state, **text}, {**inputs, **text})
    assert kind.diff(*before, inputs).changes == ()
    found, real = kind.read(id, *before)
    assert (found["config"], real) == (inputs["config"], inputs)
    assert kind.diff(found, real, inputs).changes == ()
    kind.delete(id, before[0])


def test_another_key_is_told_without_any_path_in_it(kind):
    inputs, _, state = created(kind)
    other = NodeSecrets((PRIVATE,), {PEER: (PRIVATE,)}).to_json().decode()
    paths = [change.path for change in kind.diff(state, inputs, kind.check({**NEWS, "secrets": other}, inputs)).changes]
    assert [path for path in paths if path.startswith("secrets")] == ["secrets"]


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("config", "addresses"), ["10.99.0.1/33"], "config.addresses[0]"),
        (("config", "peers", "cabin", "publicKeys"), ["x"], "config.peers.cabin.publicKeys[0]"),
        (("config", "peers", "cabin", "endpoint"), "nowhere", "config.peers.cabin.endpoint"),
        (("config", "lan", "mac"), "1", "config.lan.mac"),
        (("config", "format"), 1, "config.format"),
        (("secrets", "privateKeys"), [UNSHOWN], "secrets.privateKeys[0]"),
    ],
)
def test_what_a_node_would_refuse_is_refused_at_its_path(kind, path, value, where):
    news = copy.deepcopy({**NEWS, "config": described(CONFIG), "secrets": keys_described(SECRETS)})
    inner = news
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(CheckError) as error:
        kind.check(news, {})
    assert [found for found, _ in error.value.failures] == [where]
    assert UNSHOWN not in str(error.value)


@pytest.mark.parametrize(
    ("model", "of_node", "left_out"),
    [
        (NodeConfiguration, NodeConfig, set()),
        (NodePeer, PeerConfig, {"name", "expires", "access"}),
        (NodeDevice, PeerConfig, {"name", "mtu", "probe"}),
        (NodeLink, LinkConfig, set()),
        (NodeCarrier, CarrierConfig, set()),
        (NodeKeys, NodeSecrets, set()),
    ],
)
def test_the_structures_have_all_that_a_node_s_configuration_has(model, of_node, left_out):
    assert set(model.model_fields) == {field.name for field in dataclasses.fields(of_node)} - left_out


def test_all_that_a_configuration_can_have_comes_through(kind):
    peer = PeerConfig("cabin", (PEER, PUBLIC), ("10.2.0.0/24", "fd00::/64"), "a.example:1", 25, 1300, "fd00::1")
    lan = LinkConfig("52:54:00:aa:bb:cc", ("10.1.0.2/24",), ("10.1.0.1",), True, True)
    carrier = CarrierConfig("x", 1400, 1380)
    full = replace(CONFIG, peers=(peer,), lan=lan, interface="wg7", mtu=1380, carrier=carrier, path_mtu=False)
    for given in (described(full), full.to_json().decode()):
        assert config_of(kind.check({**NEWS, "config": given}, {})["config"]) == full
