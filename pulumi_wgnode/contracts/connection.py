"""How a host is reached by SSH: one value, the same for every kind of resource, for `Site` and for stack files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import Field, StrictBool, ValidationInfo, field_validator, model_validator

from pulumi_wgnode.hosts.ssh.environment import KNOWN_HOSTS, PASSPHRASE
from pulumi_wgnode.model import Model, secret
from pulumi_wgnode.values import Authority, Certificate, HostAddress, HostKey, Port, PrivateKey, SshHost, User


class Jump(Model):
    """A host that lets us through to the next one, by its `address` or as an `sshHost`.

    Without a login of its own it is logged in to as the host that it leads to.
    """

    # Fields are judged in this order: what another one depends on stands before it.
    ssh_host: SshHost | None = Field(
        default=None,
        description="its name in the runner's SSH configuration file (~/.ssh/config, or WGNODE_SSH_CONFIG), which then"
        " says what isn't said here: HostName, Port, User, IdentityFile, CertificateFile, ProxyJump,"
        " UserKnownHostsFile",
    )
    host_authorities: list[Authority] | None = Field(
        default=None,
        description="public keys of certificate authorities: a host certificate of theirs for its address will do in"
        " place of a pinned key",
    )
    passphrase: str | None = secret("the private key's, where it has one; WGNODE_SSH_PASSPHRASE otherwise", None)
    address: HostAddress | None = Field(default=None, description="the host's address or name for SSH")
    host_keys: list[HostKey] | None = Field(
        default=None,
        description="pin the host's keys: `wgnode host scan ADDRESS` fetches them for review",
    )
    port: Port | None = Field(
        default=None, description="the TCP port that leads to the host's SSH server; WGNODE_SSH_PORT or 22 otherwise"
    )
    user: User | None = Field(
        default=None,
        description="who logs in: root, or somebody with passwordless sudo; WGNODE_SSH_USER or root otherwise",
    )
    private_key: PrivateKey | None = secret(
        "the key to log in with, OpenSSH or PEM text; without, WGNODE_SSH_PRIVATE_KEY_FILE or WGNODE_SSH_PRIVATE_KEY,"
        " or the runner's SSH agent, which put no key into any state",
        None,
    )
    certificate: Certificate | None = Field(
        default=None,
        description="an OpenSSH certificate of the key that logs in, the line in the file KEY-cert.pub;"
        " WGNODE_SSH_CERTIFICATE_FILE otherwise",
    )
    agent: StrictBool | None = Field(
        default=None, description="true takes the keys of the runner's SSH agent, whatever else its environment says"
    )

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        """What must be there is judged by its name where it isn't given at all."""
        if not isinstance(given, Mapping):
            return given
        needed = {"address": "address", "hostKeys": "host_keys", "privateKey": "private_key"}
        return {**{wire: None for wire, name in needed.items() if name not in given}, **given}

    @field_validator("address")
    @classmethod
    def _somewhere(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is None and info.data.get("ssh_host", "") is None:
            raise ValueError("is missing: the host's address or name for SSH; or `sshHost`, its name in ~/.ssh/config")
        return address

    @field_validator("host_keys")
    @classmethod
    def _pinned(cls, pins: list[str] | None, info: ValidationInfo) -> list[str] | None:
        """What isn't known yet may say which keys the host has."""
        others = info.data.get("ssh_host", "unknown"), info.data.get("host_authorities", "unknown")
        if not pins and not any(others) and not os.environ.get(KNOWN_HOSTS):
            raise ValueError(
                f"is {'missing' if pins is None else 'empty'}: pin the host's keys: `wgnode host scan ADDRESS` fetches"
                f" them for review; or give `hostAuthorities`, or name a file of known hosts by {KNOWN_HOSTS}"
            )
        return pins

    @field_validator("private_key")
    @classmethod
    def _of_the_passphrase(cls, key: Any, info: ValidationInfo) -> Any:
        if not key and info.data.get("passphrase"):
            raise ValueError(
                f"is missing: `passphrase` is of no key; one of the environment's is {PASSPHRASE}, a file's too"
            )
        return key

    @field_validator("agent")
    @classmethod
    def _alone(cls, agent: bool | None, info: ValidationInfo) -> bool | None:
        if agent and info.data.get("private_key"):
            raise ValueError("is true beside a privateKey; keep one of them")
        return agent


class Connection(Jump):
    """How a host is reached by SSH.

    What it doesn't say comes from the environment of who runs it (WGNODE_SSH_..., or a running agent), and is in no
    state.
    """

    jump_hosts: list[Jump] | None = Field(
        default=None,
        description="hosts that lead to this one, called one through the other; WGNODE_SSH_JUMP_HOSTS otherwise, and"
        " none by an empty list",
    )
