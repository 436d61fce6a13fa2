"""Stack configuration: `wgmesh:mesh` of a mesh stack, `wgmesh:site` of a site stack. Judged before any resource exists.

The models say what there is and what each value may be alone; what several values say together is judged in
`mesh_problems` (wgnode/topology) and `_site_problems`. All errors come at once.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from infra.config_errors import ConfigurationError, shape_problems
from infra.hosts import private_key
from wgnode import recipient
from wgnode.image.machine import SMALLEST_MEMORY
from wgnode.image.variants import Variant
from wgnode.topology import networks, transit
from wgnode.topology.compile import Reach
from wgnode.topology.labels import Step
from wgnode.topology.model import DEFAULT_KEEPALIVE, DEFAULT_LISTEN_PORT
from wgnode.topology.validate import HOST_NAME, Problem, mesh_problems, site_name_problem

PROJECT = "wgmesh"
SECRETS = ("host.privateKey", "recipientKey")
HOST_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}")
# As hosts have them that take theirs from a directory too: "jane.doe", "EXAMPLE\Jane", "jane@example.org".
USER = re.compile(r"[\w][\w.@\\+-]{0,254}\$?")


def _site_name(text: str) -> str:
    if problem := site_name_problem(text):
        raise ValueError(problem)
    return text


def _host_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        if HOST_NAME.fullmatch(text) and not re.fullmatch(r"[0-9.]+", text):
            return text
    raise ValueError(f"{text!r} is neither an address nor a host name; the port goes into `port`")


def _host_key(text: str) -> str:
    kind, _, rest = text.strip().partition(" ")
    try:
        blob = base64.b64decode((rest.split() or [""])[0], validate=True)
    except (ValueError, binascii.Error):
        blob = b""
    if kind not in HOST_KEY_TYPES or not blob[4:].startswith(kind.encode()):
        raise ValueError(
            f"{text[:40]!r} is not an SSH host key; `wgnode host scan ADDRESS` prints them as they go here"
        )
    return f"{kind} {rest.split()[0]}"


def _interface(text: str) -> str:
    if not INTERFACE.fullmatch(text):
        raise ValueError(f"{text!r} is not an interface name (`ip -br link` on the host lists them)")
    return text


def _user(text: str) -> str:
    if not USER.fullmatch(text):
        raise ValueError(f"{text!r} is not a user name: letters, digits and . _ - + @ \\, no leading - or .")
    return text


def _source_network(text: str) -> str:
    return text if text in ("0.0.0.0/0", "::/0") else str(networks.parse(text))


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an address; write it like 10.1.0.2, without a prefix length") from None


def _private_key(secret: SecretStr) -> SecretStr:
    private_key.load(secret.get_secret_value())
    return secret


def _recipient_key(secret: SecretStr) -> SecretStr:
    recipient.public_of(secret.get_secret_value())
    return secret


def _number(value: Any) -> Any:
    """`true` is no 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "a whole number")
    return value


SiteName = Annotated[str, AfterValidator(_site_name)]
Interface = Annotated[str, AfterValidator(_interface)]
SourceNetwork = Annotated[str, AfterValidator(_source_network)]
Port = Annotated[int, BeforeValidator(_number), Field(ge=1, le=65535)]
Count = Annotated[int, BeforeValidator(_number)]


