"""The whole chain by the real engine: three `pulumi up`s, packets between the LANs, drift, repair, removal."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from lab.deployment import ROOT, Deployment
from lab.plan import INTERNET
from pulumi_wgnode.hosts.judging import features
from tests.lab.environment import CABIN, CABIN6, SITES, changed, reachable, unreachable
from tests.lab.leaks import leaks
from wgnode.image.machine import UDP_SEGMENTATION
from wgnode.image.paths import PLAIN
from wgnode.nodeconfig import encode_key

pytestmark = pytest.mark.lab

LANS = [ip_network(lan) for lan in ("10.1.0.0/24", "10.2.0.0/24", "fd00:10:1::/64", "fd00:10:2::/64")]


@pytest.fixture(scope="module")
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


def test_clients_of_both_lans_exchange_packets_and_a_file(lab: Lab, deployed: Deployment) -> None:
    for address in (CABIN, CABIN6):
        assert lab.ping("berlin.client", address, count=3, deadline=20)
        assert lab.transfer("berlin.client", "cabin.client", address, 1 << 20).intact


def test_the_internet_sees_wireguard_datagrams_and_no_lan_address(lab: Lab, deployed: Deployment) -> None:
    with lab.capture(INTERNET) as packets:
        assert lab.transfer("berlin.client", "cabin.client", CABIN, 1 << 20).intact
    addresses = set()
    wireguard = 0
    for packet in packets:
        if packet.data[0] >> 4 == 4:
            addresses |= {ip_address(packet.data[12:16]), ip_address(packet.data[16:20])}
            ports = {int.from_bytes(packet.data[20:22], "big"), int.from_bytes(packet.data[22:24], "big")}
            wireguard += packet.data[9] == 17 and 51820 in ports
        elif packet.data[0] >> 4 == 6:
            addresses |= {ip_address(packet.data[8:24]), ip_address(packet.data[24:40])}
    assert wireguard > 700, "the file did not pass as datagrams of the WireGuard port"
    assert not [address for address in addresses for lan in LANS if address in lan]


def kept_sizes(lab: Lab, site: str) -> set[int]:
    """By hostd, which writes what it has read a moment later, or half a minute; of each own address that was known."""
    kept = json.loads(lab.host_ssh(site, f"cat {PLAIN.hostd_state}/path-mtu.json").stdout)
    return {one["size"] for entries in kept["peers"].values() for one in entries}


def test_each_site_tells_what_passes_to_the_other_and_its_host_remembers_it(lab: Lab, deployed: Deployment) -> None:
    assert lab.ping("berlin.client", CABIN, count=3, deadline=20)
    done = deployed.wgnode(["mtu", "--json", "--probe"])
    assert done.returncode == 0, done.stdout + done.stderr
    pairs = {pair["site"]: pair for pair in json.loads(done.stdout)["pairs"]}
    for site, other in (("berlin", "cabin"), ("cabin", "berlin")):
        sends = pairs[site]["sends"]
        assert sends == pairs[other]["receives"] | {"age": sends["age"]}
        assert (sends["evidence"], 1400 < sends["size"] <= 1500) == ("probe", True)
        deadline = time.monotonic() + 40
        while (kept := kept_sizes(lab, site)) != {sends["size"]}:
            assert time.monotonic() < deadline, f"{site} keeps {kept} instead of {sends}"
            time.sleep(1)


def test_each_gateway_has_of_udp_segmentation_what_its_hosts_qemu_has(lab: Lab, deployed: Deployment) -> None:
    """Debian 12's has none. That a tap takes trains is the guest's doing, so it has agreed to it."""
    show = shlex.join(["python3", "-I", "-c", features.source(), "show", "tx-udp-segmentation", "wgnode-wan"])
    for name, carried in (("berlin", False), ("cabin", True)):
        unit = lab.host_ssh(name, "cat /etc/systemd/system/wgnode-gateway.service").stdout
        assert (UDP_SEGMENTATION in unit) is carried
        assert lab.host_ssh(name, show).stdout == f"wgnode-wan={'on' if carried else 'off'}\n"


@pytest.mark.parametrize("stack", ["dev-mesh", "dev-berlin", "dev-cabin"])
def test_a_preview_right_after_up_is_clean(deployed: Deployment, stack: str) -> None:
    deployed.pulumi(["preview", "--expect-no-changes", "--stack", stack])


def test_another_clone_finds_nothing_to_do_and_no_state_knows_the_first_ones_path(
    lab: Lab, deployed: Deployment, tmp_path: Path
) -> None:
    other = clone_of(deployed, tmp_path / "somebody-elses")
    for stack in deployed.stacks:
        other.pulumi(["preview", "--expect-no-changes", "--stack", stack])
        lines = deployed.pulumi(["stack", "export", "--stack", stack]).stdout.splitlines()
        # The engine's own, relative to the project: a clone has its program and .venv inside, the lab links to them.
        state = "\n".join(line for line in lines if "sourcePosition" not in line)
        for path in (deployed.folder, deployed.image.parent, ROOT, tmp_path):
            assert f"{path}/" not in state


def clone_of(deployed: Deployment, folder: Path) -> Deployment:
    """The same project in another folder, with an image file of its own, over the same state."""
    shutil.copytree(deployed.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("state", "home"))
    for shared in ("state", "home"):
        (folder / shared).symlink_to(deployed.folder / shared)
    image = Path(shutil.copyfile(deployed.image, folder / "appliance.tar"))
    other = Deployment(deployed.lab, image)
    other.folder = folder
    for file in (folder / "stacks").glob("*.yaml"):
        file.write_text(file.read_text().replace(str(deployed.image), str(image)))
    return other


def test_a_state_with_the_path_of_a_clone_is_taken_over_without_a_change(deployed: Deployment) -> None:
    stack, gone = ("--stack", "dev-berlin"), "/home/gone/wgnode/build/image/appliance.tar"
    exported = json.loads(deployed.pulumi(["stack", "export", *stack]).stdout)
    (image,) = [each for each in exported["deployment"]["resources"] if each["type"].endswith(":ApplianceImage")]
    image["inputs"]["source"] = image["outputs"]["source"] = gone
    called = image["outputs"].pop("name")
    deployed.pulumi(["stack", "import", *stack], input=json.dumps(exported))
    deployed.pulumi(["preview", "--expect-no-changes", *stack])
    assert "uploading" not in deployed.up("dev-berlin").stdout
    now = deployed.pulumi(["stack", "export", *stack]).stdout
    assert gone not in now
    assert f'"name": "{called}"' in now, "as the manifest on the host says"


def test_the_guest_runs_nothing_but_our_interpreter(lab: Lab, deployed: Deployment) -> None:
    health = json.loads(lab.host_ssh("berlin", "python3 /var/lib/wgnode/hostd/*.pyz health --json").stdout)
    assert health["name"] == "berlin"
    assert health["pid1"]["pid"] == 1
    assert re.fullmatch(r"/usr/bin/python3\.\d+", health["pid1"]["exe"])


def test_what_runs_on_a_host_is_exposed_little(lab: Lab, deployed: Deployment) -> None:
    """As systemd judges it, from 0 to 10: https://www.freedesktop.org/software/systemd/man/systemd-analyze.html."""
    units = ("wgnode-gateway.service", "wgnode-hostd.service")
    judged = {unit: lab.host_ssh("berlin", f"systemd-analyze security --no-pager {unit}").stdout for unit in units}
    exposures = {unit: float(re.findall(r"exposure level for .*: ([\d.]+)", text)[0]) for unit, text in judged.items()}
    print(exposures)
    assert max(exposures.values()) <= 2.0, judged


