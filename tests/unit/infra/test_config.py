"""Stack configuration: all errors at once, each with the value's path and what to do."""

from __future__ import annotations

import base64
import copy
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from infra.config import MeshConfig, SiteConfig, parse_mesh, parse_site
from infra.config_errors import ConfigurationError
from wgnode import recipient
from wgnode.topology.validate import Problem

PRIVATE, PUBLIC = recipient.generate()
SSH = Ed25519PrivateKey.generate()
SSH_KEY = SSH.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
LOCKED_KEY = SSH.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"x")).decode()
HOST_KEY = (
    "ssh-ed25519 "
    + base64.b64encode(struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + bytes(32)).decode()
)
MESH = {
    "name": "dev",
    "tunnel": {"v4": "10.99.0.0/24"},
    "sites": {"berlin": {"lans": ["10.1.0.0/24"], "recipient": PUBLIC, "endpoint": "198.51.100.2:51820"}},
}
SITE = {
    "name": "berlin",
    "mesh": "dev-mesh",
    "host": {"address": "198.51.100.2", "hostKeys": [HOST_KEY], "privateKey": SSH_KEY},
    "managementNetworks": ["192.0.2.0/24"],
    "uplink": "wan0",
    "lan": {"interface": "lan0", "gatewayAddresses": ["10.1.0.2"]},
    "recipientKey": PRIVATE,
    "gateway": {"image": "image.tar"},
}
MISSING = object()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "image.tar").write_bytes(b"image")
    return tmp_path