class Model(BaseModel):
    """camelCase in configuration, snake_case here; a key that nobody knows is an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def to_dict(self) -> dict[str, Any]:
        """camelCase, as it goes to a resource; without what is not set."""
        return self.model_dump(by_alias=True, exclude_none=True)


class TunnelConfig(Model):
    v4: str | None = None
    v6: str | None = None


class MeshSiteConfig(Model):
    """A site as the whole mesh sees it."""

    lans: list[str] = Field(description="the networks behind this site's gateway")
    recipient: str = Field(description="the site's public recipient key, printed by `wgnode site new`")
    endpoint: str | None = None
    renamed_from: str | None = Field(
        default=None, description="the name that this site had before: it keeps its id, keys and addresses"
    )
    key_generation: int | None = Field(
        default=None, ge=1, description="1 at first; with another number the site gets a new WireGuard key"
    )


class MeshConfig(Model):
    name: str = Field(description="the mesh's name, such as dev")
    tunnel: TunnelConfig = Field(
        description="the prefixes of the tunnel, such as {v4: 10.99.0.0/24, v6: 'fd00:99::/64'}"
    )
    sites: dict[str, MeshSiteConfig] = Field(description="the sites by name")
    keepalive: Count = Field(default=DEFAULT_KEEPALIVE, ge=1, le=65535)
    listen_port: Port = DEFAULT_LISTEN_PORT
    forget: list[str] | None = Field(
        default=None, description="sites that have left for good: their keys, ids and addresses are given up"
    )
    preshared_keys: Step | None = Field(
        default=None,
        description="the step of the change to pre-shared keys from ids, of a mesh that is older than those: accept"
        " (both, as the first `up` makes it), use, drop",
    )


class HostConfig(Model):
    address: Annotated[str, AfterValidator(_host_address)] = Field(description="the host's address or name for SSH")
    host_keys: list[Annotated[str, AfterValidator(_host_key)]] = Field(
        description="pin the host's keys: `wgnode host scan ADDRESS` fetches them for review"
    )
    port: Port = 22
    ssh_port: Port | None = None
    user: Annotated[str, AfterValidator(_user)] = "root"
    private_key: Annotated[SecretStr, AfterValidator(_private_key)] | None = None
    agent: StrictBool = False


class LanConfig(Model):
    interface: Interface = Field(description="the host's interface into the LAN")
    gateway_addresses: list[Annotated[str, AfterValidator(_address)]] = Field(
        min_length=1, description="the gateway's own free addresses, one in each LAN of the site"
    )
    reach: Reach = Field(
        default="host-route",
        description="how the LAN's machines find the other sites: host-route (the host, their router, has the routes),"
        " proxy-arp (the gateway answers for the other sites' addresses, IPv4 only) or masquerade (what comes from the"
        " other sites has the gateway's own address as source, so it is answered without any route; the LAN's machines"
        " themselves find no way to the other sites)",
    )


class TransitConfig(Model):
    """The link between host and gateway: a /30 and a /126 that nothing else uses."""

    v4: str = transit.DEFAULT_V4
    v6: str = transit.DEFAULT_V6


class GatewayConfig(Model):
    """The virtual machine; `memory` is in MiB. `image` is a path from the project's folder, or a URL with `sha256`.

    With `sha256` a file need not be there either, until a host needs it.
    """

    memory: Count = Field(default=SMALLEST_MEMORY, ge=SMALLEST_MEMORY, le=1 << 20)
    cpus: Count = Field(default=1, ge=1, le=64)
    accelerator: Literal["auto", "kvm", "tcg"] = Field(
        default="auto",
        description="what runs the virtual machine: kvm (the processor itself), tcg (software emulation, much slower)"
        " or auto (kvm where the host has it; a gateway that runs by kvm never becomes an emulated one by itself)",
    )
    image: str = f"build/image/{Variant.PINNED.file_name}"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    transit: TransitConfig = TransitConfig()


class AllowRule(Model):
    """Lets something else in through the uplink; `from` has networks, everybody where it isn't given."""

    protocol: Literal["tcp", "udp"]
    port: Port
    from_: list[SourceNetwork] | None = Field(default=None, alias="from")


class FirewallConfig(Model):
    allow: list[AllowRule] = []


class SiteConfig(Model):
    name: SiteName = Field(description="the site's name in the mesh")
    mesh: str = Field(min_length=1, description="the mesh's stack, such as dev-mesh")
    host: HostConfig = Field(description="how to reach the hypervisor host")
    management_networks: list[SourceNetwork] = Field(
        min_length=1,
        description="the networks that SSH to the host comes from, such as 192.0.2.0/24; all others are locked out",
    )
    uplink: Interface = Field(description="the host's interface to the internet")
    lan: LanConfig = Field(description="the host's LAN and the gateway's addresses in it")
    recipient_key: Annotated[SecretStr, AfterValidator(_recipient_key)] = Field(
        description="the site's private recipient key, a secret; `wgnode site new` makes it, or"
        " `pulumi config set --secret --path wgmesh:site.recipientKey`"
    )
    gateway: GatewayConfig = GatewayConfig()
    firewall: FirewallConfig = FirewallConfig()
    bootstrap: list[str] = []


Config = TypeVar("Config", bound=Model)


