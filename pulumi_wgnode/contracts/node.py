"""A node's configuration and keys as a gateway's inputs have them: typed structures, of which the node's own form
(wgnode/nodeconfig.py, canonical JSON) is made.

Before there were these, inputs were that JSON as text: so states have it, and programs may still give it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_interface, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from pulumi_wgnode.model import Model
from pulumi_wgnode.values import (
    AddressText,
    Count,
    EndpointText,
    Interface,
    InterfaceText,
    Key,
    Mac,
    NetworkText,
    PathMtu,
    Port,
    PublicKey,
    SiteName,
)
from wgnode.nodeconfig import (
    DEFAULT_INTERFACE,
    DEFAULT_MTU,
    FORMAT,
    ConfigError,
    NodeConfig,
    NodeSecrets,
    canonical,
)

Wire = dict[str, Any]


class NodeLink(Model):
    """One network card of the gateway."""

    mac: Mac = Field(description="by which the card is found")
    addresses: list[InterfaceText] = Field(description="its addresses, with prefix length")
    gateways: list[AddressText] = Field(default=[], description="next hops of the default routes, one a family")
    proxy_arp: StrictBool = Field(default=False, description="whether it answers for every route that leads elsewhere")
    masquerade: StrictBool = Field(
        default=False, description="whether what comes out of the tunnel gets the gateway's own address as source"
    )


class NodePeer(Model):
    """A peer of the node."""

    public_keys: list[PublicKey] = Field(min_length=1, max_length=2, description="its keys, base64: current, next")
    allowed_ips: list[NetworkText] = Field(alias="allowedIPs", description="the networks behind it")
    endpoint: EndpointText | None = Field(default=None, description="ADDRESS:PORT or NAME:PORT, where it can be called")
    persistent_keepalive: Count = Field(default=0, ge=0, le=65535, description="seconds, 0 for off")
    mtu: Count | None = Field(default=None, description="bytes of inner packet, where it is less than the node's")
    probe: AddressText | None = Field(
        default=None, description="its address in the tunnel that answers echoes, where `allowedIPs` don't tell it"
    )


class NodeDevice(Model):
    """A person's tunnel: a peer that calls, and is nowhere else."""

    public_keys: list[PublicKey] = Field(min_length=1, max_length=2, description="its keys, base64: current, next")
    allowed_ips: list[NetworkText] = Field(alias="allowedIPs", description="its own addresses, and no others")
    endpoint: EndpointText | None = Field(default=None, description="nothing: it calls")
    persistent_keepalive: Count = Field(default=0, ge=0, le=65535, description="seconds, 0 for off")
    expires: Count | None = Field(default=None, description="seconds since 1970: from then on the node refuses it")
    access: Count | None = Field(default=None, description="the number of its class in `policy`")


class NodeCarrier(Model):
    """What is said of the network that the site is reached by, bytes on the wire."""

    name: str = Field(description="as `wgnode mtu --carriers` has it")
    up: Count | None = Field(default=None, description="of what the site sends")
    down: Count | None = Field(default=None, description="of what others may send to it")


class NodeRule(Model):
    """What a class of devices may reach, or be reached from."""

    id: str = Field(description="where the stack file says it, such as groups.staff.reach[1]")
    networks: list[NetworkText] = Field(default=[], description="addresses that are no device's")
    classes: list[Count] = Field(default=[], description="devices of these classes")
    internet: StrictBool = Field(default=False, description="whether what lies in none of `known` is meant too")
    protocols: list[Count] = Field(default=[], description="numbers of IP, none for all")
    ports: list[list[Port]] = Field(default=[], description="ranges of the destination, first and last; none for all")


class NodeClass(Model):
    """Devices with the same rules. What no rule allows is denied."""

    outgoing: list[NodeRule] = Field(default=[], description="what they may open")
    incoming: list[NodeRule] = Field(default=[], description="what may be opened to them from elsewhere than a device")


class NodePolicy(Model):
    """What devices may reach, compiled of what a stack file says of groups."""

    classes: list[NodeClass] = Field(description="by number; the first allows nothing")
    known: list[NetworkText] = Field(description="what is not the internet")
    own: list[AddressText] = Field(description="addresses of gateway and host")


class NodeConfiguration(Model):
    """All that a gateway's node needs but its secrets; the function `siteConfiguration` makes it."""

    mesh: str = Field(description="the mesh's name")
    name: SiteName = Field(description="the site's")
    public_keys: list[PublicKey] = Field(min_length=1, max_length=2, description="its own keys, base64: current, next")
    listen_port: Port = Field(description="the UDP port that it listens on")
    addresses: list[InterfaceText] = Field(description="its addresses in the tunnel, with prefix length")
    transit: NodeLink = Field(description="its card into the link to the host")
    lan: NodeLink = Field(description="its card into the LAN")
    peers: dict[str, NodePeer] = Field(default={}, description="the other sites, by name")
    interface: Interface = Field(default=DEFAULT_INTERFACE, description="the tunnel's interface in the gateway")
    mtu: Count = Field(default=DEFAULT_MTU, description="bytes of the largest packet inside of the tunnel")
    carrier: NodeCarrier | None = Field(default=None, description="the network that the site is reached by")
    path_mtu: PathMtu = Field(default="auto", description="off, and it searches no path MTU and acts on none")
    devices: dict[str, NodeDevice] | None = Field(default=None, description="users' devices, by USER/DEVICE")
    policy: NodePolicy | None = Field(default=None, description="what devices may reach; all, where there is none")


