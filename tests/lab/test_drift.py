"""Everything that is read back of a host: broken by hand, named with what was wanted and found, repaired alone."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources.appliance_image import MEMBERS, ApplianceImage
from pulumi_wgnode.resources.compare import join
from pulumi_wgnode.resources.inputs import connection
from wgnode.image.paths import image_directory

from .host_site import Site

pytestmark = pytest.mark.lab

ETC = "/etc/systemd/system"
FW, NET = "wgnode-firewall.service", "wgnode-network.service"
OVERRIDE = "mkdir -p {d} && printf '[Service]\\nEnvironment=X=1\\n' >{d}/override.conf && systemctl daemon-reload"
# What a repair may not touch unless it is what was broken, by name. The service stands for a gateway that runs.
WITNESS = r"""
for i in wgnode-wan wgnode-lan wgnode-br0; do echo "link $i $(cat /sys/class/net/$i/ifindex 2>/dev/null)"; done
nft -a list ruleset | sed -n 's/^table inet wgnode.*handle/table wgnode/p'
for u in wgnode-network wgnode-firewall wgnode-gateway; do echo "unit $u $(systemctl show -P InvocationID $u)"; done
find /etc/wgnode /etc/sysctl.d/60-wgnode.conf /etc/systemd/system/wgnode-*.service /var/lib/wgnode/images -type f \
    -printf 'file %p %i\n' | sort
