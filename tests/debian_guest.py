"""A stock Debian guest with systemd and wireguard-tools, to hold the appliance against. Built once, kept in the cache.

Debian 13 as mmdebstrap makes it, with its own cloud kernel and initial file system (initramfs-tools), on one virtio
disk; QEMU is handed kernel and initial file system directly, which spares it firmware and boot loader.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import rootfs
from tests.lab.guest import private_key, public_key
from wgnode.image.machine import EMULATED_PROCESSOR, QEMU, TRANSLATION_CACHE

SUITE = "trixie"
PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools", "zstd", "systemd-sysv", "systemd-resolved", "udev", "dbus")
PACKAGES += ("iproute2", "wireguard-tools", "openssh-server", "python3", "kmod")
SIZE = "1536M"
MAC = "52:54:00:77:69:01"
ADDRESS, PEER_ADDRESS, INNER, PEER_INNER = "198.51.100.2/24", "198.51.100.1", "10.99.0.2/24", "10.99.0.1"
NETWORK = f"[Match]\nMACAddress={MAC}\n\n[Network]\nAddress={ADDRESS}\n"
UNIT = r"""[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'tr -d "\\000" </dev/vdb | python3 - >/dev/ttyS0'
[Install]
WantedBy=graphical.target
"""


@dataclass(frozen=True)
class Debian:
    """`root` is the unpacked system; `keys` are the guest's private key and its peer's."""

    directory: Path

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def disk(self) -> Path:
        return self.directory / "disk.ext4"

    @property
    def keys(self) -> tuple[bytes, bytes]:
        own, peer = json.loads((self.directory / "keys.json").read_text())
        return base64.b64decode(own), base64.b64decode(peer)

    def boot_file(self, pattern: str) -> str:
        (found,) = (self.root / "boot").glob(pattern)
        return str(found)


def ensure() -> Debian:
    """From the cache, or made anew (some minutes, 1 GB). Raises LabError."""
    recipe = [SUITE, PACKAGES, SIZE, NETWORK, UNIT]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    target = rootfs.cache_directory().with_name("debian-guest") / digest
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as work:
            _build(Path(work, "whole"))
            Path(work, "whole").rename(target)
        for other in target.parent.iterdir():
            if other != target and not other.name.startswith(".build-"):
                shutil.rmtree(other, ignore_errors=True)
    return Debian(target)


def _build(directory: Path) -> None:
    directory.mkdir()
    sources = directory / "sources.list"
    sources.write_text(rootfs.apt_sources(SUITE))
    own, peer = private_key(), private_key()
    (directory / "keys.json").write_text(json.dumps([base64.b64encode(each).decode() for each in (own, peer)]))
    root = directory / "root"
    command = ["unshare", "--mount", "mmdebstrap", "--variant=minbase", "--mode=root", "--dpkgopt=force-unsafe-io"]
    command += ['--aptopt=APT::Install-Recommends "false"', *rootfs.apt_options(), f"--include={','.join(PACKAGES)}"]
    subprocess.run([*command, SUITE, str(root), str(sources)], check=True)
    config = [f"[Interface]\nPrivateKey = {_text(own)}\nAddress = {INNER}\nListenPort = 51820\n"]
    config += [f"[Peer]\nPublicKey = {_text(public_key(peer))}\nAllowedIPs = {PEER_INNER}/32"]
    config += [f"Endpoint = {PEER_ADDRESS}:51820\nPersistentKeepalive = 1\n"]
    _write(root, "etc/wireguard/wg0.conf", "\n".join(config), 0o600)
    _write(root, "etc/systemd/network/10-wan.network", NETWORK)
    _write(root, "etc/systemd/system/facts.service", UNIT)
    _write(root, "etc/fstab", "/dev/vda / ext4 rw,errors=remount-ro 0 1\n")
    units = ("systemd-networkd.service", "wg-quick@wg0.service", "facts.service")
    subprocess.run(["systemctl", f"--root={root}", "enable", *units], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(root), str(directory / "disk.ext4"), SIZE], check=True)


def command(debian: Debian, tap: str, console: Path, program: Path, memory: int = 512) -> list[str]:
    """QEMU's, with the processor and the accelerator that the appliance has in the same test.

    `program` is Python that the guest runs when it has booted; what it prints is on the console.
    """
    arguments = [QEMU, "-name", "debian", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    arguments += ["-M", "q35", "-accel", f"tcg,thread=single,tb-size={TRANSLATION_CACHE}", "-cpu", EMULATED_PROCESSOR]
    arguments += ["-m", str(memory), "-kernel", debian.boot_file("vmlinuz-*"), "-initrd", debian.boot_file("initrd.*")]
    arguments += ["-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1"]
    arguments += ["-drive", f"file={debian.disk},format=raw,if=none,id=disk,snapshot=on"]
    arguments += ["-drive", f"file={program},format=raw,if=none,id=program,readonly=on"]
    arguments += ["-device", "virtio-blk-pci,drive=disk", "-device", "virtio-blk-pci,drive=program"]
    arguments += ["-chardev", f"file,id=console,path={console},append=on"]
    arguments += ["-serial", "chardev:console", "-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no"]
    arguments += ["-device", f"virtio-net-pci,netdev=net0,mac={MAC}"]
    return [*arguments, "-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"]


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _write(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.chmod(file, mode)