def changed(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    inner: Any = raw
    *steps, last = path.split(".")
    for step in steps:
        inner = inner.setdefault(step, {})
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return raw


def test_a_mesh_needs_little() -> None:
    config = parse_mesh(MESH, "stacks/Pulumi.dev-mesh.yaml")
    assert isinstance(config, MeshConfig)
    assert (config.keepalive, config.listen_port) == (25, 51820)
    assert config.to_dict()["sites"]["berlin"]["endpoint"] == "198.51.100.2:51820"


def test_a_site_needs_little_and_hides_its_secrets(root: Path) -> None:
    config = parse_site(SITE, "stacks/Pulumi.dev-berlin.yaml", root)
    assert isinstance(config, SiteConfig)
    assert (config.lan.reach, config.gateway.memory, config.host.user) == ("host-route", 128, None)
    for secret in (SSH_KEY, PRIVATE):
        assert secret not in repr(config)


def test_an_image_that_this_machine_can_build_instead_is_taken_only_where_the_stack_file_names_it(root: Path) -> None:
    (root / "appliance-plain.tar").touch()
    said = site_errors(root, "gateway.image", "appliance.tar")
    assert "or name appliance-plain.tar, which is there, without the compiled data plane" in said
    assert "several times slower" in said
    assert "appliance-plain" not in site_errors(root, "gateway.image", "elsewhere/appliance.tar")
    parse_site(changed(SITE, "gateway.image", "appliance-plain.tar"), "x", root)


def test_an_image_pinned_by_digest_need_not_be_there(root: Path) -> None:
    pinned = changed(changed(SITE, "gateway.image", "nowhere.tar"), "gateway.sha256", "ab" * 32)
    assert isinstance(parse_site(pinned, "x", root), SiteConfig)


@pytest.mark.parametrize(
    "user", ["jane.doe", "Jane", "EXAMPLE\\jane.doe", "jane@example.org", "0day", "_apt", "host$", "josé"]
)
def test_a_user_may_be_called_as_directories_call_them(root: Path, user: str) -> None:
    assert parse_site(changed(SITE, "host.user", user), "x", root).host.user == user


def mesh_errors(path: str, value: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_mesh(changed(MESH, path, value), "stacks/Pulumi.dev-mesh.yaml")
    return str(caught.value)


def site_errors(root: Path, path: str, value: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_site(changed(SITE, path, value), "stacks/Pulumi.dev-berlin.yaml", root)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("tunel", {}, "wgmesh:mesh.tunel: unknown key; did you mean `tunnel`?"),
        ("sites.berlin.lan", [], "wgmesh:mesh.sites.berlin.lan: unknown key; did you mean `lans`?"),
        ("zzz", 1, "wgmesh:mesh.zzz: unknown key; there are: name, tunnel, sites, keepalive, listenPort"),
        ("name", MISSING, "wgmesh:mesh.name: is missing: the mesh's name, such as dev"),
        ("sites.berlin.recipient", MISSING, "wgmesh:mesh.sites.berlin.recipient: is missing: the site's public"),
        ("keepalive", 0, "wgmesh:mesh.keepalive: must be at least 1, not 0"),
        ("tunnel.v4", "10.99.0.0/31", "wgmesh:mesh.tunnel.v4: tunnel prefix 10.99.0.0/31 has addresses for 0 sites"),
        (
            "sites.berlin.lans",
            ["10.99.1.0/16"],
            ".lans[0]: site 'berlin': lan 10.99.1.0/16 has bits set beyond its prefix",
        ),
    ],
)
def test_a_bad_mesh_value_is_named_by_path(path: str, value: Any, says: str) -> None:
    text = mesh_errors(path, value)
    assert text.startswith("stacks/Pulumi.dev-mesh.yaml: 1 error in the configuration, nothing was changed:\n")
    assert says in text


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("name", "Berlin", ".name: site name 'Berlin': use a lower-case letter"),
        ("mesh", "", ".mesh: must be a text that is not empty"),
        ("carrier", "T-Mobile US", ".carrier: carrier 'T-Mobile US' is not known: give one of t-mobile-us"),
        ("carrier", 7, ".carrier: must be a text"),
        ("pathMtu", "no", ".pathMtu: "),
        ("pathMtu", 0, ".pathMtu: "),
        ("host.address", "198.51.100.2:22", ".host.address: '198.51.100.2:22' is neither an address nor a host name"),
        ("host.port", 0, ".host.port: must be at least 1, not 0"),
        ("host.hostKeys", [], ".host.hostKeys: is empty: pin the host's keys: `wgnode host scan ADDRESS` fetches them"),
        ("host.hostKeys", MISSING, ".host.hostKeys: is missing: pin the host's keys: `wgnode host scan ADDRESS`"),
        ("host.hostKeys", ["ssh-ed25519 AAAA"], ".host.hostKeys[0]: 'ssh-ed25519 AAAA' is not an SSH host key"),
        ("host.agent", True, ".host.agent: is true beside a privateKey; keep one of them"),
        pytest.param(
            "host.privateKey",
            LOCKED_KEY,
            ".host.privateKey: this private key is protected by a passphrase",
            id="locked SSH key",
        ),
        pytest.param(
            "host.privateKey",
            SSH_KEY[:-60],
            ".host.privateKey: this is not an SSH private key (its text is not shown)",
            id="half an SSH key",
        ),
        ("host.agent", "yes", ".host.agent: must be true or false, not 'yes'"),
        ("host.agent", 1, ".host.agent: must be true or false, not 1"),
        ("host.port", "ssh", ".host.port: must be a whole number, not 'ssh'"),
        ("host.port", True, ".host.port: must be a whole number, not true"),
        ("host.port", 22.5, ".host.port: must be a whole number, not 22.5"),
        ("host.address", MISSING, ".host.address: is missing: the host's address or name for SSH; or `sshHost`"),
        ("host.sshHost", "two words", ".host.sshHost: 'two words' is not the name of a host"),
        ("host.certificate", "ssh-ed25519 AAAA", ".host.certificate: this is not an OpenSSH certificate"),
        ("host.hostAuthorities", ["AAAA"], ".host.hostAuthorities[0]: 'AAAA' is not the public key of a certificate"),
        ("host.jumpHosts", [{"address": "192.0.2.1"}], ".host.jumpHosts[0].hostKeys: is missing: pin the host's keys"),
        ("host.jumpHosts", [{"hostKeys": [HOST_KEY]}], ".host.jumpHosts[0].address: is missing"),
        ("host.hostKeys", "x", ".host.hostKeys: must be a list (`[a, b]`, or a line with `- ` each), not 'x'"),
        (
            "bootstrap",
            [{}],
            ".bootstrap[0]: must be a text, in quotes where it looks like something else, not",
        ),
        ("lan", [], ".lan: must be a mapping of names to values, not a list"),
        ("gateway.sha256", "abc", ".gateway.sha256: must look like ^[0-9a-f]{64}$ (a regular expression), not 'abc'"),
        ("host.user", "a b", ".host.user: 'a b' is not a user name: letters, digits and . _ - + @ \\, no leading"),
        ("host.user", "-oProxyCommand=x", ".host.user: '-oProxyCommand=x' is not a user name"),
        ("host.hostKey", [], ".host.hostKey: unknown key; did you mean `hostKeys`?"),
        ("managementNetworks", [], ".managementNetworks: is empty: the networks that SSH to the host comes from"),
        ("managementNetworks", ["192.0.2.1/24"], ".managementNetworks[0]: 192.0.2.1/24 has bits set"),
        ("uplink", "lan0", ".lan.interface: lan0 is the uplink"),
        ("uplink", "seventeen-letters", ".uplink: 'seventeen-letters' is not an interface name"),
        ("lan.gatewayAddresses", [], ".lan.gatewayAddresses: is empty: the gateway's own free addresses"),
        ("lan.gatewayAddresses", ["10.1.0.2/24"], ".lan.gatewayAddresses[0]: '10.1.0.2/24' is not an address"),
        ("lan.reach", "nat", ".lan.reach: must be 'host-route', 'proxy-arp' or 'masquerade', not 'nat'"),
        ("gateway.image", "none.tar", "none.tar; build it with `make image`"),
        ("gateway.accelerator", "xen", ".gateway.accelerator: must be 'auto', 'kvm' or 'tcg', not 'xen'"),
        ("gateway.memory", 8, ".gateway.memory: must be at least 128, not 8"),
        ("lan.gatewayAddresses", ["fd00:1::2%eth0"], ".lan.gatewayAddresses[0]: 'fd00:1::2%eth0' has a zone"),
        ("gateway.transit", {"v6": "fd77::%eth0/126"}, ".gateway.transit.v6: 'fd77::%eth0/126' has a zone"),
        ("managementNetworks", ["fd00:1::%eth0/64"], ".managementNetworks[0]: 'fd00:1::%eth0/64' has a zone"),
        ("gateway.transit", {"v4": "172.31.0.0/24"}, ".gateway.transit.v4: 172.31.0.0/24 must be a /30"),
        ("gateway.transit", {"v6": "fd77::/64"}, ".gateway.transit.v6: fd77::/64 must be a /126"),
        ("firewall.allow", [{"protocol": "icmp", "port": 1}], ".firewall.allow[0].protocol: must be 'tcp' or"),
        ("firewall.allow", [{"protocol": "tcp", "port": 1, "for": 2}], ".firewall.allow[0].for: unknown key"),
        ("firewall.forward", [{"port": 80}], ".firewall.forward[0]: a port needs its protocol: tcp or udp"),
        ("firewall.forward", [{"protocol": "tcp"}], ".firewall.forward[0]: says neither `port`"),
        ("firewall.forward", [{"to": "10.0.0.1/8"}], ".firewall.forward[0].to: "),
        ("firewall.forward", [{"too": "10.0.0.0/8"}], ".firewall.forward[0].too: unknown key; did you mean `to`?"),
        ("firewall.keep", "yes", ".firewall.keep: must be true or false"),
        ("recipientKey", MISSING, ".recipientKey: is missing: the site's private recipient key, a secret"),
        pytest.param(
            "recipientKey",
            PUBLIC,
            ".recipientKey: this is a public recipient key; the private half is needed",
            id="public half",
        ),
        pytest.param(
            "recipientKey",
            PRIVATE[:-4],
            ".recipientKey: this private recipient key has 30 bytes instead of 32",
            id="short recipient key",
        ),
    ],
)
def test_a_bad_site_value_is_named_by_path_and_no_secret_is_shown(root: Path, path: str, value: Any, says: str) -> None:
    text = site_errors(root, path, value)
    assert text.startswith("stacks/Pulumi.dev-berlin.yaml: 1 error in the configuration, nothing was changed:\n")
    assert f"wgmesh:site{says}" in text or says in text
    for secret in (SSH_KEY, LOCKED_KEY, PRIVATE):
        assert secret[30:70] not in text


