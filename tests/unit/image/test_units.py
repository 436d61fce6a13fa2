import os
import re
import shlex
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from wgnode.image import paths, units

UNIT = units.GatewayUnit("berlin", "/var/lib/wgnode/images/ab", "52:54:00:01:02:03")


def settings(text: str, key: str) -> list[str]:
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{key}=")]


def sh(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    return subprocess.run(["/bin/sh", "-c", script], env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "user"),
    [(units.gateway_service(UNIT), "wgnode-qemu"), (units.hostd_service("berlin", "/x.pyz"), "wgnode")],
)
def test_neither_unit_has_privileges_nor_the_other_s_user(text: str, user: str) -> None:
    assert settings(text, "User") == settings(text, "Group") == [user]
    assert settings(text, "CapabilityBoundingSet") == [""]
    assert settings(text, "NoNewPrivileges") == ["yes"]
    assert settings(text, "ProtectSystem") == ["strict"]


def test_the_gateway_starts_again_whatever_ended_it() -> None:
    text = units.gateway_service(UNIT)
    assert settings(text, "Restart") == ["always"]
    assert settings(text, "StartLimitIntervalSec") == ["0"]


def test_a_unit_that_did_not_name_the_firmware_starts_the_same_machine() -> None:
    """A guest that ran had that firmware: naming it takes no outage."""
    text = units.gateway_service(UNIT)
    assert units.same_machine(text.replace(" -bios qboot.rom", ""), text)
    assert not units.same_machine(text.replace("qboot.rom", "another.rom"), text)
    assert not units.same_machine(text.replace("-m 128", "-m 129"), text)


def test_only_kvm_gets_at_dev_kvm_and_only_emulation_may_write_code() -> None:
    tcg, kvm = units.gateway_service(UNIT), units.gateway_service(replace(UNIT, accelerator="kvm"))
    assert settings(tcg, "DeviceAllow") == ["/dev/net/tun rw"]
    assert settings(kvm, "DeviceAllow") == ["/dev/net/tun rw", "/dev/kvm rw", "/dev/vhost-net rw"]
    assert settings(kvm, "MemoryDenyWriteExecute") == ["yes"]
    assert settings(tcg, "MemoryDenyWriteExecute") == []


def test_the_memory_limit_leaves_room_for_qemu() -> None:
    limit = settings(units.gateway_service(replace(UNIT, memory=200, accelerator="kvm")), "MemoryMax")
    assert limit == [f"{200 + units.QEMU_OVERHEAD}M"]


def test_the_clock_rate_is_read_when_the_machine_starts() -> None:
    text = units.gateway_service(UNIT)
    assert "tsc_early_khz=${WGNODE_TSC_KHZ}" in settings(text, "ExecStart")[0]
    assert settings(text, "EnvironmentFile") == [f"-{paths.PLAIN.tsc_environment}"]


def test_with_kvm_whether_the_hosts_kernel_moves_packets_is_seen_when_the_machine_starts() -> None:
    tcg, kvm = units.gateway_service(UNIT), units.gateway_service(replace(UNIT, accelerator="kvm"))
    assert "ifname=wgnode-lan,script=no,downscript=no,vhost=${WGNODE_VHOST}" in settings(kvm, "ExecStart")[0]
    assert f"-{paths.PLAIN.vhost_environment}" in settings(kvm, "EnvironmentFile")
    assert settings(kvm, "SupplementaryGroups") == ["kvm"], "whose the device is"
    assert "-cpu host" in settings(kvm, "ExecStart")[0]
    assert "vhost" not in settings(tcg, "ExecStart")[0]


@pytest.mark.parametrize(("device", "answer"), [("there", "on"), ("missing/device", "off")])
def test_vhost_is_used_where_it_can_be_opened(tmp_path: Path, device: str, answer: str) -> None:
    host(tmp_path)
    (tmp_path / "there").touch()
    script = moved(units.vhost_script(), tmp_path).replace(units.VHOST_DEVICE, f"{tmp_path}/{device}")
    assert sh(script).returncode == 0
    assert Path(f"{tmp_path}{paths.PLAIN.vhost_environment}").read_text() == f"WGNODE_VHOST={answer}\n"


def test_a_unit_doubles_what_systemd_would_expand() -> None:
    kvm = units.gateway_service(replace(UNIT, accelerator="kvm"))
    for text in (kvm, units.gateway_service(UNIT), units.hostd_service("berlin", "/x.pyz")):
        for line in settings(text, "ExecStartPre") + settings(text, "ExecStopPost"):
            assert "%" not in line.replace("%%", "")
            assert "$" not in line.replace("$$", "")


