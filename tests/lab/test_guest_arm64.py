"""A gateway of arm64, cross-built here and emulated, beside an ordinary node of this machine.

[a]  lan-br 10.1.0.100 -- lan-a [guest] wan-a -- wan-br -- veth0 ---- veth0 [b] node
                         10.1.0.2       192.0.2.1                192.0.2.2      10.9.0.2
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.guest import Guest, private_key, public_key, unpack
from tests.lab.interop import Bench, bench, wait_for
from tests.lab.test_guest import CONFINED
from wgnode.image import build, sbom
from wgnode.image.architecture import ARM64
from wgnode.image.archive import read_members
from wgnode.image.build import PROJECT, cache_directory
from wgnode.image.variants import Variant
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

pytestmark = [pytest.mark.lab, pytest.mark.sampled(0)]
LOCKS = PROJECT / "image.lock", PROJECT / "requirements.lock"
HANDSHAKE = 60.0
"""Seconds: plain Python, emulated, on a busy machine."""


def built(output: Path) -> Path:
    """The image of arm64."""
    made = build.build(output, *LOCKS, variant=Variant.PLAIN, architecture=ARM64, renew_if_gone=True)
    return Path(made.path)


@pytest.fixture(scope="module")
def image() -> Path:
    return built(PROJECT / "build" / "image" / Variant.PLAIN.file_of(ARM64))


@pytest.fixture(scope="module")
def qemu() -> Path:
    """Debian's package for this machine, unpacked beside other caches: its libraries are qemu-system-x86's."""
    target = cache_directory() / "qemu-system-arm"
    program = target / "usr/bin/qemu-system-aarch64"
    if not program.exists():
        making = target.with_name(f"{target.name}.{secrets.token_hex(3)}")
        making.mkdir(parents=True)
        subprocess.run(["apt-get", "-q", "download", "qemu-system-arm"], cwd=making, check=True, capture_output=True)
        (package,) = making.glob("*.deb")
        subprocess.run(["dpkg", "-x", package, making], check=True)
        making.rename(target)
    return program


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


def configured(peer_key: bytes) -> tuple[NodeConfig, NodeSecrets]:
    key = private_key()
    peer = PeerConfig("node", (peer_key,), ("10.9.0.2/32",), "192.0.2.2:51820", persistent_keepalive=1)
    config = NodeConfig(
        mesh="test",
        name="a",
        public_keys=(public_key(key),),
        listen_port=51820,
        addresses=("10.9.0.1/32",),
        transit=LinkConfig("52:54:00:77:67:01", ("192.0.2.1/24",), ("192.0.2.254",)),
        lan=LinkConfig("52:54:00:77:68:01", ("10.1.0.2/24",)),
        peers=(peer,),
    )
    return config, NodeSecrets((key,))


def bridges(cable: Bench) -> None:
    """The guest gets the address of the cable's end, and a client of its LAN is beside it."""
    for command in (
        "ip address flush dev veth0",
        "ip link add wan-br type bridge",
        "ip link add lan-br type bridge",
        "ip tuntap add wan-a mode tap",
        "ip tuntap add lan-a mode tap",
        "ip link set veth0 master wan-br",
        "ip link set wan-a master wan-br up",
        "ip link set lan-a master lan-br up",
        "ip link set wan-br up",
        "ip link set lan-br up",
        "ip address add 10.1.0.100/24 dev lan-br",
        "ip route add 10.9.0.2 via 10.1.0.2",
    ):
        cable.spaces[0].run(*command.split())


def test_a_gateway_of_arm64_boots_confined_and_a_packet_of_its_lan_reaches_a_node(
    cable: Bench, image: Path, qemu: Path, tmp_path: Path
) -> None:
    node = cable.node(2)
    config, node_secrets = configured(base64.b64decode(node.public_key))
    node.set("peer", base64.b64encode(config.public_keys[0]).decode(), "allowed-ips", "10.9.0.1/32,10.1.0.0/24")
    node.namespace.run("ip", "route", "add", "10.1.0.0/24", "dev", node.interface)
    bridges(cable)
    guest = Guest(
        unpack(image, tmp_path), cable.spaces[0].name, "a", config, node_secrets, tmp_path, architecture="arm64",
        qemu=qemu,
    )  # fmt: skip
    try:
        guest.boot()
        guest.start_hostd()
        health = guest.wait_for_status()
        assert (health["dataplane"], health["loaded"]) == ("python", config.digest)
        assert (health["confinement"], health["unconfined"]) == (CONFINED, []), guest.console
        wait_for(node.handshake, f"no handshake: {guest.console}", HANDSHAKE)
        answered = cable.spaces[0].run("ping", "-n", "-c", "3", "-W", "10", "-s", "1300", "10.9.0.2")
        assert " 0% packet loss" in answered, answered
        assert node.show("endpoints") == "192.0.2.1:51820"
    finally:
        guest.stop()


def test_an_image_of_arm64_says_so_in_its_description_and_its_bill(image: Path) -> None:
    members = read_members(image)
    assert members.description["architecture"] == "arm64"
    purls = [one.get("purl", "") for one in sbom.bill(members)["components"]]
    debian = [purl for purl in purls if purl.startswith("pkg:deb/")]
    assert debian
    assert all("?arch=arm64&" in purl for purl in debian), debian


def test_it_is_built_anew_byte_for_byte(image: Path, tmp_path: Path) -> None:
    again = built(tmp_path / "again.tar")
    assert again.read_bytes() == image.read_bytes()
    assert json.loads((tmp_path / "again.tar.stamp").read_text())["fresh"]
