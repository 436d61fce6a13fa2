import itertools
from dataclasses import replace

import pytest

from wgnode.image.machine import Machine, Nic, command, kernel_command_line, packages_of, tsc_khz_of

MACHINE = Machine(
    name="berlin",
    kernel="/i/vmlinux",
    initrd="/run/wgnode/initrd",
    nics=(Nic("wgnode-wan", "52:54:00:77:67:00"), Nic("wgnode-lan", "52:54:00:01:02:03")),
    control="/run/wgnode/control.sock",
    tsc_khz=2445425,
)


def values(arguments: list[str], option: str) -> list[str]:
    return [value for key, value in itertools.pairwise(arguments) if key == option]


def test_the_machine_has_nothing_that_was_not_asked_for_and_ends_with_the_guest() -> None:
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(command(MACHINE))
    assert values(command(MACHINE), "-sandbox")[0].startswith("on,")


def test_the_firmware_is_the_same_whatever_the_qemu_has_for_a_default() -> None:
    """SeaBIOS, which is QEMU 10's on Debian 13, does not find the kernel where option ROMs are off."""
    assert values(command(MACHINE), "-bios") == ["qboot.rom"]
    assert "x-option-roms=off" in values(command(MACHINE), "-M")[0]


def test_cards_are_in_the_order_given_each_on_its_own_tap() -> None:
    assert [value for value in values(command(MACHINE), "-netdev") if "tap" in value] == [
        "tap,id=net0,ifname=wgnode-wan,script=no,downscript=no",
        "tap,id=net1,ifname=wgnode-lan,script=no,downscript=no",
    ]
    assert "virtio-net-device,netdev=net1,mac=52:54:00:01:02:03" in values(command(MACHINE), "-device")


def test_qemu_does_not_wait_for_the_control_channels_client() -> None:
    assert "socket,id=control,path=/run/wgnode/control.sock,server=on,wait=off" in values(command(MACHINE), "-chardev")


def test_emulation_tells_the_guest_its_clock_rate_and_kvm_does_not_need_to() -> None:
    assert "tsc_early_khz=2445425" in kernel_command_line(MACHINE).split()
    kvm = replace(MACHINE, accelerator="kvm")
    assert "tsc_early_khz" not in kernel_command_line(kvm)
    assert values(command(kvm), "-accel") == ["kvm"]
    assert values(command(kvm), "-cpu") == ["host"]


@pytest.mark.parametrize(("vhost", "said"), [(None, ""), ("on", ",vhost=on"), ("off", ",vhost=off")])
def test_the_hosts_kernel_moves_packets_where_it_is_told(vhost: str | None, said: str) -> None:
    taps = [value for value in values(command(replace(MACHINE, vhost=vhost)), "-netdev") if "tap" in value]
    assert [tap.partition("downscript=no")[2] for tap in taps] == [said, said]


CARRIED = "host_uso=on,guest_uso4=on,guest_uso6=on"


@pytest.mark.parametrize("carried", [True, False])
def test_cards_carry_udp_segmentation_where_the_host_does_which_takes_virtio_1(carried: bool) -> None:
    """A QEMU before 8.2 does not start with a property that it does not know."""
    arguments = command(replace(MACHINE, udp_segmentation=carried))
    cards = [value for value in values(arguments, "-device") if value.startswith("virtio-net-device")]
    assert [card.endswith(f",{CARRIED}") for card in cards] == [carried, carried]
    assert values(arguments, "-global") == (["virtio-mmio.force-legacy=false"] if carried else [])


def test_arm64_has_another_program_board_processor_and_console_and_no_words_of_amd64() -> None:
    """A word that its kernel does not know would be told as a lack of confinement (confine.unknown_words)."""
    arm = replace(MACHINE, architecture="arm64")
    assert command(arm)[0] == "/usr/bin/qemu-system-aarch64"
    assert (values(command(arm), "-M"), values(command(arm), "-cpu")) == (["virt,gic-version=3"], ["cortex-a57"])
    assert values(command(arm), "-bios") == []
    words = kernel_command_line(arm).split()
    assert words[0] == "console=ttyAMA0"
    assert {"lockdown=integrity", "panic=-1"} <= set(words)
    assert not [word for word in words if word.startswith(("tsc_early_khz", "ia32_emulation", "random.trust_cpu"))]
    assert packages_of(["nftables", "qemu-system-x86"], "arm64") == ["nftables", "qemu-system-arm"]
    assert packages_of(["nftables", "qemu-system-x86"], "amd64") == ["nftables", "qemu-system-x86"]
    with pytest.raises(ValueError, match="KVM on arm64 has not been tried"):
        command(replace(arm, accelerator="kvm"))


def test_what_others_need_of_the_kernel_is_not_started() -> None:
    words = kernel_command_line(MACHINE).split()
    assert "cryptomgr.notests=1" in words
    (skipped,) = [word for word in words if word.startswith("initcall_blacklist=")]
    assert "load_system_certificate_list" not in skipped, "modules are judged by these"


def test_a_panic_ends_the_machine() -> None:
    assert {"panic=-1", "oops=panic"} <= set(kernel_command_line(MACHINE).split())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"memory": 127}, "127 MiB"),
        ({"cpus": 0}, "0 CPUs"),
        ({"nics": (Nic("t", "52:54:00:77:67:0G"),)}, "no MAC address"),
        ({"kernel": "/a,b"}, "no comma"),
    ],
)
def test_a_machine_that_could_not_run_is_refused_by_name(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"gateway 'berlin': .*{words}"):
        command(replace(MACHINE, **changed))  # type: ignore[arg-type]


def test_the_smallest_memory_is_enough() -> None:
    assert values(command(replace(MACHINE, memory=128)), "-m") == ["128"]


def test_the_clock_rate_comes_from_bogomips() -> None:
    assert tsc_khz_of("processor : 0\nbogomips\t: 4890.85\nprocessor : 1\nbogomips : 1.00\n") == 2445425
    assert tsc_khz_of("processor : 0\n") is None