def test_who_broke_out_of_qemu_has_nothing_of_hostd_s_and_others_nothing_of_qemu_s(
    lab: Lab, deployed: Deployment
) -> None:
    def may(user: str, command: str) -> bool:
        as_user = f"setpriv --reuid={user} --regid={user} --init-groups sh -c {shlex.quote(command)} 2>/dev/null"
        return lab.host_ssh("berlin", as_user, check=False).returncode == 0

    def opens(socket: str) -> str:
        return f"python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{socket}\")'"

    machine, control = PLAIN.machine_user, opens(PLAIN.control_socket)
    pids = "systemctl show --property=MainPID --value"
    owners = (f"ps -o user:20= -p $({pids} {unit})" for unit in (PLAIN.gateway_unit, PLAIN.hostd_unit))
    assert lab.host_ssh("berlin", "; ".join(owners)).stdout.split() == [machine, "wgnode"]
    assert not [read for read in (f"ls {PLAIN.hostd_state}", f"cat {PLAIN.secrets_layer}") if may(machine, read)]
    assert not [socket for socket in (PLAIN.hostd_socket, PLAIN.uapi_socket) if may(machine, opens(socket))]
    assert not [path for path in (PLAIN.start, PLAIN.run, PLAIN.gateway) if may(machine, f"touch {path}/x")]
    assert [user for user in ("nobody", "wgnode") if may(user, control)] == ["wgnode"]
    assert [user for user in ("nobody", "wgnode", machine) if may(user, f"head -c 1 {PLAIN.initrd}")] == [machine]


