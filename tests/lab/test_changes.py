"""Changes of a mesh that is in use: peers live and without a lost packet, guests replaced and rolled back."""

from __future__ import annotations

import io
import tarfile
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from lab.deployment import Deployment
from tests.lab.environment import (
    CABIN,
    HEALTH,
    SITES,
    add_site,
    changed,
    health,
    is_clean,
    peers_of,
    reachable,
    remove_site,
    up_all,
)

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("trouble"), pytest.mark.sampled(2, of="the file")]

ARP = 0x0806
ROME, ROME_LAN = "192.0.2.99:51820", "10.3.0.0/24"


@pytest.fixture(scope="module")
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


def booted(lab: Lab) -> dict[str, str]:
    """Which boot of which gateway this is: what it loaded, and the process that runs it."""
    pid = "systemctl show --property=MainPID --value wgnode-gateway"
    return {site: f"{health(lab, site)['loaded']} {lab.host_ssh(site, pid).stdout}" for site in SITES}


def await_health(lab: Lab, site: str, limit: float = 180.0) -> dict[str, Any]:
    """Its report as soon as its node runs; generous, for emulation on a busy machine."""
    deadline = time.monotonic() + limit
    while lab.host_ssh(site, HEALTH, check=False).returncode != 0:
        assert time.monotonic() < deadline, f"the gateway of {site} does not run"
        time.sleep(0.5)
    return health(lab, site)


def test_a_site_joins_changes_and_leaves_without_a_restart_or_a_lost_packet(lab: Lab, deployed: Deployment) -> None:
    before = booted(lab)
    with lab.stream("berlin.client", CABIN) as pings:
        add_site(deployed, "rome", ROME_LAN, ROME)
        up_all(deployed)
        joined = {site: peers_of(lab, site).get("rome") for site in SITES}
        routes = lab.host_ssh("berlin", "ip route").stdout
        deployed.configure("dev-mesh", {"mesh.sites.rome.lans[0]": "10.4.0.0/24"})
        up_all(deployed, "berlin")
        moved = peers_of(lab, "berlin")["rome"]
        remove_site(deployed, "rome")
        up_all(deployed)
    assert pings.lost == 0
    assert pings.received > 20
    assert booted(lab) == before, "no guest was restarted"
    for peer in joined.values():
        assert peer is not None
        assert (ROME_LAN in peer["allowed_ips"], peer["endpoint"]) == (True, ROME)
    assert "10.3.0.0/24 via 10.1.0.2" in routes
    assert "10.4.0.0/24" in moved["allowed_ips"]
    assert ROME_LAN not in moved["allowed_ips"]
    assert all("rome" not in peers_of(lab, site) for site in SITES)
    assert is_clean(deployed, "dev-berlin")


def test_a_change_of_the_port_reaches_both_ends_live(lab: Lab, deployed: Deployment) -> None:
    """Each side learns it at its own `up`; then they meet again by themselves."""
    before = booted(lab)
    port = health(lab, "berlin")["listen_port"] + 1
    deployed.configure("dev-mesh", {"mesh.listenPort": f"{port}", "mesh.sites.berlin.endpoint": f"198.51.100.2:{port}"})
    up_all(deployed)
    assert reachable(lab)
    assert health(lab, "berlin")["listen_port"] == port
    assert booted(lab) == before


def test_after_a_panic_of_the_guest_a_peer_that_came_live_is_there_again(lab: Lab, deployed: Deployment) -> None:
    add_site(deployed, "rome", ROME_LAN, ROME)
    up_all(deployed, "cabin")
    before = health(lab, "cabin")
    assert before["loaded"] != before["applied"]
    exhaust_memory(lab, "cabin")
    report = await_health(lab, "cabin")
    assert report["loaded"] == report["applied"] == before["applied"]
    assert "Kernel panic" in lab.host_ssh("cabin", "journalctl -u wgnode-gateway -o cat --no-pager").stdout
    assert ROME_LAN in peers_of(lab, "cabin")["rome"]["allowed_ips"]
    assert reachable(lab)
    assert is_clean(deployed, "dev-cabin")
    remove_site(deployed, "rome")
    up_all(deployed, "cabin")