class NodeKeys(Model):
    """A gateway's secrets; the function `siteConfiguration` makes them."""

    private_keys: list[Key] = Field(min_length=1, max_length=2, description="its keys, base64: current, next")
    preshared_keys: dict[PublicKey, list[Key]] = Field(
        default={}, description="by a peer's current public key, its pre-shared keys, base64"
    )


def config_of(given: Mapping[str, Any] | str) -> NodeConfig:
    """Raises ConfigError."""
    if isinstance(given, str):
        return _read(given)
    try:
        text = json.dumps(given)
    except TypeError as error:
        raise ConfigError(f"node configuration: {error}") from error
    return _config_of(text)


# One change of a gateway needs the same configuration eight times, which may have a thousand peers.
@lru_cache(maxsize=4)
def _read(text: str) -> NodeConfig:
    return NodeConfig.from_json(text.encode())


@lru_cache(maxsize=4)
def _config_of(text: str) -> NodeConfig:
    """Of a structure as JSON. Raises ConfigError."""
    try:
        raw = _raw(json.loads(text))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"node configuration: {type(error).__name__}: {error}") from error
    defaults = {"format": FORMAT, "interface": DEFAULT_INTERFACE, "mtu": DEFAULT_MTU}
    return _read(canonical({**defaults, **raw}).decode())


def secrets_of(given: Mapping[str, Any] | str) -> NodeSecrets:
    """Raises ConfigError, whose text quotes nothing."""
    if isinstance(given, str):
        return NodeSecrets.from_json(given.encode())
    return NodeSecrets.from_json(canonical({"format": FORMAT, "presharedKeys": {}, **given}))


def described(config: NodeConfig) -> Wire:
    """As inputs have it, with all defaults: the same configuration is always the same structure."""
    made: Wire = json.loads(_described(config))
    return made


@lru_cache(maxsize=4)
def _described(config: NodeConfig) -> str:
    return json.dumps(_filled(NodeConfiguration, config.to_json()))


def keys_described(secrets: NodeSecrets) -> Wire:
    return _filled(NodeKeys, secrets.to_json())


def upgraded(properties: Wire) -> Wire:
    """Inputs or state of a Gateway of before there were structures; what can't be read stays."""
    made = dict(properties)
    for name, read in (("config", lambda text: described(config_of(text))), ("secrets", _keys_of_text)):
        if isinstance(text := made.get(name), str):
            try:
                made[name] = read(text)
            except ConfigError:  # of a version that is older still
                continue
    return made


def _keys_of_text(text: str) -> Wire:
    return keys_described(secrets_of(text))


def _filled(model: type[Model], blob: bytes) -> Wire:
    raw = {name: value for name, value in json.loads(blob).items() if name != "format"}
    return model.model_validate(raw).to_dict()


def _raw(given: Mapping[str, Any]) -> Wire:
    """As the node has it, in the one way in which it writes it."""
    raw = {name: value for name, value in given.items() if value is not None}
    raw["peers"] = {name: _peer(one) for name, one in raw.get("peers", {}).items()}
    raw["addresses"] = _interfaces(raw["addresses"])
    if raw.get("pathMtu") == "auto":
        del raw["pathMtu"]  # as nodeconfig.py has it
    devices = {name: _peer(one) for name, one in raw.pop("devices", {}).items()}
    links = {card: _link(raw[card]) for card in ("transit", "lan")}
    return {**raw, **links, **({"devices": devices} if devices else {})}


def _peer(given: Mapping[str, Any]) -> Wire:
    made = {name: value for name, value in given.items() if value is not None}
    networks = sorted(str(ip_network(network)) for network in made["allowedIPs"])
    if "probe" in made:
        made["probe"] = str(ip_address(made["probe"]))
    return {"endpoint": None, "persistentKeepalive": 0, **made, "allowedIPs": networks}


def _link(given: Mapping[str, Any]) -> Wire:
    """`masquerade` is left out where it isn't set (nodeconfig.py)."""
    made = {"gateways": [], "proxyArp": False, **given, "addresses": _interfaces(given["addresses"])}
    return {name: value for name, value in made.items() if value is not None and (name, value) != ("masquerade", False)}


def _interfaces(given: list[str]) -> list[str]:
    return [str(ip_interface(one)) for one in given]


def _from_text(read: Callable[[str], Wire]) -> BeforeValidator:
    return BeforeValidator(lambda given: read(given) if isinstance(given, str) else given)


def _loads(configuration: NodeConfiguration) -> NodeConfiguration:
    """What the node would refuse is refused here, with its reason."""
    config_of(configuration.to_dict())
    return configuration


def _keys_load(keys: NodeKeys) -> NodeKeys:
    secrets_of(keys.to_dict())
    return keys


Configuration = Annotated[
    NodeConfiguration, _from_text(lambda text: described(config_of(text))), AfterValidator(_loads)
]
Keys = Annotated[NodeKeys, _from_text(_keys_of_text), AfterValidator(_keys_load)]
