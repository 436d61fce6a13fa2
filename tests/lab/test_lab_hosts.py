"""What our resources rely on inside a lab host: it behaves as a real Debian hypervisor host does."""

from __future__ import annotations

import json
import shlex
import time

import pytest

from lab import cgroup, plan
from lab.api import Lab
from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.packages import supported

pytestmark = pytest.mark.lab
HOSTS = [site.name for site in plan.SITES]


@pytest.mark.parametrize("host", HOSTS)
def test_host_is_fully_booted_without_a_failed_unit(lab: Lab, host: str) -> None:
    assert lab.host_ssh(host, "systemctl is-system-running --wait", check=False).stdout.strip() == "running"
    assert lab.host_ssh(host, "systemctl --failed --no-legend").stdout == ""


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_of_its_release_and_gateways_are_run_on_it(lab: Lab, host: str) -> None:
    asked = lab.host_ssh(host, shlex.join(supported.QUERY.argv))
    found = supported.QUERY.parse(Result(0, asked.stdout, ""))
    assert supported.problem_of(found) == ""
    assert found.major is not None
    assert supported.RELEASES[found.major] == plan.site(host).suite


@pytest.mark.parametrize("host", HOSTS)
def test_packages_that_a_deployment_needs_are_there(lab: Lab, host: str) -> None:
    packages = "qemu-system-x86 nftables iproute2 python3 wireguard-tools conntrack procps"
    state = lab.host_ssh(host, f"dpkg-query -W -f '${{Status}}\\n' {packages}").stdout.splitlines()
    assert state == ["install ok installed"] * 7


def test_ordinary_user_reaches_root_only_by_sudo(lab: Lab) -> None:
    assert lab.host_ssh("cabin", "id -un", root=False).stdout == "ops\n"
    assert lab.host_ssh("cabin", "id -un").stdout == "root\n"
    assert lab.host_ssh("cabin", "touch /etc/not-allowed", root=False, check=False).returncode != 0


def test_root_login_is_refused_where_the_user_is_ordinary(lab: Lab) -> None:
    argv = [part.replace("ops@", "root@") for part in lab.ssh_argv("cabin", "true")]
    # Even a key that root accepts must not help: the refusal is the server's, not a missing key's.
    lab.console("cabin", "mkdir -p -m 700 /root/.ssh && cp /home/ops/.ssh/authorized_keys /root/.ssh/")
    try:
        done = lab.run_in("runner", argv[4:], check=False)
        assert done.returncode == 255
        assert "Permission denied" in done.stderr
    finally:
        lab.console("cabin", "rm -r /root/.ssh")


def test_host_keys_differ_and_the_inventory_pins_them(lab: Lab) -> None:
    pins = [lab.inventory["hosts"][host]["host_keys"] for host in HOSTS]
    assert pins[0] != pins[1]
    for host, (pin,) in zip(HOSTS, pins, strict=True):
        scan = lab.run_in("runner", ["ssh-keyscan", lab.inventory["hosts"][host]["address"]])
        assert [line.split(" ", 1)[1] for line in scan.stdout.splitlines() if line[0] != "#"] == [pin]


@pytest.mark.parametrize("host", HOSTS)
def test_addresses_are_the_hosts_own_configuration(lab: Lab, host: str) -> None:
    site = plan.site(host)
    found = json.loads(lab.host_ssh(host, "ip -j address show").stdout)
    addresses = {
        link["ifname"]: {f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]} for link in found
    }
    assert set(site.public) <= addresses["wan0"]
    assert set(site.lan) <= addresses["lan0"]
    assert "198.51.100.2/24" in lab.host_ssh("berlin", "cat /etc/network/interfaces").stdout


def test_address_stays_off_a_port_that_joined_a_bridge(lab: Lab) -> None:
    """ifupdown acts at boot only: a LAN card moved into a bridge is left alone."""
    script = (
        "ip link add br9 type bridge && ip addr flush dev lan0 && ip link set lan0 master br9 && ip link set br9 up"
    )
    try:
        lab.host_ssh("berlin", script)
        time.sleep(1)
        link = json.loads(lab.host_ssh("berlin", "ip -j address show lan0").stdout)[0]
        assert link["master"] == "br9"
        assert [each for each in link["addr_info"] if each["scope"] == "global"] == []
    finally:
        lab.host_ssh("berlin", "ip link del br9; ifdown --force lan0; ifup lan0", check=False)
    assert lab.ping("berlin.client", "10.1.0.1")