@pytest.mark.parametrize("path", ["recipientKey", "host.privateKey"])
def test_a_secret_of_another_type_is_not_shown_either(root: Path, path: str) -> None:
    text = site_errors(root, path, 271828182)
    assert f"wgmesh:site.{path}: must be a text" in text
    assert "271828182" not in text


def test_all_errors_of_shape_and_meaning_come_at_once(root: Path) -> None:
    raw = changed(changed(SITE, "host.hostKeys", []), "uplink", "lan0")
    raw["nmae"] = raw.pop("name")
    with pytest.raises(ConfigurationError) as caught:
        parse_site(raw, "stacks/Pulumi.dev-berlin.yaml", root)
    assert [problem.path.removeprefix("wgmesh:site") for problem in caught.value.problems] == [
        ".host.hostKeys",
        ".lan.interface",
        ".name",
        ".nmae",
    ]
    assert "4 errors in the configuration" in str(caught.value)


def test_an_empty_stack_is_told_everything_that_is_missing(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"wgmesh:mesh\.tunnel: is missing"):
        parse_mesh(None, "x")
    with pytest.raises(ConfigurationError, match=r"wgmesh:site\.recipientKey: is missing"):
        parse_site(None, "x", root)
    with pytest.raises(ConfigurationError, match="must be a mapping of names to values"):
        parse_site("text", "x", root)