def test_root_reads_no_environment_that_qemu_s_user_could_have_written() -> None:
    """systemd gives it to what it starts as root too, with whatever LD_PRELOAD stands in it."""
    kvm = units.gateway_service(replace(UNIT, accelerator="kvm"))
    assert len(settings(kvm, "EnvironmentFile")) == 2
    for file in settings(kvm, "EnvironmentFile"):
        assert str(Path(file.removeprefix("-")).parent) == paths.PLAIN.start
    for owned in ("RuntimeDirectory", "StateDirectory"):
        assert f"/run/{''.join(settings(kvm, owned))}" != paths.PLAIN.start
    assert all(each.startswith("+") for each in settings(kvm, "ExecStartPre")), "QEMU's user could not write there"


def moved(script: str, directory: Path) -> str:
    """The script with the host's directories moved into a test's; whose the files are is root's to say."""
    script = script.replace(f"chown {paths.PLAIN.machine_user} ", ": ")
    script = re.sub(r"setpriv .*?(?=sh -c)", "", script)
    for path in (paths.PLAIN.start, f"{paths.PLAIN.run}/", paths.STATE, paths.UAPI_DIRECTORY, "/proc/cpuinfo"):
        script = script.replace(path, f"{directory}{path}")
    return script


def host(directory: Path) -> None:
    for path in (paths.PLAIN.run, paths.PLAIN.start, f"{paths.STATE}/gateway", "/proc", "/image"):
        (directory / path[1:]).mkdir(parents=True)


def test_the_initrd_is_the_three_parts_in_order_and_private(tmp_path: Path) -> None:
    host(tmp_path)
    image = tmp_path / "image" / "initramfs.zst"
    for file, data in ((image, "1"), (paths.PLAIN.config_layer, "2"), (paths.PLAIN.secrets_layer, "3")):
        Path(f"{tmp_path}{file}" if isinstance(file, str) else file).write_text(data)
    (former := Path(f"{tmp_path}{paths.PLAIN.former_initrd}")).touch()
    assert sh(moved(units.initrd_script(str(image.parent)), tmp_path)).returncode == 0
    made = Path(f"{tmp_path}{paths.PLAIN.initrd}")
    assert made.read_text() == "123"
    assert stat.S_IMODE(made.stat().st_mode) == 0o400
    assert not former.exists(), "an older version's, with the secrets"


def test_a_missing_part_leaves_the_former_initrd(tmp_path: Path) -> None:
    host(tmp_path)
    made = Path(f"{tmp_path}{paths.PLAIN.initrd}")
    made.write_text("former")
    assert sh(moved(units.initrd_script(f"{tmp_path}/image"), tmp_path)).returncode != 0
    assert made.read_text() == "former"


def test_the_clock_rate_script_agrees_with_the_python_one(tmp_path: Path) -> None:
    host(tmp_path)
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nbogomips\t: 4890.85\nprocessor\t: 1\nbogomips\t: 1.0\n")
    assert sh(moved(units.tsc_script(), tmp_path)).returncode == 0
    assert Path(f"{tmp_path}{paths.PLAIN.tsc_environment}").read_text() == "WGNODE_TSC_KHZ=2445425\n"


def test_our_link_for_wg_comes_and_goes_beside_those_of_other_programs(tmp_path: Path) -> None:
    host(tmp_path)
    directory = Path(f"{tmp_path}{paths.UAPI_DIRECTORY}")
    directory.mkdir(mode=0o700)
    (directory / "other.sock").touch()
    assert sh(moved(units.link_script("berlin"), tmp_path)).returncode == 0
    assert os.readlink(directory / "berlin.sock") == f"{tmp_path}{paths.PLAIN.uapi_socket}"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert sh(moved(units.unlink_script("berlin"), tmp_path)).returncode == 0
    assert sorted(file.name for file in directory.iterdir()) == ["other.sock"]


def test_a_socket_of_another_program_is_not_taken_over(tmp_path: Path) -> None:
    host(tmp_path)
    other = Path(f"{tmp_path}{paths.UAPI_DIRECTORY}/berlin.sock")
    other.parent.mkdir()
    other.write_text("another program's")
    refused = sh(moved(units.link_script("berlin"), tmp_path))
    assert refused.returncode != 0
    assert "belongs to another program" in refused.stderr
    assert sh(moved(units.unlink_script("berlin"), tmp_path)).returncode == 0
    assert other.read_text() == "another program's"


@pytest.mark.parametrize(("result", "restarted"), [("watchdog", True), ("success", False), ("exit-code", False)])
def test_a_starved_watchdog_ends_the_guest_too(tmp_path: Path, result: str, restarted: bool) -> None:
    host(tmp_path)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" > {shlex.quote(str(tmp_path))}/called\n')
    systemctl.chmod(0o755)
    sh(moved(units.unlink_script("x"), tmp_path), SERVICE_RESULT=result, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (tmp_path / "called").exists() is restarted


@pytest.mark.parametrize("name", ["", "Berlin", "a b", "a;reboot", "../x", "a" * 16, "-a"])
def test_a_name_that_could_do_harm_in_a_script_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="gateway name"):
        units.hostd_service(name, "/x.pyz")


def test_the_longest_name_is_fine() -> None:
    assert "a" * 15 in units.hostd_service("a" * 15, "/x.pyz")