def test_masquerade_and_port_forwarding_with_connection_tracking(lab: Lab) -> None:
    rules = """table inet t9 {
      chain post { type nat hook postrouting priority srcnat; ip saddr 10.1.0.0/24 oifname "wan0" masquerade; }
      chain pre { type nat hook prerouting priority dstnat; iifname "wan0" udp dport 5999 dnat ip to 10.1.0.100; }
    }"""
    listen = (
        "import socket; s = socket.socket(2, 2); s.settimeout(5); s.bind(('10.1.0.100', 5999)); "
        "print('up', flush=True); print(s.recvfrom(9)[1][0])"
    )
    send = "import socket; socket.socket(2, 2).sendto(b'x', ('198.51.100.2', 5999))"
    try:
        assert not lab.ping("berlin.client", "192.0.2.10", deadline=1)
        lab.host_ssh("berlin", f"nft -f - <<'X'\n{rules}\nX\nsysctl -qw net.ipv4.ip_forward=1")
        assert lab.ping("berlin.client", "192.0.2.10")
        assert "dst=198.51.100.2" in lab.host_ssh("berlin", "conntrack -L -p icmp").stdout
        with lab.popen_in("berlin.client", ["python3", "-c", listen], stdout=-1, text=True) as listener:
            assert listener.stdout
            assert listener.stdout.readline() == "up\n"
            lab.run_in("runner", ["python3", "-c", send])
            assert listener.stdout.readline() == "192.0.2.10\n"
    finally:
        lab.host_ssh("berlin", "nft delete table inet t9; sysctl -qw net.ipv4.ip_forward=0; conntrack -F", check=False)


def test_persistent_tap_of_an_ordinary_user_opens_without_privileges(lab: Lab) -> None:
    opening = (
        "import fcntl, os, struct; fd = os.open('/dev/net/tun', os.O_RDWR); "
        "fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b'tap9', 0x1002)); print(os.getuid() != 0)"
    )
    try:
        lab.host_ssh("berlin", "useradd --system tap9 && ip tuntap add tap9 mode tap user tap9")
        done = lab.host_ssh("berlin", f'runuser -u tap9 -- python3 -c "{opening}"')
        assert done.stdout == "True\n"
        assert lab.host_ssh("berlin", f'runuser -u nobody -- python3 -c "{opening}"', check=False).returncode != 0
    finally:
        lab.host_ssh("berlin", "ip link del tap9; userdel tap9", check=False)


HARDENED = """[Service]
Type=oneshot
User=nobody
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
NoNewPrivileges=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET
SystemCallFilter=@system-service
CapabilityBoundingSet=
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
RuntimeDirectory=hard9
LogsDirectory=hard9
ExecStart=/usr/bin/python3 /etc/hard9.py
"""
PROBES = """
import os, socket
def refused(f, *a):
    try: f(*a)
    except OSError: return True
    return False
print(refused(open, '/usr/x', 'w'), refused(socket.socket, socket.AF_PACKET), os.getuid() != 0)
open('/dev/net/tun', 'r+b', 0); open('/run/hard9/x', 'w'); open('/tmp/private9', 'w')
"""


def test_hardened_unit_is_confined_and_logs_to_the_journal(lab: Lab) -> None:
    files = f"cat >/etc/hard9.py <<'X'\n{PROBES}\nX\ncat >/etc/systemd/system/hard9.service <<'X'\n{HARDENED}\nX"
    try:
        lab.host_ssh("berlin", files)
        lab.host_ssh("berlin", "systemctl daemon-reload; systemctl start hard9")
        log = lab.host_ssh("berlin", "journalctl --sync; journalctl -u hard9 -o cat").stdout
        assert "True True True" in log
        assert lab.host_ssh("berlin", "test -e /tmp/private9", check=False).returncode == 1
    finally:
        lab.host_ssh("berlin", "rm -f /etc/hard9.py /etc/systemd/system/hard9.service; systemctl daemon-reload")


