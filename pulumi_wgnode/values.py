"""What a single value of stack configuration may be, each with the way to write it; errors are pydantic's."""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from pulumi_wgnode.hosts.ssh import private_key
from wgnode import endpoint, recipient
from wgnode.carriersfile import shipped
from wgnode.topology import networks
from wgnode.topology.validate import site_name_problem

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
    return text if text in ("0.0.0.0/0", "::/0") else str(networks.parse(text))


def _carrier(text: str) -> str:
    return shipped().about(text)[0].name


def _address(text: str) -> str:
    return str(networks.parse_address(text))


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


Address = Annotated[str, AfterValidator(_address)]
Carrier = Annotated[str, AfterValidator(_carrier)]
Count = Annotated[int, BeforeValidator(_number)]
HostAddress = Annotated[str, AfterValidator(_host_address)]
HostKey = Annotated[str, AfterValidator(_host_key)]
Interface = Annotated[str, AfterValidator(_interface)]
Port = Annotated[int, BeforeValidator(_number), Field(ge=1, le=65535)]
PrivateKey = Annotated[SecretStr, AfterValidator(_private_key)]
RecipientKey = Annotated[SecretStr, AfterValidator(_recipient_key)]
SiteName = Annotated[str, AfterValidator(_site_name)]
SourceNetwork = Annotated[str, AfterValidator(_source_network)]
User = Annotated[str, AfterValidator(_user)]