def exhaust_memory(lab: Lab, site: str) -> None:
    """More allowed IPs than the guest has memory for: its kernel has nothing to kill but PID 1, and panics.

    In requests of a size that hostd takes.
    """
    script = (
        "python3 - <<'END'\n"
        "import socket\n"
        "for a in range(64, 72):\n"
        "    s = socket.socket(socket.AF_UNIX); s.connect('/run/wgnode/uapi.sock'); s.settimeout(60)\n"
        "    nets = ''.join(f'allowed_ip=100.{a}.{b}.{c}/32\\n' for b in range(256) for c in range(256))\n"
        "    s.sendall(('set=1\\npublic_key=' + '01' * 32 + '\\n' + nets + '\\n').encode())\n"
        "    print(s.recv(100))\n"
        "END"
    )
    before = lab.host_ssh(site, "systemctl show --property=MainPID --value wgnode-gateway").stdout
    lab.host_ssh(site, script, check=False)
    deadline = time.monotonic() + 90
    while lab.host_ssh(site, "systemctl show --property=MainPID --value wgnode-gateway").stdout in (before, "0\n"):
        assert time.monotonic() < deadline, "the guest did not panic"
        time.sleep(0.5)


def previewed(deployed: Deployment) -> str:
    done = deployed.pulumi(["preview", "--stack", "dev-berlin"])
    return done.stdout + done.stderr


def test_a_preview_tells_of_an_outage_a_lock_out_and_an_interface_that_is_not_there(
    lab: Lab, deployed: Deployment
) -> None:
    before, file = booted(lab), deployed.folder / "stacks" / "Pulumi.dev-berlin.yaml"
    kept = file.read_bytes()
    try:
        networks = {f"site.managementNetworks[{place}]": f"10.9.{place}.0/24" for place in range(2)}
        deployed.configure("dev-berlin", {"site.gateway.memory": "200", **networks})
        shown = previewed(deployed)
        assert "a new guest is needed, an outage until it has booted: machine.memory is to be 200 MiB" in shown
        assert "the firewall would lock us out: our SSH comes from 192.0.2." in shown
        deployed.configure("dev-berlin", {"site.uplink": "wan9"})
        shown = previewed(deployed)
        assert "would be refused: host " in shown
        assert "there is no uplink interface wan9; there are " in shown
    finally:
        file.write_bytes(kept)
    assert is_clean(deployed, "dev-berlin"), "previews changed nothing"
    assert booted(lab) == before


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("by_hand", "named"),
    [
        ("wg set berlin peer $PEER allowed-ips 10.2.0.0/24,10.9.0.0/16", "10.9.0.0/16"),
        ("wg set berlin peer $PEER persistent-keepalive 7", "keepalive "),
        ("wg set berlin peer $(wg genkey | wg pubkey) allowed-ips 10.77.0.0/16", "10.77.0.0/16"),
        ("wg set berlin fwmark 0x99", "153"),
    ],
)
def test_a_running_node_changed_by_hand_is_named_and_changed_back_live(
    lab: Lab, deployed: Deployment, by_hand: str, named: str
) -> None:
    before = booted(lab)
    with lab.stream("berlin.client", CABIN) as pings:
        lab.host_ssh("berlin", f"PEER=$(wg show berlin peers | head -n 1); {by_hand}")
        shown = deployed.pulumi(["preview", "--diff", "--stack", "dev-berlin"]).stdout
        assert named in shown
        assert set(changed(deployed, "dev-berlin")) == {"site-gateway"}
        deployed.up("dev-berlin")
        assert is_clean(deployed, "dev-berlin")
    assert pings.lost == 0
    assert booted(lab) == before


def test_a_peer_removed_by_hand_is_named_and_comes_back(lab: Lab, deployed: Deployment) -> None:
    before = booted(lab)
    lab.host_ssh("berlin", "wg set berlin peer $(wg show berlin peers) remove")
    shown = deployed.pulumi(["preview", "--diff", "--stack", "dev-berlin"]).stdout
    assert "peers" in shown
    assert "cabin" in shown
    deployed.up("dev-berlin")
    assert reachable(lab)
    assert booted(lab) == before


