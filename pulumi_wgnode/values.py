"""What a single value of an input, an argument or a stack file may be, each with the way to write it; errors are
pydantic's."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from pulumi_wgnode.hosts.ssh import certificates, private_key
from pulumi_wgnode.hosts.ssh.environment import HOST_KEY_TYPES, PASSPHRASE
from wgnode import endpoint, networktext, recipient
from wgnode.carriersfile import shipped
from wgnode.image import backends
from wgnode.image.paths import INSTANCE
from wgnode.nodeconfig import decode_key
from wgnode.topology import networks, transit, users
from wgnode.topology.user_problems import dhcp_range
from wgnode.topology.validate import site_name_problem

INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}")
# As hosts have them that take theirs from a directory too: "jane.doe", "EXAMPLE\Jane", "jane@example.org".
SSH_HOST = re.compile(r"[^\s*?!#,/%-][^\s*?!#,/%]*")
USER = re.compile(r"[\w][\w.@\\+-]{0,254}\$?")


def _site_name(text: str) -> str:
    if problem := site_name_problem(text):
        raise ValueError(problem)
    return text


def _host_address(text: str) -> str:
    try:
        return str(endpoint.plain(ip_address(text)))
    except ValueError:
        if why := endpoint.no_name(text):
            raise ValueError(f"{why}; the port goes into `port`") from None
    return text


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
    """Also of what is never routed: packets come from there all the same."""
    with contextlib.suppress(ValueError):
        if ip_network(text).is_link_local and "/" in text:
            return text
    return text if text in ("0.0.0.0/0", "::/0") else str(networks.parse(text))


def _carrier(text: str) -> str:
    return shipped().about(text)[0].name


def _address(text: str) -> str:
    return str(networks.parse_address(text))


def _authority(text: str) -> str:
    try:
        return _host_key(text.strip().removeprefix("cert-authority "))
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is not the public key of a certificate authority; it is the one line of its .pub file"
        ) from None


def _certificate(text: str) -> str:
    certificates.load_users(text)
    return " ".join(text.split()[:2])


def _private_key(text: str, info: ValidationInfo) -> str:
    """By the passphrase beside it, else the runner's; by one that isn't known yet, nobody can tell."""
    if "passphrase" in info.data:
        private_key.check(text, info.data["passphrase"] or os.environ.get(PASSPHRASE))
    return text


def _ssh_host(text: str) -> str:
    if not SSH_HOST.fullmatch(text):
        raise ValueError(
            f"{text!r} is not the name of a host as `Host` in ~/.ssh/config has it: no blanks, no patterns"
        )
    return text


def _recipient_key(secret: SecretStr) -> SecretStr:
    recipient.public_of(secret.get_secret_value())
    return secret


def _device_secret(secret: SecretStr) -> SecretStr:
    try:
        decode_key(secret.get_secret_value())
    except ValueError as error:
        raise ValueError(f"{error}; `wgnode user add` makes one") from None
    return secret


def _public_key(text: str) -> str:
    try:
        decode_key(text)
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is no WireGuard public key ({error}); `wg pubkey` prints one") from None
    return text


def _key(text: str) -> str:
    decode_key(text)  # whose errors quote nothing
    return text


def _endpoint(text: str) -> str:
    endpoint.split(text)
    return text


def _moment(text: str) -> str:
    users.moment(text)
    return text


def _range(text: str) -> str:
    dhcp_range(text)
    return text


def _transit(family: int) -> AfterValidator:
    """A network of as many addresses as host and gateway need."""

    def check(text: str) -> str:
        network, length = networks.parse(text, family), transit.PREFIX_LENGTHS[family]
        if network.prefixlen != length:
            raise ValueError(f"{network} must be a /{length}: the host, the gateway, no more")
        return str(network)

    return AfterValidator(check)


def _text_of(parse: Callable[[str], object]) -> AfterValidator:
    """Of what `parse` takes, which raises ValueError with the reason."""

    def check(text: str) -> str:
        if "%" in text:
            raise ValueError(f"{text!r} has a zone, which means something on one machine only")
        parse(text)
        return text

    return AfterValidator(check)


def _number(value: Any) -> Any:
    """`true` is no 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "a whole number")
    return value


def _switch(value: Any) -> Any:
    """`off` is false to some readers of YAML."""
    return {True: "auto", False: "off"}.get(value, value) if isinstance(value, bool) else value


Address = Annotated[str, AfterValidator(_address)]
Authority = Annotated[str, AfterValidator(_authority)]
AddressText = Annotated[str, _text_of(ip_address)]
Certificate = Annotated[str, AfterValidator(_certificate)]
BackendName = Annotated[backends.Name, AfterValidator(backends.built)]
Carrier = Annotated[str, AfterValidator(_carrier)]
Count = Annotated[int, BeforeValidator(_number)]
DeviceSecret = Annotated[SecretStr, AfterValidator(_device_secret)]
DhcpRange = Annotated[str, AfterValidator(_range)]
Directory = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_.+-]+)+$")]
"""A path on a host that needs quoting nowhere: in units, in QEMU's options."""
EndpointText = Annotated[str, AfterValidator(_endpoint)]
"""ADDRESS:PORT or NAME:PORT."""
HostAddress = Annotated[str, AfterValidator(_host_address)]
HostKey = Annotated[str, AfterValidator(_host_key)]
Instance = Annotated[str, Field(pattern=rf"^({INSTANCE.pattern})$")]
Interface = Annotated[str, AfterValidator(_interface)]
InterfaceText = Annotated[str, _text_of(ip_interface)]
"""An address with the length of its network's prefix."""
Key = Annotated[str, AfterValidator(_key)]
"""A private or pre-shared key, base64."""
Mac = Annotated[str, Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]
Moment = Annotated[str, BeforeValidator(users.written), AfterValidator(_moment)]
"""The beginning of a day, or a time: UTC."""
NetworkText = Annotated[str, _text_of(networktext.canonical)]
PackageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+-]+(:[a-z0-9]+)?$")]
PathMtu = Annotated[Literal["auto", "off"], BeforeValidator(_switch)]
Port = Annotated[int, BeforeValidator(_number), Field(ge=1, le=65535)]
PrivateKey = Annotated[str, AfterValidator(_private_key)]
PublicKey = Annotated[str, AfterValidator(_public_key)]
RecipientKey = Annotated[SecretStr, AfterValidator(_recipient_key)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SiteName = Annotated[str, AfterValidator(_site_name)]
SourceNetwork = Annotated[str, AfterValidator(_source_network)]
SshHost = Annotated[str, AfterValidator(_ssh_host)]
TransitV4 = Annotated[str, _transit(4)]
TransitV6 = Annotated[str, _transit(6)]
User = Annotated[str, AfterValidator(_user)]
