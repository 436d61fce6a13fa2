"""What machine a gateway is: one interface, refusals by name, and the unit and root of a gateway as a process."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from tests.exposure import exposure, judged
from wgnode.image import backends, cpio, paths, unpack
from wgnode.image.backends.process import Process
from wgnode.image.paths import Paths
from wgnode.image.units import GatewayUnit
from wgnode.platform.linux import hosted

UNIT = GatewayUnit("berlin", "/var/lib/wgnode/images/ab", "52:54:00:01:02:03")
SERVICE = Process().service(UNIT)


def settings(text: str, key: str) -> list[str]:
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{key}=")]


@pytest.mark.parametrize("name", backends.BUILT)
def test_a_backend_is_found_by_the_name_that_it_has_itself(name: str) -> None:
    made = backends.named(name)
    assert made.name == name
    assert backends.of({"backend": name}).name == name
    assert made.boot_timeout(UNIT) > 0
    assert settings(made.service(UNIT), "WantedBy") == ["multi-user.target"]
    assert {"nftables", "python3"} <= set(made.packages)


def test_without_a_word_it_is_a_microvm_as_before_there_was_a_choice() -> None:
    assert backends.of({"memory": 128}).name == "microvm"


@pytest.mark.parametrize("name", ["xen", "docker"])
def test_one_that_is_not_built_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"no backend {name} in this version of wgnode; there are: libvirt, microvm"):
        backends.named(name)


def test_what_a_process_cant_do_is_refused_by_name_and_what_is_not_asked_for_is_not() -> None:
    asked = {"accelerator": "kvm", "udpSegmentation": True, "masquerade": True}
    assert [what for what, _ in backends.refusals("process", asked)] == list(asked)
    assert all(why.startswith("backend process: ") for _, why in backends.refusals("process", asked))
    for nothing in ({}, {"accelerator": "auto", "udpSegmentation": False, "masquerade": False}, {"accelerator": None}):
        assert list(backends.refusals("process", nothing)) == []
    assert list(backends.refusals("microvm", asked)) == []


# The unit of a process


def test_a_process_has_three_capabilities_over_a_namespace_of_its_own_and_what_it_may_use_at_most() -> None:
    text = Process().service(replace(UNIT, memory=200, cpus=2))
    assert settings(text, "NetworkNamespacePath") == ["/run/netns/wgnode"]
    assert settings(text, "CapabilityBoundingSet") == settings(text, "AmbientCapabilities")
    assert len(settings(text, "CapabilityBoundingSet")[0].split()) == len(hosted.KEPT)
    assert settings(text, "MemoryMax") == ["200M"]
    assert settings(text, "CPUQuota") == ["200%"]
    assert settings(text, "User") == [paths.PLAIN.machine_user] != [paths.USER], "who is not hostd's"
    assert settings(text, "NoNewPrivileges") == ["yes"]
    assert settings(text, "MemoryDenyWriteExecute") == ["yes"]


def test_further_gateways_of_a_host_have_a_root_and_a_namespace_of_their_own() -> None:
    text = Process().service(replace(UNIT, paths=Paths("0a1b2c3d")))
    assert settings(text, "RootDirectory") == ["/var/lib/wgnode/root-0a1b2c3d"]
    assert settings(text, "NetworkNamespacePath") == ["/run/netns/wgnode-0a1b2c3d"]
    assert settings(text, "RuntimeDirectory") == [Paths("0a1b2c3d").machine_run_name]


def test_another_name_alone_is_no_other_process_and_another_image_is() -> None:
    assert Process().same_machine(SERVICE, Process().service(replace(UNIT, name="rome")))
    assert not Process().same_machine(SERVICE, Process().service(replace(UNIT, image="/var/lib/wgnode/images/cd")))
    assert not Process().same_machine(SERVICE, Process().service(replace(UNIT, memory=129)))


@judged
def test_systemd_finds_little_that_a_process_may_do(tmp_path: Path) -> None:
    found = exposure(SERVICE, tmp_path)
    print(f"systemd-analyze security, backend process: {found}")
    assert found <= 2.0


# Its root, unpacked

CONFIG = cpio.pack({"etc/wgnode/config.json": cpio.file(b"{}")})
SECRETS = cpio.pack({"etc/wgnode/secrets.json": cpio.file(b"secret", 0o600)})
IMAGE = {
    unpack.SERVICE: cpio.file(b"#!/bin/true\n", 0o755),
    "usr/lib/zero": cpio.file(bytes(3 << 20)),
    "lib": cpio.symlink("usr/lib"),
    "dev/null": cpio.character_device(1, 3),
}


def image(tmp_path: Path, entries: dict[str, cpio.Entry]) -> Path:
    packed = zstandard.compress(cpio.pack(entries))
    file = tmp_path / "initramfs.zst"
    file.write_bytes(packed + bytes(-len(packed) % 512))
    return file


def sources(tmp_path: Path, entries: dict[str, cpio.Entry] = IMAGE) -> list[Path]:
    (tmp_path / "config.cpio").write_bytes(CONFIG)
    (tmp_path / "secrets.cpio").write_bytes(SECRETS)
    return [image(tmp_path, entries), tmp_path / "config.cpio", tmp_path / "secrets.cpio"]


def run(tmp_path: Path, given: list[Path]) -> subprocess.CompletedProcess[str]:
    """The zipapp, as a host runs it, under the unit's UMask=."""
    program = tmp_path / "unpack.pyz"
    program.write_bytes(unpack.program())
    argv = [sys.executable, "-I", str(program), str(tmp_path / "root"), "root", *map(str, given)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, umask=0o077, cwd="/")


