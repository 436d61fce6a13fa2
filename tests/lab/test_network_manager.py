"""What a device is given, as NetworkManager's importer reads it: `nmcli connection import type wireguard`.

NetworkManager and its bus run in namespaces of their own, from Debian's packages unpacked into the cache. They activate
nothing: that needs the kernel's WireGuard.
"""

from __future__ import annotations

import hashlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.rootfs import cache_directory
from tests.lab.interop import Namespace, run
from tests.lab.test_users import PHONE, SECRET, compiled, public_of
from tests.unit.topology.meshes import lans_of
from wgnode.cli import clientconfig
from wgnode.nodeconfig import encode_key
from wgnode.topology import users

pytestmark = pytest.mark.lab
PACKAGES = (
    "network-manager",
    "libnm0",
    "libndp0",
    "libteamdctl0",
    "libjansson4",
    "libmm-glib0",
    "libbluetooth3",
    "libpsl5",
)
PACKAGES += (
    "libcurl3-gnutls",
    "libpolkit-gobject-1-0",
    "libpolkit-agent-1-0",
    "libreadline8",
    "dbus-daemon",
    "libdbus-1-3",
)
SHOWN = ("connection.type", "ipv4.method", "ipv4.addresses", "ipv6.method", "ipv6.addresses", "wireguard.private-key")
SCRIPT = """set -e
mount --make-rprivate /
for d in usr etc var; do
    mkdir -p "$WORK/$d.upper" "$WORK/$d.work" "$TOOLS/$d"
    mount -t overlay none -o "lowerdir=$TOOLS/$d:/$d,upperdir=$WORK/$d.upper,workdir=$WORK/$d.work" "/$d"
done
mount -t tmpfs none /run
mkdir -p /run/dbus /etc/NetworkManager/system-connections
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LD_LIBRARY_PATH=$TOOLS/usr/lib/x86_64-linux-gnu LC_ALL=C
printf '[main]\nplugins=keyfile\nauth-polkit=false\ndhcp=internal\n[keyfile]\nunmanaged-devices=*\n' \
    >/etc/NetworkManager/NetworkManager.conf
grep -q ^messagebus: /etc/passwd || echo messagebus:x:999:999::/nonexistent:/bin/false >>/etc/passwd
dbus-daemon --system --fork --nopidfile --print-pid >/run/bus
NetworkManager --no-daemon >/run/log 2>&1 & daemon=$!
trap 'kill $daemon $(cat /run/bus)' EXIT
for turn in $(seq 300); do nmcli -t -f RUNNING general 2>/dev/null | grep -q '^running' && break; sleep 0.1; done
nmcli connection import type wireguard file "$CONFIG" || { cat /run/log; exit 1; } >&2
for name in $SHOWN; do echo "$name=$(nmcli -s -g "$name" connection show w0)"; done
sed -n '/^\\[wireguard-peer/,/^$/p' /etc/NetworkManager/system-connections/w0.nmconnection
"""


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder where the packages are unpacked; fetched by the machine's own apt the first time."""
    target = cache_directory() / f"network-manager-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:8]}"
    if not target.is_dir():
        making = Path(f"{target}.{secrets.token_hex(3)}")
        making.mkdir(parents=True)
        subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=making, check=True, capture_output=True)
        for package in making.glob("*.deb"):
            run("dpkg", "-x", package, making)
        making.rename(target)
    return target


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace(f"wgn-{secrets.token_hex(3)}")
    try:
        yield made
    finally:
        made.close()


def test_the_printed_configuration_is_imported_word_for_word(tools: Path, space: Namespace, tmp_path: Path) -> None:
    private = secrets.token_bytes(32)
    topology, _, _ = compiled(private, "host-route")
    preshared = users.preshared_key(SECRET, public_of(private))
    config = clientconfig.of_device(
        topology, "berlin", PHONE, encode_key(private), preshared, lans_of(topology, *PHONE)
    )
    (tmp_path / "w0.conf").write_text(config.text())
    environment = {"WORK": tmp_path, "TOOLS": tools, "CONFIG": tmp_path / "w0.conf", "SHOWN": " ".join(SHOWN)}
    words = (
        "env",
        *(f"{name}={value}" for name, value in environment.items()),
        "unshare",
        "--mount",
        "bash",
        "-c",
        SCRIPT,
    )
    lines = space.run(*words, timeout=120).splitlines()
    shown = dict(line.split("=", 1) for line in lines if "=" in line)
    assert shown["connection.type"] == "wireguard"
    assert (shown["ipv4.method"], shown["ipv4.addresses"]) == ("manual", "10.1.0.130/32")
    assert (shown["ipv6.method"], shown["ipv6.addresses"].replace("\\:", ":")) == ("manual", "fd00:10:1::1001/128")
    assert shown["wireguard.private-key"] == encode_key(private)
    assert f"[wireguard-peer.{encode_key(topology.sites['berlin'].public_keys[0])}]" in lines
    assert shown["endpoint"] == "172.31.255.254:51820"
    assert shown["preshared-key"] == encode_key(preshared)
    assert shown["persistent-keepalive"] == "25"
    assert sorted(shown["allowed-ips"].strip(";").split(";")) == sorted(config.reached)