def test_wg_show_answers_several_clients_at_once(lab: Lab, deployed: Deployment) -> None:
    assert reachable(lab)
    command = "for i in 1 2 3 4 5; do wg show berlin latest-handshakes & done; wait"
    answers = lab.host_ssh("berlin", command).stdout.split()
    assert len(answers) == 10
    assert int(answers[1]) > time.time() - 600


def test_an_operator_starts_a_gateway_anew_reads_its_console_and_log_and_sees_its_traffic(
    lab: Lab, deployed: Deployment
) -> None:
    assert reachable(lab)
    done = deployed.wgnode(["gateway", "restart", "berlin", "--yes", "--json"])
    assert done.returncode == 0, done.stdout + done.stderr
    back = json.loads(done.stdout)
    assert (back["healthy"], 1 < back["sessions"]["cabin"] <= back["outage"] < 60) == (True, True)
    told = [json.loads(line) for line in deployed.wgnode(["gateway", "logs", "berlin", "--json"]).stdout.splitlines()]
    assert [one["source"] for one in told if one["text"].startswith("dev/berlin up, port 51820")][-1:] == ["guest"]
    assert [one for one in told if one["source"] == "systemd" and "Stopped" in one["text"]]
    shown = deployed.wgnode(["gateway", "console", "dev-berlin", "--since", "2min"]).stdout
    assert "interpreter runs as process 1" in shown
    with lab.stream("berlin.client", CABIN):
        done = deployed.wgnode(["gateway", "top", "berlin", "--once", "--json"])
    (flow,) = json.loads(done.stdout)["peers"]
    assert (flow["peer"], flow["rx_rate"] > 0, flow["tx_rate"] > 0) == ("cabin", True, True)


def test_a_firewall_rule_removed_by_hand_is_named_and_repaired_alone(lab: Lab, deployed: Deployment) -> None:
    listing = json.loads(lab.host_ssh("cabin", "nft -j -a list table inet wgnode").stdout)["nftables"]
    rule = next(item["rule"] for item in listing if "rule" in item and "masquerade" in json.dumps(item["rule"]["expr"]))
    lab.host_ssh("cabin", f"nft delete rule inet wgnode {rule['chain']} handle {rule['handle']}")
    shown = deployed.pulumi(["preview", "--diff", "--stack", "dev-cabin"])
    assert rule["comment"] in shown.stdout
    assert deployed.pulumi(["preview", "--expect-no-changes", "--stack", "dev-cabin"], check=False).returncode != 0
    assert set(changed(deployed, "dev-cabin")) == {"site-firewall"}
    refreshed = deployed.pulumi(["refresh", "--preview-only", "--diff", "--stack", "dev-cabin"])
    assert rule["comment"] in refreshed.stdout
    deployed.up("dev-cabin")
    assert rule["comment"] in lab.host_ssh("cabin", "nft list table inet wgnode").stdout
    deployed.pulumi(["preview", "--expect-no-changes", "--stack", "dev-cabin"])


def test_a_stopped_gateway_breaks_the_path_is_named_and_mended(lab: Lab, deployed: Deployment) -> None:
    lab.host_ssh("berlin", "systemctl stop wgnode-gateway.service")
    assert unreachable(lab)
    shown = deployed.pulumi(["preview", "--diff", "--stack", "dev-berlin"])
    assert "inactive" in shown.stdout
    assert set(changed(deployed, "dev-berlin")) == {"site-gateway"}
    deployed.up("dev-berlin")
    assert reachable(lab)
    deployed.pulumi(["preview", "--expect-no-changes", "--stack", "dev-berlin"])


def test_a_wrong_key_on_one_side_cuts_the_path_and_is_mended(lab: Lab, deployed: Deployment) -> None:
    assert reachable(lab)
    wrong = encode_key(bytes(range(32)))
    lab.host_ssh("berlin", "wg set berlin private-key /dev/stdin", input=wrong)
    assert unreachable(lab)
    assert set(changed(deployed, "dev-berlin")) == {"site-gateway"}
    deployed.up("dev-berlin")
    assert reachable(lab)


