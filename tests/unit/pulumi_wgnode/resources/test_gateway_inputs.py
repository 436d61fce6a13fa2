"""What a gateway is asked to be: the files that should be there, and which inputs are taken."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.call.log import send_to
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
from wgnode.nodeconfig import NodeSecrets, expected_live_digest

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