def parse_mesh(raw: Any, where: str, written: Iterable[Problem] = ()) -> MeshConfig:
    """Raises ConfigurationError with all problems; `where` is the stack file's name, `written` what is wrong with how
    its values are written."""
    values = raw if isinstance(raw, Mapping) else {}
    found = [*written]
    found += [Problem(f".{problem.path}", problem.message) for problem in mesh_problems(values, where)]
    return _parse(MeshConfig, "mesh", raw, where, found)


def parse_site(
    raw: Any, where: str, root: Path, clear: Collection[str] = (), written: Iterable[Problem] = ()
) -> SiteConfig:
    """Raises ConfigurationError with all problems. `root` is the project's, for relative paths; `clear` has those of
    SECRETS that the stack file holds in clear text, `written` what is wrong with how its values are written."""
    values = raw if isinstance(raw, Mapping) else {}
    return _parse(SiteConfig, "site", raw, where, [*written, *_site_problems(values, root, clear)])


def _parse(model: type[Config], key: str, raw: Any, where: str, problems: list[Problem]) -> Config:
    try:
        parsed = model.model_validate(raw if raw is not None else {})
    except ValidationError as error:
        problems = [*shape_problems(model, error, ""), *problems]
    if problems:
        full = (Problem(f"{PROJECT}:{key}{problem.path}", problem.message) for problem in problems)
        raise ConfigurationError(where, sorted(full, key=lambda problem: problem.path))
    return parsed


def _site_problems(raw: Mapping[str, Any], root: Path, clear: Collection[str]) -> list[Problem]:
    """What is wrong between values, passing over what isn't there or has another type."""
    host, lan, gateway = (_mapping(raw, key) for key in ("host", "lan", "gateway"))
    problems = [*_access_problems(host), *_transit_problems(_mapping(gateway, "transit"))]
    if raw.get("uplink") and raw.get("uplink") == lan.get("interface"):
        problems.append(
            Problem(".lan.interface", f"{raw['uplink']} is the uplink; the LAN needs an interface of its own")
        )
    image = gateway.get("image", GatewayConfig().image)
    if isinstance(image, str) and "://" not in image and not gateway.get("sha256") and not (root / image).is_file():
        problems.append(Problem(".gateway.image", _no_image(root, image)))
    if isinstance(image, str) and "://" in image and not gateway.get("sha256"):
        problems.append(Problem(".gateway.sha256", "is missing: an image from a URL is taken only by its SHA-256"))
    problems += [
        Problem(
            f".{secret}",
            "lies in the stack file in clear text: make a new one and set it with `pulumi config set --secret --path"
            f" {PROJECT}:site.{secret}`",
        )
        for secret in SECRETS
        if secret in clear
    ]
    return problems


def _no_image(root: Path, image: str) -> str:
    """Beside it may lie one that this machine can build: it is taken only where the stack file says so."""
    others = [(Path(image).with_name(variant.file_name), variant) for variant in (Variant.LOCAL, Variant.PLAIN)]
    there = "".join(
        f", or name {path}, which is there, {variant.about}"
        for path, variant in others
        if str(path) != image and (root / path).is_file()
    )
    return f"there is no {root / image}; build it with `make image`{there}"


def _access_problems(host: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if host and not host.get("privateKey") and not host.get("agent"):
        problems.append(
            Problem(
                ".host",
                "neither privateKey nor agent: run `pulumi config set --secret --path wgmesh:site.host.privateKey <"
                " KEYFILE`, or use `agent: true`",
            )
        )
    if host.get("privateKey") and host.get("agent") is True:
        problems.append(Problem(".host", "both privateKey and agent; keep one of them"))
    if host.get("hostKeys") == []:
        problems.append(
            Problem(
                ".host.hostKeys",
                f"no key is pinned: `wgnode host scan {host.get('address', 'ADDRESS')}` fetches them for review",
            )
        )
    return problems


def _transit_problems(raw: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for family, version in (("v4", 4), ("v6", 6)):
        text, length = raw.get(family), transit.PREFIX_LENGTHS[version]
        if not isinstance(text, str):
            continue
        try:
            network = networks.parse(text, version)
        except ValueError as error:
            problems.append(Problem(f".gateway.transit.{family}", str(error)))
            continue
        if network.prefixlen != length:
            problems.append(
                Problem(f".gateway.transit.{family}", f"{network} must be a /{length}: the host, the gateway, no more")
            )
    return problems


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