def test_no_secret_lies_open_in_state_output_or_on_the_hosts(
    lab: Lab, deployed: Deployment, transcript: list[str]
) -> None:
    """On a host: journal (with the guests' consoles), process list with environments, and what anybody may read."""
    secrets = secrets_of(deployed)
    assert len(secrets) >= 7, (
        "two private keys, mesh secret, a pre-shared key, two recipient keys, the SSH key; and of former sites"
    )
    files = [path for folder in ("state", "stacks") for path in (deployed.folder / folder).rglob("*") if path.is_file()]
    state = b"".join(path.read_bytes() for path in files)
    assert b"ciphertext" in state
    places = {"state and stack files": state, "output": "".join(transcript).encode()}
    for site in SITES:
        readable = (
            "find /etc /var /run /tmp /opt /srv /home -xdev -type f -perm -004 -size -20M -exec cat {} + 2>/dev/null"
        )
        processes = "ps axww -o args; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null"
        for name, command in (("journal", "journalctl --no-pager"), ("processes", processes), ("files", readable)):
            places[f"{site}: {name}"] = lab.host_ssh(site, f"{command}; true", text=False).stdout
        assert b"wgnode-gateway" in places[f"{site}: journal"]
        assert b"qemu-system" in places[f"{site}: processes"]
        modes = lab.host_ssh(site, f"stat -c '%a %U' {PLAIN.secrets_layer} {PLAIN.initrd}").stdout
        assert modes.split("\n")[:2] == ["600 wgnode", "400 wgnode-qemu"]
    assert not leaks(secrets, places)


def secrets_of(deployment: Deployment) -> set[bytes]:
    """Every secret of the deployment."""
    found: set[str] = set()
    for stack in deployment.stacks:
        exported = deployment.pulumi(["stack", "export", "--show-secrets", "--stack", stack]).stdout
        for resource in json.loads(exported)["deployment"]["resources"]:
            if resource["type"] == "wgnode:index:MeshTopology":
                outputs = {name: plain(resource["outputs"][name]) for name in ("privateKeys", "meshSecret")}
                found |= set(re.findall(r"[A-Za-z0-9+/]{43}=", json.dumps(outputs)))
            if resource["type"] == "wgnode:index:Gateway":
                keys = plain(resource["outputs"]["secrets"])
                found |= {*keys["privateKeys"], *(key for pair in keys["presharedKeys"].values() for key in pair)}
    for site in SITES:
        found.add((deployment.folder / "keys" / f"{site}.recipient").read_text().strip().rpartition(":")[2])
    found.add(Path(deployment.lab.inventory["ssh_key"]).read_text().splitlines()[-3])
    return {base64.b64decode(secret + "==") for secret in found}


def plain(value: Any) -> Any:
    """What the engine's export wraps as a secret."""
    return json.loads(value["plaintext"]) if isinstance(value, dict) and "plaintext" in value else value


def test_destroying_the_mesh_stack_is_refused(deployed: Deployment) -> None:
    refused = deployed.pulumi(["destroy", "--yes", "--stack", "dev-mesh"], check=False)
    assert refused.returncode != 0
    assert "protect" in refused.stdout + refused.stderr
    deployed.pulumi(["preview", "--expect-no-changes", "--stack", "dev-mesh"])


def test_destroy_leaves_the_host_as_found_and_an_interrupted_up_converges(lab: Lab, deployed: Deployment) -> None:
    assert reachable(lab)
    deployed.pulumi(["destroy", "--yes", "--stack", "dev-cabin"])
    left = "nft list tables; ip -br link; ls /etc/systemd/system /etc /run; getent passwd; getent group"
    assert "wgnode" not in lab.host_ssh("cabin", left).stdout.replace("wgnode-undo", "")
    assert "10.2.0.1/24" in lab.host_ssh("cabin", "ip -br addr show lan0").stdout
    assert unreachable(lab)
    interrupt_up(deployed, "dev-cabin")
    deployed.up("dev-cabin")
    assert reachable(lab)
    deployed.pulumi(["preview", "--expect-no-changes", "--stack", "dev-cabin"])


def interrupt_up(deployment: Deployment, stack: str) -> None:
    """Ctrl-C as soon as the host itself is done, so in the middle of what follows."""
    process = subprocess.Popen(
        deployment.argv(["up", "--yes", "--skip-preview", "--stack", stack]),
        cwd=deployment.folder,
        env=deployment.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "HypervisorHost" in line and "created" in line:
            process.send_signal(signal.SIGINT)
            break
    process.stdout.read()
    assert process.wait(timeout=120) != 0