"""


@dataclass(frozen=True)
class Case:
    """`how` breaks something; the paths that then differ, and what is found at the first. `touches` is what the repair
    has to replace, as WITNESS names it."""

    kind: str
    how: str
    paths: tuple[str, ...]
    found: str | None
    touches: tuple[str, ...] = ()


def table(how: str, path: str, found: str | None) -> Case:
    return Case("firewall", how, (path,), found, ("table wgnode",))


def rule(name: str) -> str:
    """Its place, for nft."""
    chain = {"m": "postrouting", "i": "input", "f": "forward"}[name[0]]
    return f"inet wgnode {chain} handle $(nft -a list chain inet wgnode {chain} | sed -n 's/.*\"{name}\".*handle //p')"


def relisted(change: str) -> str:
    return f"nft list table inet wgnode | sed '{change}' >/run/t && nft delete table inet wgnode && nft -f /run/t"


def file(kind: str, path: str, how: str, found: str | None) -> Case:
    return Case(kind, how.format(path), (f'files["{path}"]',), found, (f"file {path}",))


IMAGE = "{image}/initramfs.zst"
CASES = {
    "a rule removed": table(f"nft delete rule {rule('masquerade-v4')}", 'rules["masquerade-v4"]', None),
    "a rule changed": table(
        f"nft replace rule {rule('forward-established')} iifname wan0 accept comment forward-established",
        'rules["forward-established"]',
        'forward: iifname "wan0" accept',
    ),
    "elements of a set": table(
        f"nft replace rule {rule('input-icmp')} iifname wan0 icmp type echo-request accept comment input-icmp",
        'rules["input-icmp"]',
        'input: iifname "wan0" icmp type echo-request accept',
    ),
    "a rule of another's": table("nft add rule inet wgnode forward accept", 'rules["unnamed-1"]', "forward: accept"),
    "a chain's policy": table(
        "nft 'add chain inet wgnode forward { policy drop; }'",
        "chains.forward",
        "filter hook forward priority 0; policy drop",
    ),
    "a chain's priority": table(
        relisted("s/priority srcnat/priority 90/"),
        "chains.postrouting",
        "nat hook postrouting priority 90; policy accept",
    ),
    "a chain's hook": table(
        relisted("s/hook forward priority filter;/hook output priority filter;/"),
        "chains.forward",
        "filter hook output priority 0; policy accept",
    ),
    "an extra chain": table("nft add chain inet wgnode extra", "chains.extra", "not hooked"),
    "an extra set": table(
        "nft 'add set inet wgnode s { type ipv4_addr; elements = { 192.0.2.7 }; }'", 'others["set s"]', '["192.0.2.7"]'
    ),
    "the table put to sleep": table(
        "nft 'add table inet wgnode { flags dormant; }'", "others.flags", "of the table, such as dormant"
    ),
    "the table flushed": table("nft flush table inet wgnode", "rules[*]", None),
    "the table deleted": table("nft delete table inet wgnode", "rules[*] and chains", None),
    "firewall file edited": file(
        "firewall", "/etc/wgnode/firewall.nft", "echo '# mine' >>{}", "sha256:* 0600 root:root"
    ),
    "firewall file readable": file("firewall", "/etc/wgnode/firewall.nft", "chmod 644 {}", "sha256:* 0644 root:root"),
    "firewall unit edited": file("firewall", f"{ETC}/{FW}", "echo '# mine' >>{}", "sha256:* 0644 root:root"),
    "firewall unit disabled": Case(
        "firewall", f"systemctl --quiet disable {FW}", (f'units["{FW}"]',), "active, disabled"
    ),
    "firewall unit overridden": Case(
        "firewall",
        OVERRIDE.format(d=f"{ETC}/{FW}.d"),
        (f'units["{FW}"]',),
        f"active, enabled; overridden by {ETC}/{FW}.d/override.conf",
    ),
    "a sysctl": Case("host", "sysctl -qw net.ipv4.ip_forward=0", ('sysctls["net/ipv4/ip_forward"]',), "0"),
    "another sysctl": Case(
        "host", "sysctl -qw net.ipv4.conf.all.send_redirects=1", ('sysctls["net/ipv4/conf/all/send_redirects"]',), "1"
    ),
    "sysctl file deleted": file("host", "/etc/sysctl.d/60-wgnode.conf", "rm {}", None),
    "network script edited": file("host", "/etc/wgnode/network.sh", "echo '# mine' >>{}", "sha256:* 0755 root:root"),
    "network script not executable": file("host", "/etc/wgnode/network.sh", "chmod 600 {}", "sha256:* 0600 root:root"),
    "network unit owned by another": file(
        "host", f"{ETC}/{NET}", "chown wgnode:wgnode {}", "sha256:* 0644 wgnode:wgnode"
    ),
    "network unit disabled": Case("host", f"systemctl --quiet disable {NET}", (f'units["{NET}"]',), "active, disabled"),
    "network unit overridden": Case(
        "host",
        OVERRIDE.format(d=f"/run/systemd/system/{NET}.d"),
        (f'units["{NET}"]',),
        f"active, enabled; overridden by /run/systemd/system/{NET}.d/override.conf",
    ),
    "a directory's mode": Case(
        "host", "chmod 755 /var/lib/wgnode/state", ('directories["/var/lib/wgnode/state"]',), "0755 wgnode:wgnode"
    ),
    "a directory's owner": Case(
        "host", "chown wgnode:wgnode /etc/wgnode", ('directories["/etc/wgnode"]',), "0755 wgnode:wgnode"
    ),
    "a directory gone": Case("host", "rmdir /var/lib/wgnode/hostd", ('directories["/var/lib/wgnode/hostd"]',), None),
    "a tap gone": Case("host", "ip link del wgnode-lan", ('links["wgnode-lan"]',), None, ("link wgnode-lan",)),
    "a tap down": Case(
        "host", "ip link set wgnode-wan down", ('links["wgnode-wan"]',), "tap of wgnode-qemu, down, 172.31.255.253/30*"
    ),
    "an address more": Case(
        "host",
        "ip addr add 10.9.9.9/32 dev wgnode-wan",
        ('links["wgnode-wan"]',),
        "tap of wgnode-qemu, up, 10.9.9.9/32 *",
    ),
    "an address gone": Case(
        "host",
        "ip addr del 172.31.255.253/30 dev wgnode-wan",
        ('links["wgnode-wan"]',),
        "without a route to 172.31.255.252/30, tap of wgnode-qemu, up, fd77:*",
    ),
    "a bridge port gone": Case("host", "ip link set lan0 nomaster", ("links.lan0",), "up"),
    "a bridge port more": Case(
        "host",
        "ip link add other0 type veth peer name other1 && ip link set other0 master wgnode-br0",
        ('links["wgnode-br0"]',),
        "bridge, up, with other0",
    ),
    "a route gone": Case("host", "ip route del 10.99.0.0/24", ('routes["10.99.0.0/24"]',), None),
    "a route elsewhere": Case(
        "host", "ip route replace 10.99.0.0/24 via 10.1.0.77 proto 119", ('routes["10.99.0.0/24"]',), "via 10.1.0.77"
    ),
    "a route more": Case(
        "host", "ip -6 route add fd98::/64 via {gateway6} proto 119", ('routes["fd98::/64"]',), "via {gateway6}"
    ),
    "image edited": Case(
        "image", f"echo x >>{IMAGE}", ('files["initramfs.zst"]',), "sha256:* 0644 root:root", (f"file {IMAGE}",)
    ),
    "image missing": Case("image", f"rm {IMAGE}", ('files["initramfs.zst"]',), None, (f"file {IMAGE}",)),
    "image writable": Case(
        "image", f"chmod 666 {IMAGE}", ('files["initramfs.zst"]',), "sha256:* 0666 root:root", (f"file {IMAGE}",)
    ),
    "image directory writable": Case("image", "chmod 777 {image}", ('directories["{image}"]',), "0777 root:root"),
}


class Deployed(Site):
    """With all three resources on it, and a service in the place of the gateway."""

    def deploy(self, folder: Path) -> None:
        self.image = ApplianceImage()
        source, sha256 = _image(folder)
        given = {"connection": self.connection, "source": str(source), "sha256": sha256}
        self.kinds = {"host": self.host, "firewall": self.firewall, "image": self.image}
        self.inputs = {
            "host": self.host_inputs(),
            "firewall": self.firewall_inputs(),
            "image": self.image.check(given, {}),
        }
        self.ids = {
            name: self.run(lambda n=name: self.kinds[n].create(n, self.inputs[n], False)) for name in self.kinds
        }
        self.made = {self.kinds[name]: state for name, (_, state) in self.ids.items()}
        self.facts = {"image": image_directory(sha256), "gateway6": self.lan["gateway"][1]}
        self.shell("systemd-run --quiet --unit wgnode-gateway sleep infinity")

    def differences(self, name: str) -> tuple[dict[str, Any], list[str]]:
        id, state = self.ids[name]
        found = self.run(lambda: self.kinds[name].read(id, state, self.inputs[name]))
        assert found is not None
        changes = self.kinds[name].diff(found[0], self.inputs[name], self.inputs[name]).changes
        return found[0], [change.path for change in changes]

    def repair(self, name: str, state: dict[str, Any]) -> None:
        self.run(lambda: self.kinds[name].update(self.ids[name][0], state, self.inputs[name], False))

    def witness(self) -> dict[str, str]:
        return dict(line.rsplit(" ", 1) for line in self.shell(WITNESS).splitlines())


def _image(folder: Path) -> tuple[Path, str]:
    path = folder / "image.tar"
    with tarfile.open(path, "w") as archive:
        for member in MEMBERS:
            info = tarfile.TarInfo(member)
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member.encode()))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def berlin(lab: Lab, in_runner: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    made = Deployed(lab, "berlin", in_runner)
    made.deploy(tmp_path_factory.mktemp("image"))
    try:
        yield made
    finally:
        made.shell("systemctl stop wgnode-gateway; ip link del other0")
        made.run(lambda: made.image.delete(*made.ids["image"]))
        made.clean()


@pytest.mark.sampled(20)
@pytest.mark.parametrize("name", CASES)
def test_it_is_named_with_what_was_wanted_and_found_and_repaired_alone(berlin: Deployed, name: str) -> None:
    case = CASES[name]
    line = pool._lines[connection(berlin.inputs["host"])]._transport
    before = berlin.witness()
    berlin.lab.console(
        "berlin", case.how.format(**berlin.facts) if "{image}" in case.how or "{gateway6}" in case.how else case.how
    )
    state, paths = berlin.differences(case.kind)
    assert paths == _paths(case, berlin)
    if not case.paths[0].startswith("rules[*]"):
        assert _matches(_at(state, paths[0]), case.found and case.found.replace("{gateway6}", berlin.facts["gateway6"]))
        assert _wanted(berlin, case.kind, paths[0]) != _at(state, paths[0])
    berlin.repair(case.kind, state)
    assert berlin.differences(case.kind)[1] == []
    touched = {name for name, value in berlin.witness().items() if before.get(name) != value}
    assert touched <= {name.format(**berlin.facts) for name in case.touches}
    assert pool._lines[connection(berlin.inputs["host"])]._transport is line, "the connection was not cut"


def _paths(case: Case, berlin: Deployed) -> list[str]:
    if not case.paths[0].startswith("rules[*]"):
        return [path.format(**berlin.facts) for path in case.paths]
    wanted = berlin.inputs["firewall"]
    chains = [join("chains", name) for name in wanted["chains"]] if "chains" in case.paths[0] else []
    return [f'rules["{name}"]' for name in wanted["rules"]] + chains


def _wanted(berlin: Deployed, kind: str, path: str) -> Any:
    inputs, (_, state) = berlin.inputs[kind], berlin.ids[kind]
    if kind == "image":
        return _at({"files": state["wanted"], "directories": state["directories"]}, path)
    return _at(inputs, path)


def _at(properties: Any, path: str) -> Any:
    for bracketed, plain in re.findall(r'\["([^"]+)"\]|([^.\[\]]+)', path):
        properties = properties.get(bracketed or plain)
    return properties


def _matches(found: str | None, pattern: str | None) -> bool:
    if found is None or pattern is None:
        return found is pattern
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), found) is not None