FILES = "/var/lib/wgnode/gateway"


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (f"chmod 0644 {FILES}/secrets.cpio", "secrets"),
        (f"chown root {FILES}/secrets.cpio", "secrets"),
        (f"printf x >> {FILES}/config.cpio", "config"),
        (f"rm {FILES}/bundle.sealed", "bundle"),
        ("chmod 0600 /etc/systemd/system/wgnode-gateway.service", "gatewayUnit"),
        ("systemctl disable wgnode-gateway.service", "wgnode-gateway.service"),
        (
            "cp /var/lib/wgnode/hostd/*.pyz /tmp/h; rm /var/lib/wgnode/hostd/*.pyz;"
            " mv /tmp/h /var/lib/wgnode/hostd/0123456789abcdef.pyz",
            "hostd",
        ),
    ],
)
def test_files_changed_by_hand_are_named_and_mended_under_the_running_guest(
    lab: Lab, deployed: Deployment, harm: str, name: str
) -> None:
    before = booted(lab)
    lab.host_ssh("cabin", harm)
    assert name in deployed.pulumi(["preview", "--diff", "--stack", "dev-cabin"]).stdout
    deployed.up("dev-cabin")
    assert is_clean(deployed, "dev-cabin")
    assert booted(lab) == before


def test_a_bigger_guest_takes_over_with_the_same_addresses_and_announces_them(lab: Lab, deployed: Deployment) -> None:
    before = health(lab, "cabin")
    kept = lab.host_ssh("cabin", "cat /var/lib/wgnode/state/peers.json").stdout
    deployed.configure("dev-cabin", {"site.gateway.memory": "160"})
    with lab.capture("cabin.client") as packets, lab.stream("berlin.client", CABIN) as pings:
        deployed.up("dev-cabin")
        assert reachable(lab)
    print(f"outage at a replacement: {pings.longest_gap:.1f} s, {pings.lost} of {pings.received + pings.lost} pings")
    announced = [ip_address(p.data[14:18]) for p in packets if p.ethertype == ARP and p.data[14:18] == p.data[24:28]]
    assert ip_address("10.2.0.2") in announced, "gratuitous ARP"
    after = health(lab, "cabin")
    assert after["uptime"] < before["uptime"] or after["uptime"] < 120
    assert {peer["name"] for peer in after["peers"] if peer["last_handshake"]} == {"berlin"}
    assert "-m 160 " in lab.host_ssh("cabin", "tr '\\0' ' ' < /proc/$(pgrep -o qemu)/cmdline").stdout
    assert '"tai64n"' in kept
    assert is_clean(deployed, "dev-cabin")


def broken_image(source: Path, target: Path) -> Path:
    """The same kernel with nothing to run in it."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old.getmembers():
            data = old.extractfile(member)
            content = data.read() if data is not None else b""
            if member.name == "initramfs.zst":
                content = b""
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return target


def test_an_image_that_does_not_run_is_rolled_back_and_the_good_one_stays(
    lab: Lab, deployed: Deployment, tmp_path: Path
) -> None:
    before = health(lab, "cabin")
    image = broken_image(deployed.image, tmp_path / "broken.tar")
    deployed.configure("dev-cabin", {"site.gateway.image": str(image)})
    failed = deployed.up("dev-cabin", check=False)
    said = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "The former gateway runs again" in said
    assert "Kernel panic" in said, "and why the new one did not"
    assert reachable(lab)
    assert health(lab, "cabin")["applied"] == before["applied"]
    deployed.configure("dev-cabin", {"site.gateway.image": str(deployed.image)})
    deployed.up("dev-cabin")
    assert reachable(lab)
    assert is_clean(deployed, "dev-cabin")
    assert len(lab.host_ssh("cabin", "ls /var/lib/wgnode/images").stdout.split()) == 1
    assert "previous" not in lab.host_ssh("cabin", "ls /var/lib/wgnode/gateway").stdout
