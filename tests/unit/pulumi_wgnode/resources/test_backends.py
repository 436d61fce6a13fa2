"""Another backend is a replacement that the preview tells; what a backend can not do is refused before all else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.components import together
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.provider import registry
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.hypervisor_state import Traits, desired
from pulumi_wgnode.resources.versioned import of_gateway, of_host
from tests.unit.pulumi_wgnode.resources import gateway_case, hypervisor_case
from tests.unit.pulumi_wgnode.resources.gateway_case import CONFIG, IMAGE, clock, created, host, kind, read_paths
from wgnode.image import backends, paths

__all__ = ["clock", "host", "kind"]

PROCESS = {"machine": {"backend": "process", "memory": 160}}
MAC = "52:54:00:aa:bb:cc"
HOST = {
    **hypervisor_case.NEWS,
    "networks": {
        **hypervisor_case.NEWS["networks"],  # type: ignore[dict-item]
        "gateway": {"addresses": ["10.1.0.2/24"], "mac": MAC},
    },
}


def test_a_process_is_deployed_read_back_and_removed_like_a_microvm(kind: Any, host: Any) -> None:
    inputs, id, state = created(kind, **PROCESS)
    unit = host.files[gateway_case.GATEWAY_FILE][0].decode()
    assert f"RootDirectory={paths.PLAIN.root}\n" in unit
    assert f"{paths.image_directory(IMAGE)}/initramfs.zst" in unit
    assert host.files[paths.PLAIN.unpacker][0].startswith(b"#!")
    assert inputs["machine"] == {"backend": "process", "memory": 160, "cpus": 1}
    assert read_paths(kind, id, state, inputs) == []
    host.files[paths.PLAIN.unpacker] = (b"mine", 0o644, "root")
    assert read_paths(kind, id, state, inputs) == ["files.unpacker"]
    host.events.clear()
    mended = kind.update(id, kind.read(id, state, inputs)[0], inputs, False)
    assert host.restarted == [], "its next start uses it"
    assert read_paths(kind, id, mended, inputs) == []
    kind.delete(id, mended)
    assert not [path for path in host.files if path.startswith(("/var/lib/wgnode/gateway/", "/etc/systemd/"))]


@pytest.mark.parametrize(("before", "after"), [({}, PROCESS), (PROCESS, {"machine": {"memory": 160}})])
def test_another_backend_replaces_the_gateway_and_the_preview_says_so(
    kind: Any, before: dict[str, Any], after: dict[str, Any]
) -> None:
    lines: list[tuple[str, Any]] = []
    inputs, _, state = created(kind, **before)
    log.send_to(lambda text, severity: lines.append((text, severity)))
    try:
        other = kind.check({**gateway_case.NEWS, **after}, inputs)
        found = kind.diff(state, inputs, other)
        same = kind.diff(state, inputs, inputs)
    finally:
        log.send_to(None)
    assert [change.path for change in found.changes if change.replace] == ["machine.backend"]
    assert found.delete_before_replace
    assert not same.changes
    (told,) = [text for text, severity in lines if severity is log.Severity.WARNING]
    assert "the gateway is replaced by" in told
    assert told.startswith("backend process in place of microvm" if after is PROCESS else "backend microvm in place of")


def test_a_microvm_is_recorded_as_versions_without_a_choice_have_it(kind: Any) -> None:
    given = {"machine": {"backend": "microvm", "memory": 160}}
    assert kind.check({**gateway_case.NEWS, **given}, {}) == kind.check(gateway_case.NEWS, {})
    checked = HypervisorHost().check({**HOST, "backend": "microvm"}, {})
    assert checked == HypervisorHost().check(HOST, {})


def test_states_of_another_backend_have_a_format_that_versions_before_refuse(kind: Any) -> None:
    """They would take a process for a machine that is gone, and its links for wrong ones."""
    assert (of_gateway(created(kind, **PROCESS)[0]), of_gateway({"machine": {"memory": 160}, "config": {}})) == (4, 2)
    assert (of_host({"backend": "process"}), of_host(hypervisor_case.NEWS)) == (4, 1)
    for token, known in (("wgnode:index:Gateway", 4), ("wgnode:index:HypervisorHost", 5)):
        assert registry._FORMATS[token][0] == known


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"machine": {"backend": "process", "accelerator": "kvm"}},
            "accelerator: backend process: it runs on",
        ),
        ({"machine": {"backend": "process", "accelerator": "tcg"}}, "accelerator: backend process"),
        ({"machine": {"backend": "process", "udpSegmentation": True}}, "udpSegmentation: backend process"),
        ({"machine": {"backend": "process", "memory": 64}}, "machine.memory"),
        (
            {**PROCESS, "config": replace(CONFIG, lan=replace(CONFIG.lan, masquerade=True)).to_json().decode()},
            "config.lan.masquerade: backend process: the limits of connections are its host's",
        ),
    ],
)
def test_what_a_backend_cant_do_is_refused_by_name(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(CheckError) as refused:
        Gateway(connect=lambda _: pytest.fail("no host is asked")).check({**gateway_case.NEWS, **changes}, {})
    assert why in str(refused.value)


def test_a_stack_file_that_asks_for_it_is_refused_at_its_own_path() -> None:
    raw = {"gateway": {"backend": "process", "accelerator": "kvm"}, "lan": {"reach": "masquerade"}}
    assert [problem.path for problem in together.problems(raw)] == [".gateway.accelerator", ".lan.reach"]
    for fine in ({"backend": "process", "accelerator": "auto"}, {"accelerator": "kvm"}, {"backend": "libvirt"}):
        assert together.problems({"gateway": fine}) == []


def test_what_a_program_says_nothing_of_may_be_null_as_it_comes_over_the_wire(kind: Any) -> None:
    nothing = {"backend": None, "accelerator": None, "udpSegmentation": None, "kvm": None}
    assert kind.check({**gateway_case.NEWS, "machine": {**nothing, "memory": 160}}, {}) == kind.check(
        gateway_case.NEWS, {}
    )
    process = {**nothing, "backend": "process", "memory": 160}
    assert kind.check({**gateway_case.NEWS, "machine": process}, {})["machine"]["backend"] == "process"


def test_a_program_that_says_no_accelerator_gets_none_while_facts_are_not_known() -> None:
    machine = {**PROCESS["machine"], "cpus": UNKNOWN}
    assert Gateway().check({**gateway_case.NEWS, "machine": machine}, {})["machine"]["backend"] == "process"


# Its host


def test_a_host_makes_veths_for_a_process_and_taps_for_a_microvm() -> None:
    checked = HypervisorHost().check({**HOST, "backend": "process"}, {})
    wanted = desired(checked, Traits())
    script = wanted.files[paths.PLAIN.network_script]
    assert f"CARDS=veth WAN_MAC={paths.TRANSIT_MAC} LAN_MAC={MAC} NAMESPACE=wgnode\n" in script
    assert wanted.outputs["links"]["wgnode-lan"] == "veth, up, in wgnode-br0"
    taps = desired(HypervisorHost().check(HOST, {}), Traits())
    assert "CARDS=tap NAMESPACE=wgnode\n" in taps.files[paths.PLAIN.network_script]
    assert taps.outputs["links"]["wgnode-lan"] == "tap of wgnode-qemu, up, in wgnode-br0"


def test_a_tap_in_place_of_a_veth_is_drift() -> None:
    wanted = desired(HypervisorHost().check({**HOST, "backend": "process"}, {}), Traits())
    tap = {"ifname": "wgnode-wan", "flags": ["UP"], "addr_info": [], "linkinfo": {"info_kind": "tun"}}
    tap["linkinfo"]["info_data"] = {"type": "tap", "user": "wgnode"}  # type: ignore[call-overload, index]
    links = json.dumps([tap, {"ifname": "lan0", "flags": ["UP"], "addr_info": []}])
    assert network.observed(links, "", wanted.network)["links"]["wgnode-wan"] == "tap of wgnode, up"
    assert wanted.outputs["links"]["wgnode-wan"].startswith("veth, up")


def test_a_host_needs_the_mac_address_of_a_process_and_no_qemu() -> None:
    with pytest.raises(CheckError, match=r"backend process needs `networks\.gateway`"):
        HypervisorHost().check({**hypervisor_case.NEWS, "backend": "process"}, {})
    assert "qemu-system-x86" not in backends.named("process").packages