def test_device_policy_of_a_unit_closes_what_it_does_not_allow(lab: Lab) -> None:
    """A node that anybody may open stays shut in a unit whose policy does not list it."""
    command = "systemd-run -q --pipe --wait -p DevicePolicy=closed {allow} sh -c ': </dev/net/tun'"
    assert lab.host_ssh("berlin", command.format(allow=""), check=False).returncode != 0
    assert lab.host_ssh("berlin", command.format(allow="-p DeviceAllow=/dev/net/tun")).returncode == 0


@pytest.mark.parametrize("host", HOSTS)
def test_timer_fires_and_a_stopped_one_does_not(lab: Lab, host: str) -> None:
    """AccuracySec= matters: systemd's default lets a timer fire up to a minute late."""
    arm = "systemd-run -q --unit undo{0} --on-active=1 --timer-property=AccuracySec=100ms touch /run/fired{0}"
    try:
        lab.host_ssh(host, f"{arm.format(9)}; {arm.format(8)}; systemctl stop undo8.timer")
        time.sleep(2)
        assert lab.host_ssh(host, "cd /run; echo fired*").stdout == "fired9\n"
    finally:
        lab.host_ssh(host, "rm -f /run/fired9 /run/fired8")


def test_reboot_keeps_the_disk_and_forgets_the_network(lab: Lab) -> None:
    """The namespace outlives the reboot; what a real one would lose must be gone all the same."""
    before = cgroup.leader(cgroup.of_host(lab.name, "berlin"))
    try:
        lab.host_ssh("berlin", "touch /var/kept9 /run/lost9; ip tuntap add tap9 mode tap; ip link add br9 type bridge")
        lab.host_ssh("berlin", "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1")
        lab.host_ssh("berlin", "nft add table inet t9; ip rule add pref 9 lookup 9")
        lab.reboot("berlin")
        assert cgroup.leader(cgroup.of_host(lab.name, "berlin")) != before
        assert lab.host_ssh("berlin", "ls /var/kept9 /run/lost9", check=False).stdout == "/var/kept9\n"
        assert lab.interfaces("berlin") == {"lo", "wan0", "lan0"}
        assert lab.host_ssh("berlin", "nft list ruleset").stdout == ""
        settings = "net.ipv4.ip_forward net.ipv4.conf.all.rp_filter"
        assert lab.host_ssh("berlin", f"sysctl -n {settings}").stdout == "0\n0\n"
        assert "lookup 9" not in lab.host_ssh("berlin", "ip rule").stdout
        assert lab.ping("berlin.client", "fd00:10:1::1")
        assert lab.ping("berlin", "203.0.113.2")
    finally:
        lab.console("berlin", "rm -f /var/kept9")


def test_debian_firewall_service_flushes_at_boot_where_it_is_enabled(lab: Lab) -> None:
    assert lab.host_ssh("cabin", "systemctl is-enabled nftables").stdout == "enabled\n"
    assert lab.host_ssh("berlin", "systemctl is-enabled nftables", check=False).stdout == "disabled\n"
    assert "flush ruleset" in lab.host_ssh("cabin", "cat /etc/nftables.conf").stdout


def test_a_lockout_is_real_and_the_console_gets_past_it(lab: Lab) -> None:
    try:
        lab.host_ssh(
            "berlin",
            "nft add table inet t9; nft 'add chain inet t9 in { type filter hook input priority 0; policy drop; }'",
        )
        assert lab.host_ssh("berlin", "true", check=False).returncode == 255
    finally:
        lab.console("berlin", "nft delete table inet t9")
    assert lab.host_ssh("berlin", "true").returncode == 0


def test_a_host_cannot_touch_the_machine(lab: Lab) -> None:
    """No device node of the machine's, no clock, no kernel module, no kernel setting outside its own network."""
    assert lab.host_ssh("berlin", "date -s @0", check=False).returncode != 0
    assert lab.host_ssh("berlin", "echo 1 > /proc/sys/kernel/panic", check=False).returncode != 0
    assert lab.host_ssh("berlin", "chmod 600 /dev/net/tun; chmod 666 /dev/net/tun").returncode == 0
    capabilities = int(lab.host_ssh("berlin", "sed -n 's/^CapBnd:\\t//p' /proc/1/status").stdout, 16)
    for sys_module_rawio_time in (16, 17, 25):
        assert not capabilities >> sys_module_rawio_time & 1