@pytest.mark.parametrize(
    "path", ["host", "lan", "uplink", "host.user", "host.address", "gateway.memory", "bootstrap", "carrier"]
)
def test_a_secret_that_was_set_in_the_wrong_place_is_not_shown(root: Path, path: str) -> None:
    for secret in (SSH_KEY, PRIVATE):
        text = site_errors(root, path, secret)
        assert f"wgmesh:site.{path}" in text
        assert secret[30:60] not in text
        assert repr(secret)[30:60] not in text


def test_secrets_in_clear_text_are_refused(root: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_site(SITE, "x", root, clear=["recipientKey", "host.privateKey"])
    for secret in ("host.privateKey", "recipientKey"):
        assert f"wgmesh:site.{secret}: lies in the stack file in clear text: make a new one" in str(caught.value)


def test_anybody_may_be_let_in_on_purpose(root: Path) -> None:
    raw = changed(SITE, "managementNetworks", ["0.0.0.0/0", "::/0"])
    forward = [{"protocol": "tcp", "port": 8080, "from": []}, {"to": "2001:db8:1::/64", "from": ["2001:db8::/32"]}]
    raw["firewall"] = {"forward": forward, "keep": True}
    assert parse_site(raw, "Pulumi.dev-berlin.yaml", root).firewall.to_dict() == {**raw["firewall"], "allow": []}
    raw["firewall"] = {"allow": [{"protocol": "tcp", "port": 443, "from": ["192.0.2.0/24"]}]}
    config = parse_site(raw, "x", root)
    assert config.firewall.to_dict() == {"allow": [{"protocol": "tcp", "port": 443, "from": ["192.0.2.0/24"]}]}


def test_how_values_are_written_is_judged_with_all_the_rest(root: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_site(changed(SITE, "host.port", 0), "x", root, written=[Problem(".host.user", "some read no as false")])
    assert [problem.path for problem in caught.value.problems] == ["wgmesh:site.host.port", "wgmesh:site.host.user"]
