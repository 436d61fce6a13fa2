"""What inputs with a structure are as plain mappings.

Written by `make docs` out of pulumi_wgnode/contracts/; do not edit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from pulumi import Input


class TunnelDict(TypedDict):
    """The prefixes that every site has one address of; one of them at least."""

    v4: NotRequired[Input[str | None]]
    v6: NotRequired[Input[str | None]]


class MeshSiteDict(TypedDict):
    """A site as the whole mesh sees it."""

    lans: Input[Sequence[Input[str]]]
    recipient: Input[str]
    endpoint: NotRequired[Input[str | None]]
    renamedFrom: NotRequired[Input[str | None]]
    keyGeneration: NotRequired[Input[int | None]]
    mtu: NotRequired[Input[int | None]]


class JumpDict(TypedDict):
    """A host that lets us through to the next one, by its `address` or as an `sshHost`.

    Without a login of its own it is logged in to as the host that it leads to.
    """

    sshHost: NotRequired[Input[str | None]]
    hostAuthorities: NotRequired[Input[Sequence[Input[str]] | None]]
    passphrase: NotRequired[Input[str | None]]
    address: NotRequired[Input[str | None]]
    hostKeys: NotRequired[Input[Sequence[Input[str]] | None]]
    port: NotRequired[Input[int | None]]
    user: NotRequired[Input[str | None]]
    privateKey: NotRequired[Input[str | None]]
    certificate: NotRequired[Input[str | None]]
    agent: NotRequired[Input[bool | None]]


class ConnectionDict(TypedDict):
    """How a host is reached by SSH.

    What it doesn't say comes from the environment of who runs it (WGNODE_SSH_..., or a running agent), and
    is in no
    state.
    """

    sshHost: NotRequired[Input[str | None]]
    hostAuthorities: NotRequired[Input[Sequence[Input[str]] | None]]
    passphrase: NotRequired[Input[str | None]]
    address: NotRequired[Input[str | None]]
    hostKeys: NotRequired[Input[Sequence[Input[str]] | None]]
    port: NotRequired[Input[int | None]]
    user: NotRequired[Input[str | None]]
    privateKey: NotRequired[Input[str | None]]
    certificate: NotRequired[Input[str | None]]
    agent: NotRequired[Input[bool | None]]
    jumpHosts: NotRequired[Input[Sequence[Input[JumpDict]] | None]]


class SiteDict(TypedDict):
    """Whose resource it is."""

    id: Input[str]
    mesh: Input[str]
    name: Input[str]


class TransitDict(TypedDict):
    """The link between host and gateway: a /30 and a /126 that nothing else uses."""

    v4: NotRequired[Input[str | None]]
    v6: NotRequired[Input[str | None]]


class RouteDict(TypedDict):
    """CamelCase on the wire and in stack files, snake_case here; a key that nobody knows is an error.

    An error does not quote what was given, which may be a secret.
    """

    to: Input[str]
    via: Input[str]


class HostEgressDict(TypedDict):
    """What devices of users need to reach the internet by this host."""

    public: NotRequired[Input[Sequence[Input[str]] | None]]
    routed: NotRequired[Input[bool | None]]


class GatewayLanDict(TypedDict):
    """What the gateway will have in the LAN."""

    addresses: Input[Sequence[Input[str]]]
    mac: Input[str]
    proxyArp: NotRequired[Input[bool | None]]


class NetworksDict(TypedDict):
    """The host's interfaces, and its links and routes to the gateway."""

    uplink: Input[str]
    lanInterface: Input[str]
    transit: NotRequired[Input[TransitDict | None]]
    routes: NotRequired[Input[Sequence[Input[RouteDict]] | None]]
    whose: NotRequired[Input[Mapping[str, Input[str]] | None]]
    peers: NotRequired[Input[Sequence[Input[str]] | None]]
    egress: NotRequired[Input[HostEgressDict | None]]
    gateway: NotRequired[Input[GatewayLanDict | None]]


AllowRuleDict = TypedDict(
    "AllowRuleDict",
    {
        "protocol": Input[Literal["tcp", "udp"]],
        "port": Input[int],
        "from": NotRequired[Input[Sequence[Input[str]] | None]],
    },
)
"""Lets something else in through the uplink."""

ForwardRuleDict = TypedDict(
    "ForwardRuleDict",
    {
        "protocol": NotRequired[Input[Literal["tcp", "udp"] | None]],
        "port": NotRequired[Input[int | None]],
        "to": NotRequired[Input[str | None]],
        "from": NotRequired[Input[Sequence[Input[str]] | None]],
    },
)
"""Lets something through from the uplink to machines behind the host: to the network `to`, or without it,
what
comes to a port of the host that somebody on it forwards, as Docker does with a published port.
"""


class ForwardingDict(TypedDict):
    """How a host forwarded before forwarding was switched on for its first gateway."""

    versions: Input[Sequence[Input[Literal[4, 6]]]]
    bridges: Input[Sequence[Input[str]]]