def test_image_and_layers_become_a_root_as_they_become_a_machines(tmp_path: Path) -> None:
    done = run(tmp_path, sources(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    root = tmp_path / "root"
    assert (root / "etc/wgnode/config.json").read_bytes() == b"{}"
    assert stat.S_IMODE((root / "etc/wgnode/secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / unpack.SERVICE).stat().st_mode) == 0o755
    assert (root / "usr/lib/zero").stat().st_size == 3 << 20
    assert os.readlink(root / "lib") == "usr/lib"
    assert not (root / "dev/null").exists(), "devices are systemd's to make"
    for name in ("", *unpack.MOUNT_POINTS):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o755, name


def test_what_was_changed_in_the_root_is_gone_with_the_next_start(tmp_path: Path) -> None:
    given = sources(tmp_path)
    run(tmp_path, given)
    (tmp_path / "root" / "kept").touch()
    (tmp_path / "root" / unpack.SERVICE).write_bytes(b"mine")
    assert run(tmp_path, given).returncode == 0
    assert not (tmp_path / "root" / "kept").exists()
    assert (tmp_path / "root" / unpack.SERVICE).read_bytes() == b"#!/bin/true\n"


def test_an_image_that_is_cut_off_damaged_or_too_old_is_refused_by_name(tmp_path: Path) -> None:
    given = sources(tmp_path)
    whole = given[0].read_bytes()
    frame = len(zstandard.compress(cpio.pack(IMAGE)))
    for broken, why in ((whole[: frame // 2], "it is cut off"), (whole[:40] + b"\xff" * 40 + whole[80:], "damaged")):
        given[0].write_bytes(broken)
        done = run(tmp_path, given)
        assert done.returncode == 1
        assert f"this gateway can't be started: {given[0]}: " in done.stderr
        assert why in done.stderr
    done = run(tmp_path, sources(tmp_path, {"init": cpio.file(b"", 0o755)}))
    assert f"{given[0]} is too old for backend process: build an image of this version" in done.stderr
    given[1].write_bytes(CONFIG[:150])
    assert f"{given[1]}: " in run(tmp_path, [image(tmp_path, IMAGE), *given[1:]]).stderr


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/out"])
def test_nothing_is_unpacked_outside_of_the_root(tmp_path: Path, path: str) -> None:
    done = run(tmp_path, sources(tmp_path, {**IMAGE, path: cpio.file(b"x")}))
    assert "is no path in an image" in done.stderr
    assert not (tmp_path / "out").exists()
    assert not Path("/out").exists()


def test_a_link_in_an_image_leads_no_file_out_of_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    done = run(tmp_path, sources(tmp_path, {**IMAGE, "a": cpio.symlink(str(outside)), "a/file": cpio.file(b"x")}))
    assert done.returncode == 1
    assert list(outside.iterdir()) == []


def test_the_zipapp_is_the_same_each_time_and_small() -> None:
    assert unpack.program() == unpack.program()
    assert len(unpack.program()) < 1 << 16
