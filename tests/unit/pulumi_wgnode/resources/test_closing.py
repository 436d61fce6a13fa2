"""What a firewall closes is said before: what the uplink reaches now, and no more once the table is there."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from pulumi_wgnode.resources import closing, forwarding
from tests.unit.pulumi_wgnode.fake_host import FakeHost, link
from wgnode.firewall import nft
from wgnode.firewall.forwards import Before, Forward
from wgnode.firewall.others.translations import translations
from wgnode.firewall.rules import Allow, Firewall, ruleset

OTHERS = Path(__file__).parents[2] / "firewall" / "others"
TRANSIT = (ip_network("172.31.255.252/30"), ip_network("fd77:676e:6f64:6500::/126"))
FIREWALL = Firewall("wan0", TRANSIT, ("172.31.255.254", "fd77:676e:6f64:6500::2"), 51820, (ip_network("192.0.2.0/24"),))
ON = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}
SERVICES = """tcp LISTEN 0 4096 127.0.0.1:39121 0.0.0.0:* users:(("containerd",pid=13,fd=8))
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=4))
tcp LISTEN 0 128 *:9100 *:* users:(("node_exporter",pid=11,fd=4))
udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=7,fd=4))
udp UNCONN 0 0 [fe80::1]%wan0:546 [::]:* users:(("systemd-network",pid=7,fd=4))
udp UNCONN 0 0 0.0.0.0%wan0:68 0.0.0.0:* users:(("dhclient",pid=6,fd=4))
tcp LISTEN 0 128 0.0.0.0%lan0:53 0.0.0.0:* users:(("dnsmasq",pid=8,fd=4))
tcp LISTEN 0 128 203.0.113.5:80 0.0.0.0:* users:(("nginx",pid=9,fd=4))
tcp LISTEN 0 128 10.1.0.1:81 0.0.0.0:* users:(("nginx",pid=9,fd=4))
tcp LISTEN 0 128 [::]:443 [::]:*
udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*
"""
LINKS = [
    link("lo", "127.0.0.1/8"),
    link("wan0", "203.0.113.5/24", "2001:db8::5/64"),
    link("lan0", "10.1.0.1/24", "2001:db8:1::1/64"),
    link("docker0", "172.17.0.1/16"),
]


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr(closing, "log", lambda text, *_: texts.append(text))
    return texts


def seen(ruleset=(), iptables="", services="", sysctls=ON, found=None):
    listing = ruleset if isinstance(ruleset, str) else json.dumps({"nftables": list(ruleset)})
    links = json.dumps(LINKS)
    return {
        "ruleset": listing,
        "iptables": iptables,
        "services": services,
        "links": links,
        "sysctls": sysctls,
        "found": found,
    }


def docker(version):
    saved = (OTHERS / f"docker{version}.v4.save").read_text()
    return {"ruleset": (OTHERS / f"docker{version}.json").read_text(), "iptables": f"# nft ip\n{saved}"}


def told(texts):
    """What is closed, and the lines that leave it open."""
    if not texts:
        return [], []
    (text,) = texts
    names = text.split("reaches now: ")[1].split(". To leave it open")[0].split("; ")
    return names, [line.strip() for line in text.splitlines() if line.strip().startswith("- ")]


def test_services_that_the_uplink_reaches_are_named_with_the_line_that_lets_them_in(said):
    closing.tell(FakeHost(), seen(services=SERVICES, sysctls={}), FIREWALL)
    assert told(said) == (
        ["TCP 9100 (node_exporter, pid 11)", "TCP 80 (nginx, pid 9)", "TCP 443"],
        ["- {protocol: tcp, port: 9100}", "- {protocol: tcp, port: 80}", "- {protocol: tcp, port: 443}"],
    )


def test_nothing_is_said_of_what_is_let_in_or_is_closed_already(said):
    allowed = (Allow("tcp", 80), Allow("tcp", 443), Allow("tcp", 9100, (ip_network("192.0.2.0/24"),)))
    closing.tell(FakeHost(), seen(services=SERVICES, sysctls={}), replace(FIREWALL, allow=allowed))
    closing.tell(FakeHost(), seen(nft.items(ruleset(FIREWALL)), services=SERVICES), FIREWALL)
    assert said == []
    closed = {"family": "inet", "table": "mine", "name": "in", "type": "filter", "hook": "input", "prio": 0}
    closing.tell(FakeHost(), seen([{"chain": {**closed, "policy": "drop"}}], services=SERVICES, sysctls={}), FIREWALL)
    assert said == [], "another firewall drops it"


def test_a_port_that_is_taken_out_of_allow_is_said(said):
    present = nft.items(ruleset(replace(FIREWALL, allow=(Allow("tcp", 80), Allow("tcp", 9100)))))
    closing.tell(FakeHost(), seen(present, services=SERVICES), replace(FIREWALL, allow=(Allow("tcp", 9100),)))
    assert told(said)[0] == ["TCP 80 (nginx, pid 9)"]


@pytest.mark.parametrize("version", [20, 28])
def test_published_ports_of_docker_are_named(said, version):
    proxy = 'tcp LISTEN 0 4096 0.0.0.0:8080 0.0.0.0:* users:(("docker-proxy",pid=14,fd=4))\n'
    closing.tell(FakeHost(), seen(**docker(version), services=proxy), FIREWALL)
    names, lines = told([said.pop()])
    assert "TCP 8080, which Docker forwards to 172.17.0.2" in names
    assert "- {protocol: tcp, port: 8080}" in lines
    assert not [name for name in names if "docker-proxy" in name]
    six = proxy.replace("0.0.0.0:", "[::]:")
    closing.tell(FakeHost(), seen(**docker(version), services=six), FIREWALL)
    assert "TCP 8080 (docker-proxy, pid 14)" in told(said)[0], "IPv6, which nobody translates, comes to the proxy"


def test_nothing_is_said_of_forwards_that_are_let_through(said):
    forward = tuple(Forward(*one) for one in (("tcp", 8080), ("udp", 5353), ("tcp", 8443)))
    through = replace(FIREWALL, forward=(*forward, Forward(to=ip_network("2001:db8:1::/64"))))
    closing.tell(FakeHost(), seen(**docker(20)), through)
    closing.tell(FakeHost(), seen(**docker(20)), replace(FIREWALL, keep=True))
    closing.tell(FakeHost(), seen(), replace(FIREWALL, keep=True, before=Before((4, 6))))
    assert said == []


def test_native_ipv6_into_the_lan_is_named_where_the_host_was_a_router(said):
    closing.tell(FakeHost(), seen(), FIREWALL)
    assert told(said) == (["IPv6 into 2001:db8:1::/64 on lan0"], ['- {to: "2001:db8:1::/64"}'])
    assert "keep: true" in said.pop()
    off = {**ON, "net/ipv6/conf/all/forwarding": "0"}
    closing.tell(FakeHost(), seen(sysctls=off), FIREWALL)
    closing.tell(FakeHost(), seen(found=json.dumps({"sysctls": off})), FIREWALL)
    assert said == [], "it was none before forwarding was switched on"


TO = "10.1.0.9"
HERE = {"dnat": {"addr": TO}}


def nft_rule(*expressions, table="mine", chain="pre"):
    return {"rule": {"family": "ip", "table": table, "chain": chain, "expr": list(expressions)}}


def dport(right, protocol="tcp"):
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": "dport"}}, "right": right}}


def iifname(right, op="=="):
    return {"match": {"op": op, "left": {"meta": {"key": "iifname"}}, "right": right}}


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ([dport(8080), {"dnat": {"addr": "10.1.0.9", "port": 80}}], [("tcp", 8080, TO, 80)]),
        (
            [dport({"set": [53, 67]}, "udp"), HERE],
            [("udp", p, TO, None) for p in (53, 67)],
        ),
        (
            [dport({"range": [90, 92]}), HERE],
            [("tcp", p, TO, None) for p in (90, 91, 92)],
        ),
        ([dport({"range": [1000, 9000]}), HERE], [("tcp", 1000, TO, None)]),
        ([iifname("lan0"), dport(80), HERE], []),
        ([iifname("docker0", "!="), dport(80), HERE], [("tcp", 80, TO, None)]),
        (
            [iifname({"set": ["wan0", "wan1"]}), dport(80), HERE],
            [("tcp", 80, TO, None)],
        ),
        ([dport(80), {"redirect": {"port": 8080}}], []),
        ([dport(80), {"accept": None}], []),
    ],
)
def test_port_forwards_of_nft_are_read(rule, found):
    listing = json.dumps({"nftables": [nft_rule(*rule)]})
    assert [(one.protocol, one.port, one.to, one.to_port) for one in translations(listing, (), "wan0")] == found


def test_a_map_of_ports_to_addresses_is_read():
    key = {"payload": {"protocol": "tcp", "field": "dport"}}
    rule = nft_rule({"dnat": {"addr": {"map": {"key": key, "data": {"set": [[80, "10.1.0.9"], [81, "10.1.0.8"]]}}}}})
    found = translations(json.dumps({"nftables": [rule]}), (), "wan0")
    assert [(one.port, one.to) for one in found] == [(80, "10.1.0.9"), (81, "10.1.0.8")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "-A PREROUTING -i wan0 -p tcp --dport 80 -j DNAT --to-destination 10.1.0.9:8080",
            ("tcp", 80, "10.1.0.9", 8080),
        ),
        ("-A PREROUTING ! -i lan0 -p udp --dport 53 -j DNAT --to-destination 10.1.0.9", ("udp", 53, "10.1.0.9", None)),
        ("-A DOCKER -p tcp --dport 443 -j DNAT --to-destination [fd00::2]:4430", ("tcp", 443, "fd00::2", 4430)),
        ("-A PREROUTING -p tcp --dport 443 -j DNAT --to-destination fd00::2", ("tcp", 443, "fd00::2", None)),
        ("-A PREROUTING -i lan0 -p tcp --dport 80 -j DNAT --to-destination 10.1.0.9", None),
        ("-A PREROUTING ! -i wan+ -p tcp --dport 80 -j DNAT --to-destination 10.1.0.9", None),
        ("-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080", None),
    ],
)
def test_port_forwards_of_iptables_are_read(line, found):
    read = [(one.protocol, one.port, one.to, one.to_port) for one in translations("", [f"*nat\n{line}\n"], "wan0")]
    assert read == ([found] if found else [])


def test_how_a_host_forwarded_before_is_what_was_written_down_then():
    links = json.dumps([link("br1", kind="bridge"), link("wgnode-br0", kind="bridge"), link("eth0")])
    assert forwarding.before(None, ON, links) == {"versions": [4, 6], "bridges": ["br1"]}
    off = {"sysctls": {"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0"}, "bridges": ["br2"]}
    assert forwarding.before(json.dumps(off), ON, links) == {"versions": [], "bridges": ["br2"]}
    off["bridges"] = []
    assert forwarding.before(json.dumps(off), ON, links) == {"versions": [], "bridges": []}
    del off["bridges"]
    assert forwarding.before(json.dumps(off), ON, links) == {"versions": [], "bridges": []}, "of an older version"
    assert forwarding.of({}) == Before((4, 6), ())
    assert forwarding.of({"forwarding": {"versions": [6.0], "bridges": ["br1"]}}) == Before((6,), ("br1",))