class LeavingDeviceDict(TypedDict):
    """A device of a user that may reach the internet."""

    addresses: Input[Sequence[Input[str]]]
    public: NotRequired[Input[Sequence[Input[str]] | None]]
    open: NotRequired[Input[bool | None]]


class FirewallEgressDict(TypedDict):
    """Devices that may reach the internet."""

    lan: Input[str]
    devices: Input[Mapping[str, Input[LeavingDeviceDict]]]


class ImageDict(TypedDict):
    """The image that it boots, as ApplianceImage says."""

    directory: Input[str]
    sha256: Input[str]


class KvmDict(TypedDict):
    """What the host's facts say of KVM."""

    usable: Input[bool]
    reason: Input[str]


class MachineDict(TypedDict):
    """The machine that the node runs in."""

    backend: NotRequired[Input[Literal["microvm", "process", "libvirt", "nanos"] | None]]
    memory: NotRequired[Input[int | None]]
    cpus: NotRequired[Input[int | None]]
    accelerator: NotRequired[Input[Literal["auto", "kvm", "tcg"] | None]]
    udpSegmentation: NotRequired[Input[bool | None]]
    architecture: NotRequired[Input[Literal["amd64", "arm64"] | None]]
    kvm: NotRequired[Input[KvmDict | None]]


class NodeLinkDict(TypedDict):
    """One network card of the gateway."""

    mac: Input[str]
    addresses: Input[Sequence[Input[str]]]
    gateways: NotRequired[Input[Sequence[Input[str]] | None]]
    proxyArp: NotRequired[Input[bool | None]]
    masquerade: NotRequired[Input[bool | None]]


class NodePeerDict(TypedDict):
    """A peer of the node."""

    publicKeys: Input[Sequence[Input[str]]]
    allowedIPs: Input[Sequence[Input[str]]]
    endpoint: NotRequired[Input[str | None]]
    persistentKeepalive: NotRequired[Input[int | None]]
    mtu: NotRequired[Input[int | None]]
    probe: NotRequired[Input[str | None]]


class NodeCarrierDict(TypedDict):
    """What is said of the network that the site is reached by, bytes on the wire."""

    name: Input[str]
    up: NotRequired[Input[int | None]]
    down: NotRequired[Input[int | None]]


class NodeDeviceDict(TypedDict):
    """A person's tunnel: a peer that calls, and is nowhere else."""

    publicKeys: Input[Sequence[Input[str]]]
    allowedIPs: Input[Sequence[Input[str]]]
    endpoint: NotRequired[Input[str | None]]
    persistentKeepalive: NotRequired[Input[int | None]]
    expires: NotRequired[Input[int | None]]
    access: NotRequired[Input[int | None]]


class NodeRuleDict(TypedDict):
    """What a class of devices may reach, or be reached from."""

    id: Input[str]
    networks: NotRequired[Input[Sequence[Input[str]] | None]]
    classes: NotRequired[Input[Sequence[Input[int]] | None]]
    internet: NotRequired[Input[bool | None]]
    protocols: NotRequired[Input[Sequence[Input[int]] | None]]
    ports: NotRequired[Input[Sequence[Input[Sequence[Input[int]]]] | None]]


class NodeClassDict(TypedDict):
    """Devices with the same rules. What no rule allows is denied."""

    outgoing: NotRequired[Input[Sequence[Input[NodeRuleDict]] | None]]
    incoming: NotRequired[Input[Sequence[Input[NodeRuleDict]] | None]]


class NodePolicyDict(TypedDict):
    """What devices may reach, compiled of what a stack file says of groups."""

    classes: Input[Sequence[Input[NodeClassDict]]]
    known: Input[Sequence[Input[str]]]
    own: Input[Sequence[Input[str]]]


class NodeConfigurationDict(TypedDict):
    """All that a gateway's node needs but its secrets; the function `siteConfiguration` makes it."""

    mesh: Input[str]
    name: Input[str]
    publicKeys: Input[Sequence[Input[str]]]
    listenPort: Input[int]
    addresses: Input[Sequence[Input[str]]]
    transit: Input[NodeLinkDict]
    lan: Input[NodeLinkDict]
    peers: NotRequired[Input[Mapping[str, Input[NodePeerDict]] | None]]
    interface: NotRequired[Input[str | None]]
    mtu: NotRequired[Input[int | None]]
    carrier: NotRequired[Input[NodeCarrierDict | None]]
    pathMtu: NotRequired[Input[Literal["auto", "off"] | None]]
    devices: NotRequired[Input[Mapping[str, Input[NodeDeviceDict]] | None]]
    policy: NotRequired[Input[NodePolicyDict | None]]


class NodeKeysDict(TypedDict):
    """A gateway's secrets; the function `siteConfiguration` makes them."""

    privateKeys: Input[Sequence[Input[str]]]
    presharedKeys: NotRequired[Input[Mapping[str, Input[Sequence[Input[str]]]] | None]]
