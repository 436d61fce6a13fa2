"""A node's configuration and keys as a gateway's inputs have them: typed structures, of which the node's own form
(wgnode/nodeconfig.py, canonical JSON) is made.

Before there were these, inputs were that JSON as text: so states have it, and programs may still give it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_interface
from typing import Annotated, Any

from pydantic import Field, StrictBool, ValidatorFunctionWrapHandler, WrapValidator

from pulumi_wgnode.call.kind import Judged
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
from wgnode import networktext
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
    if isinstance(given, Judged):
        return given.of  # type: ignore[no-any-return]
    if isinstance(given, str):
        return _read(given)
    try:
        text = json.dumps(given)
    except TypeError as error:
        raise ConfigError(f"node configuration: {error}") from error
    return _read(_text_of(text))


def config_text(given: Mapping[str, Any] | str) -> str:
    """As the node has it. Raises ConfigError."""
    return given.text if isinstance(given, Judged) else config_of(given).to_json().decode()


def described(given: NodeConfig | Mapping[str, Any] | str) -> Judged:
    """As inputs have it, with all defaults: the same configuration is always the same structure. Raises ConfigError,
    ValueError."""
    if isinstance(given, Judged):
        return given
    if isinstance(given, NodeConfig):
        return _described(given.to_json().decode())
    return _described(given if isinstance(given, str) else config_text(given))


# One change of a gateway needs the same configuration eight times, which may have ten thousand peers.
@lru_cache(maxsize=4)
def _read(text: str) -> NodeConfig:
    return NodeConfig.from_json(text.encode())


@lru_cache(maxsize=4)
def _described(text: str) -> Judged:
    config, raw = _read(text), json.loads(text)
    del raw["format"]
    many: Wire = {name: raw.pop(name) for name in ("peers", "devices") if name in raw}
    made = NodeConfiguration.model_validate(raw).to_dict()
    models: dict[str, type[Model]] = {"peers": NodePeer, "devices": NodeDevice}
    made |= {name: {one: _told(models[name], said) for one, said in of.items()} for name, of in many.items()}
    return Judged(made, config, text)


def _told(model: type[Model], one: Wire) -> Wire:
    """A peer that was read already, as the model has it. There may be ten thousand, so the model is only asked of what
    it might refuse."""
    usual = (
        one.keys() <= _NAMES[model] and len(one["publicKeys"]) in (1, 2) and 0 <= one["persistentKeepalive"] < 1 << 16
    )
    texts = (*one["allowedIPs"], one["endpoint"] or "", one.get("probe", ""))
    if not usual or any("%" in text for text in texts):
        return model.model_validate(one).to_dict()
    return {name: value for name, value in one.items() if value is not None}


_NAMES: Mapping[type[Model], frozenset[str]] = {one: frozenset(one.wire_names()) for one in (NodePeer, NodeDevice)}


@lru_cache(maxsize=4)
def _text_of(text: str) -> str:
    """Of a structure as JSON. Raises ConfigError."""
    try:
        raw = _raw(json.loads(text))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"node configuration: {type(error).__name__}: {error}") from error
    defaults = {"format": FORMAT, "interface": DEFAULT_INTERFACE, "mtu": DEFAULT_MTU}
    return canonical({**defaults, **raw}).decode()


def secrets_of(given: Mapping[str, Any] | str) -> NodeSecrets:
    """Raises ConfigError, whose text quotes nothing."""
    if isinstance(given, Judged):
        return given.of  # type: ignore[no-any-return]
    if isinstance(given, str):
        return _read_secrets(given)
    return _read_secrets(canonical({"format": FORMAT, "presharedKeys": {}, **given}).decode())


def keys_text(given: Mapping[str, Any] | str) -> str:
    """As the node has them. Raises ConfigError."""
    return given.text if isinstance(given, Judged) else secrets_of(given).to_json().decode()


def keys_described(given: NodeSecrets | Mapping[str, Any] | str) -> Judged:
    """As inputs have them. Raises ConfigError, ValueError."""
    if isinstance(given, Judged):
        return given
    if isinstance(given, NodeSecrets):
        return _keys_described(given.to_json().decode())
    return _keys_described(given if isinstance(given, str) else keys_text(given))


@lru_cache(maxsize=4)
def _read_secrets(text: str) -> NodeSecrets:
    return NodeSecrets.from_json(text.encode())


@lru_cache(maxsize=4)
def _keys_described(text: str) -> Judged:
    secrets = _read_secrets(text)
    raw = json.loads(text := secrets.to_json().decode())
    own = NodeKeys.model_validate({"privateKeys": raw["privateKeys"]}).to_dict()
    return Judged({**own, "presharedKeys": raw["presharedKeys"]}, secrets, text)


def upgraded(properties: Wire) -> Wire:
    """Inputs or state of a Gateway of before there were structures; what can't be read stays."""
    made = dict(properties)
    for name, read in (("config", described), ("secrets", keys_described)):
        if isinstance(text := made.get(name), str):
            try:
                made[name] = read(text)
            except ConfigError:  # of a version that is older still
                continue
    return made


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
    networks = sorted(map(networktext.canonical, made["allowedIPs"]))
    if "probe" in made:
        made["probe"] = str(ip_address(made["probe"]))
    return {"endpoint": None, "persistentKeepalive": 0, **made, "allowedIPs": networks}


def _link(given: Mapping[str, Any]) -> Wire:
    """`masquerade` is left out where it isn't set (nodeconfig.py)."""
    made = {"gateways": [], "proxyArp": False, **given, "addresses": _interfaces(given["addresses"])}
    return {name: value for name, value in made.items() if value is not None and (name, value) != ("masquerade", False)}


def _interfaces(given: list[str]) -> list[str]:
    return [str(ip_interface(one)) for one in given]


def _judged(describe: Callable[[Any], Judged]) -> WrapValidator:
    """What is text, or was judged before, is told as `describe` does. What the node would refuse of a structure is
    refused here, with its reason."""

    def judge(given: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        return describe(given if isinstance(given, str | Judged) else validate(given).to_dict())

    return WrapValidator(judge)


Configuration = Annotated[NodeConfiguration, _judged(described)]
Keys = Annotated[NodeKeys, _judged(keys_described)]
