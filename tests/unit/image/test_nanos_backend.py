"""Nanos as a backend: its unit, what runs there on a host, and what is refused by name before anything is changed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.exposure import exposure, judged
from tests.nanos_parts import bring
from tests.unit.image.test_nanos_image import FILES
from tests.unit.platform.test_nanos import CONFIG, TOLD
from wgnode.image import backends, cpio, layers
from wgnode.image.backends.nanos import PARTS, WARNING, Nanos, layers_script
from wgnode.image.build import compress
from wgnode.image.nanos import host
from wgnode.image.paths import PLAIN, Paths
from wgnode.image.units import GatewayUnit
from wgnode.nodeconfig import NodeSecrets

UNIT = GatewayUnit("berlin", "/var/lib/wgnode/images/ab", "52:54:00:01:02:03")
SERVICE = Nanos().service(UNIT)
SECRETS = NodeSecrets((b"\1" * 32,))


def settings(text: str, key: str) -> list[str]:
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_its_unit_runs_our_program_with_the_parts_the_layers_and_qemu() -> None:
    (start,) = settings(SERVICE, "ExecStart")
    program, qemu = start.split(" -- ")
    assert program.split() == [
        "/usr/bin/python3", "-I", "/var/lib/wgnode/gateway/nanos.pyz", PARTS, "/var/lib/wgnode/images/ab/initramfs.zst",
        "/run/wgnode-start/config.cpio", "/run/wgnode-start/secrets.cpio", "/var/cache/wgnode-nanos",
        "/run/wgnode-qemu/control.sock",
    ]  # fmt: skip
    assert "ifname=wgnode-wan" in qemu
    assert "mac=52:54:00:01:02:03" in qemu
    assert "path=/run/wgnode-qemu/share" in qemu
    assert settings(SERVICE, "User") == settings(SERVICE, "Group") == ["wgnode-qemu"]
    assert settings(SERVICE, "UMask") == ["0007"], "the control socket is its group's, where hostd is"
    assert settings(SERVICE, "RestrictAddressFamilies") == ["AF_UNIX AF_INET"]
    assert settings(SERVICE, "CacheDirectoryMode") == ["0700"]
    assert "DeviceAllow=/dev/kvm" not in SERVICE
    kvm = Nanos().service(replace(UNIT, accelerator="kvm"))
    assert "DeviceAllow=/dev/kvm rw" in kvm
    assert settings(kvm, "MemoryDenyWriteExecute") == ["yes"]
    other = Nanos().service(replace(UNIT, paths=Paths("0a1b2c3d")))
    assert "/var/cache/wgnode-nanos-0a1b2c3d/nanos.img" in other


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_root_leaves_the_layers_to_qemu_s_user_alone(tmp_path: Path) -> None:
    script = layers_script(PLAIN).replace(PLAIN.machine_user, "nobody").replace("-g nobody", "-g root")
    for path in (PLAIN.gateway, PLAIN.start):
        script = script.replace(path, f"{tmp_path}{path}")
    kept = Path(f"{tmp_path}{PLAIN.gateway}")
    kept.mkdir(parents=True)
    for name in ("config.cpio", "secrets.cpio"):
        (kept / name).write_text(name)
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", script], check=True, timeout=20)
    for name in ("config.cpio", "secrets.cpio"):
        made = Path(f"{tmp_path}{PLAIN.start}") / name
        assert (made.read_text(), stat.S_IMODE(made.stat().st_mode), made.owner()) == (name, 0o400, "nobody")


def test_what_it_is_called_makes_it_no_other_machine_and_all_else_does() -> None:
    nanos = Nanos()
    assert nanos.same_machine(SERVICE, nanos.service(replace(UNIT, name="paris")))
    for change in ({"memory": 200}, {"cpus": 2}, {"lan_mac": "52:54:00:00:00:09"}, {"image": "/other"}):
        assert not nanos.same_machine(SERVICE, nanos.service(replace(UNIT, **change))), change


def test_what_it_can_not_do_is_refused_by_name_and_it_is_said_to_be_experimental() -> None:
    asked = {"masquerade": True, "proxyArp": True, "accelerator": "kvm", "udpSegmentation": True}
    assert [what for what, _ in backends.refusals("nanos", asked)] == ["masquerade", "proxyArp"]
    machine = {"backend": "nanos"}
    assert backends.warning(machine) == WARNING
    assert backends.misfits(machine, CONFIG) == []
    assert backends.misfits(machine, replace(CONFIG, addresses=("fd00::1/128",))) != []
    for other in ({}, {"backend": "process"}):
        assert backends.warning(other) is None
        assert backends.misfits(other, replace(CONFIG, addresses=("fd00::1/128",))) == []


@pytest.fixture
def start(tmp_path: Path) -> host.Start:
    bring(tmp_path / "nanos")
    entries = {path: cpio.file(data) for path, data in FILES.items()} | {"init": cpio.file(b"#!")}
    (tmp_path / "initramfs.zst").write_bytes(compress(cpio.pack(entries)))
    (tmp_path / "config.cpio").write_bytes(layers.config_layer(CONFIG))
    (tmp_path / "secrets.cpio").write_bytes(layers.secrets_layer(SECRETS))
    qemu = tmp_path / "qemu"
    qemu.write_text(f'#!/bin/sh\necho "guest says $*"\nls {tmp_path}/cache > {tmp_path}/seen\nexit 7\n')
    qemu.chmod(0o755)
    names = ("nanos", "initramfs.zst", "config.cpio", "secrets.cpio", "cache", "control.sock")
    return host.Start.of([*(str(tmp_path / name) for name in names), "--", str(qemu), "-x"])


def arguments(start: host.Start) -> list[str]:
    paths = (start.parts, start.image, start.config, start.secrets, start.folder, start.control)
    return [*map(str, paths), "--", *start.qemu]


def run_program(tmp_path: Path, given: list[str]) -> subprocess.CompletedProcess[str]:
    """With nothing of this clone in reach, as on a host."""
    (tmp_path / "nanos.pyz").write_bytes(Nanos().programs(Paths())["runner"][1])
    command = [sys.executable, "-IS", str(tmp_path / "nanos.pyz"), *given]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)


def test_the_program_makes_image_and_share_of_the_layers_and_ends_as_qemu_does(
    start: host.Start, tmp_path: Path
) -> None:
    """Row: share, two-cards."""
    done = run_program(tmp_path, arguments(start))
    assert (done.returncode, done.stdout) == (7, "guest says -x\n"), done.stderr
    assert (tmp_path / "seen").read_text().split() == ["nanos.img"]
    disk = json.loads((start.folder / "nanos.img").read_bytes())
    assert disk["root"]["en2"]["ipaddr"] == "192.168.7.1"
    assert "root:/usr/bin/python3.13" in disk["files"]
    assert (tmp_path / "share/config.json").read_bytes() == CONFIG.to_json()
    assert (tmp_path / "share/secrets.json").read_bytes() == SECRETS.to_json()
    assert stat.S_IMODE((tmp_path / "share").stat().st_mode) == 0o700
    for file in (tmp_path / "share").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"privateKeys" not in (start.folder / "nanos.img").read_bytes()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("nanos/kernel.img", "kernel: .*kernel.img is not there; write `#define IP_FORWARD 1`"),
        ("nanos/mkfs", "mkfs: .*is not there"),
        ("config.cpio", "No such file"),
        ("initramfs.zst", "No such file"),
    ],
)
def test_what_is_missing_is_its_last_word(start: host.Start, tmp_path: Path, broken: str, why: str) -> None:
    (tmp_path / broken).unlink()
    done = run_program(tmp_path, arguments(start))
    assert done.returncode == 1
    assert done.stderr.startswith("<3>this gateway can't be started: ")
    assert re.search(why, done.stderr), done.stderr
    assert not (tmp_path / "seen").exists()


def test_a_configuration_that_does_not_fit_is_not_started(start: host.Start, tmp_path: Path) -> None:
    start.config.write_bytes(layers.config_layer(replace(CONFIG, addresses=("fd00::1/128",))))
    done = run_program(tmp_path, arguments(start))
    assert (done.returncode, "Nanos forwards IPv4 only" in done.stderr) == (1, True)


def test_wrong_arguments_are_told() -> None:
    for given in ([], ["a", "b"], ["a", "b", "c", "d", "e", "f", "g", "h"]):
        with pytest.raises(ValueError, match="PARTS IMAGE"):
            host.Start.of(given)


def running(start: host.Start, told: Any, during: Callable[[], Awaitable[None]]) -> None:
    """What runs beside QEMU, which is a program that waits."""

    async def both() -> None:
        task = asyncio.create_task(host.run(replace(start, qemu=("sleep", "60")), told))
        try:
            for _ in range(500):
                if start.control.exists():
                    break
                await asyncio.sleep(0.01)
            await asyncio.wait_for(during(), 20)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(both())


def test_the_control_channel_is_handed_on_both_ways_to_one_client_after_another(start: host.Start) -> None:
    """Row: control-tcp."""

    async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    async def during() -> None:
        assert stat.S_IMODE(start.control.stat().st_mode) == 0o770
        for _ in range(2):
            reader, writer = await asyncio.open_unix_connection(str(start.control))
            assert await reader.readexactly(5) == b"hello"
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"PING"
            writer.close()

    async def with_guest() -> None:
        server = await asyncio.start_server(guest, "127.0.0.1", port)
        async with server:
            await during()

    port = free_port()
    running(start, replace(TOLD, port=port), with_guest)


def test_while_there_is_no_guest_a_client_is_hung_up_on(start: host.Start) -> None:
    async def during() -> None:
        reader, writer = await asyncio.open_unix_connection(str(start.control))
        assert await reader.read() == b""
        writer.close()

    running(start, replace(TOLD, port=free_port()), during)


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@judged
def test_systemd_finds_little_that_its_unit_may_do(tmp_path: Path) -> None:
    found = exposure(SERVICE, tmp_path)
    print(f"systemd-analyze security, backend nanos: {found}")
    assert found <= 2.0
