from __future__ import annotations

import json

import pytest

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.judging import facts, segmentation
from pulumi_wgnode.hosts.networks import network
from tests.unit.pulumi_wgnode.fake_host import FakeHost, failed, said


class FakeKvmHost(FakeHost):
    """`module`, `qemu`, and how the probe guest ends."""

    old_tables = ""

    def __init__(self, module, qemu, probe):
        super().__init__()
        self.module, self.qemu, self.probe = module, qemu, probe

    def _sh(self, argv, input):
        if "tables-legacy" in argv[2]:
            return said(self.old_tables)
        if argv[2] != facts._READ:
            assert "-accel kvm" in argv[2]
            return self.probe
        module = f"module={self.module}\n" if self.module else ""
        return said(f"kernel=6.1\ncpu=A=B\ncpus=4\nmemory=2048\nqemu={self.qemu}\n{module}")


@pytest.mark.parametrize(
    ("module", "qemu", "probe", "usable", "reason"),
    [
        ("kvm_intel", "7.2.1", said(), True, "a probe guest started"),
        ("kvm_intel", "7.2.1", failed(""), False, "a probe guest did not start"),
        ("kvm_amd", "", failed(""), False, "QEMU is not installed yet"),
        (None, "7.2.1", said(), False, "neither kvm_intel nor kvm_amd is loaded"),
    ],
)
def test_kvm_is_usable_only_where_a_probe_guest_starts(module, qemu, probe, usable, reason):
    found = facts.read(FakeKvmHost(module, qemu, probe))
    assert found.kvm is usable
    assert reason in found.kvm_reason


def test_a_guest_that_ran_on_kvm_is_not_probed_again_until_kernel_qemu_or_module_change():
    known = facts.read(FakeKvmHost("kvm_intel", "7.2.1", said())).outputs()
    refused = failed("it would not start now")
    assert facts.read(FakeKvmHost("kvm_intel", "7.2.1", refused), known).outputs() == known
    assert not facts.read(FakeKvmHost("kvm_intel", "7.2.2", refused), known).kvm
    assert not facts.read(FakeKvmHost("kvm_intel", "7.2.1", refused), {**known, "kernel": "6.0"}).kvm
    assert not facts.read(FakeKvmHost(None, "7.2.1", refused), known).kvm
    without = facts.read(FakeKvmHost("kvm_intel", "7.2.1", refused)).outputs()
    assert facts.read(FakeKvmHost("kvm_intel", "7.2.1", said()), without).kvm, "what did not run is tried again"


VERSIONS = [
    ("1:7.2+dfsg-7+deb12u18+b3", "6.1.0-32-amd64", False),
    ("1:7.2+dfsg-7+deb12u18+b3", "6.12.9+bpo-amd64", False),
    ("1:8.1.9+ds-1", "6.12.9", False),
    ("1:8.2.1+ds-1~bpo12+1", "6.1.0-32-amd64", False),
    ("1:8.2.1+ds-1~bpo12+1", "6.2.0", True),
    ("1:10.0.13+ds-0+deb13u1", "6.12.43+deb13-amd64", True),
    ("10.0.13", "7.0-rc1", True),
    ("unknown", "6.12", False),
    ("8", "6.12", False),
]


@pytest.mark.parametrize(("qemu", "kernel", "carried"), VERSIONS)
def test_udp_segmentation_takes_a_qemu_and_a_kernel_that_know_it(qemu, kernel, carried):
    assert segmentation.carried(qemu, kernel) is carried


@pytest.mark.parametrize("before", [True, False])
def test_while_qemu_is_away_as_in_an_upgrade_its_guests_cards_stay_what_they_were(before):
    found = facts.read(FakeKvmHost(None, "", said()), {"kvm": False, "udpSegmentation": before})
    assert found.outputs()["udpSegmentation"] is before
    assert not facts.read(FakeKvmHost(None, "", said()), {"kvm": False}).udp_segmentation
    assert not facts.read(FakeKvmHost(None, "1:10.0", said())).udp_segmentation, "its kernel is 6.1"


def test_facts_are_plain_outputs():
    outputs = facts.read(FakeKvmHost(None, "7.2.1", said())).outputs()
    assert json.loads(json.dumps(outputs)) == outputs
    assert (outputs["os"], outputs["cpu"], outputs["cpus"]) == ("Debian GNU/Linux 12 (bookworm)", "A=B", 4)
    assert outputs["interfaces"] == ["lan0", "wan0"]


def test_a_bare_host_without_iproute_and_nftables_has_facts_too():
    class Bare(FakeKvmHost):
        def _answer(self, argv, input):
            if argv == network.READ_LINKS or argv[0] == "nft":
                return failed("not found")
            return super()._answer(argv, input)

    found = facts.read(Bare(None, "", said()))
    assert (found.interfaces, found.foreign_firewalls, found.qemu) == ((), (), "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Result(139, "", ""), "it exited with 139"),
        (failed("netlink: Error"), "netlink: Error"),
        (said("{"), "exited with 0"),
    ],
)
def test_rules_that_nft_cannot_list_are_not_sure(answer, reason):
    class Unlisted(FakeKvmHost):
        def _nft(self, argv, input):
            return answer

    (found,) = facts.read(Unlisted(None, "", said())).foreign_firewalls
    assert reason in str(found)
    assert not found.dropped
    assert found.unsure


def test_old_iptables_count_as_a_firewall_of_another():
    host = FakeKvmHost(None, "7.2.1", said())
    host.old_tables = "# ip6\n-P INPUT ACCEPT\n-P FORWARD DROP\n"
    assert facts.read(host).outputs()["foreignFirewalls"] == ["ip6 filter FORWARD (iptables-legacy)"]
