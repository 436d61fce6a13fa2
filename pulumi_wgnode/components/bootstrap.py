"""The user's own commands on a site's host, by pulumi-command: before anything of ours."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi
from pulumi import Output, ResourceOptions

from pulumi_wgnode.call.kind import UNKNOWN
from pulumi_wgnode.components.given import known, made_of, part
from pulumi_wgnode.hosts.ssh.environment import ROOT, SSH_PORT

# In the order in which golang.org/x/crypto/ssh, which pulumi-command logs in with, asks a host for its keys.
COMMAND_HOST_KEYS = (
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "ssh-ed25519",
)


class MissingCommands(pulumi.RunError):
    """Commands of one's own without what runs them; shown by the engine as it is, without a traceback."""


def bootstrapped(site: pulumi.Resource, name: str, given: Mapping[str, Any]) -> list[pulumi.Resource]:
    """The commands of the site that is called so, one after the other; the last one, if there is any.

    Raises MissingCommands.
    """
    last: list[pulumi.Resource] = []
    for number, (told, command) in enumerate(named(given["bootstrap"]), 1):
        opts = ResourceOptions(
            parent=site,
            depends_on=last,
            aliases=[pulumi.Alias(name=f"{name}-bootstrap-{number}")],  # as they were called once
            replace_on_changes=["connection.hostKey"],  # another host, or the same one installed anew
        )
        made = _remote().Command(
            f"{name}-bootstrap-{told}",
            connection=command_connection(given),
            create=command,
            update="true",  # else another SSH key or address would run the command again
            opts=opts,
        )
        last = [made]
    return last


def named(commands: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each command with a name by its content, so that one that is inserted renames, hence runs, no other."""
    seen: Counter[str] = Counter()
    for command in commands:
        digest = hashlib.sha256(command.encode()).hexdigest()[:12]
        seen[digest] += 1
        yield digest if seen[digest] == 1 else f"{digest}-{seen[digest]}", command


def command_connection(given: Mapping[str, Any]) -> Any:
    """Raises MissingCommands for ways in that pulumi-command hasn't, as far as they are known.

    Where the runner's agent listens it finds out itself (SSH_AUTH_SOCK); in the state that would be another path for
    each person and login.
    """
    host = given["host"]
    jumps: Any = part(given, "host", "jumpHosts")
    if known(jumps) is UNKNOWN:
        raise _unable("has `jumpHosts` that only an update tells")
    if len(jumps or ()) > 1:
        raise _unable("leads through several jump hosts")
    proxy = {}
    if jumps:
        (jump,) = jumps
        login = jump if part(jump, "privateKey") or part(jump, "agent") else host
        user = part(jump, "user") or part(host, "user")
        proxy = {"proxy": _remote().ProxyConnectionArgs(**_way(jump, user, login))}
    return _remote().ConnectionArgs(**_way(host, part(host, "user"), host), **proxy)


def _way(to: Any, user: Any, login: Any) -> dict[str, Any]:
    """It takes one host key: of those pinned, the one whose kind its SSH library asks for first."""
    if part(to, "address") is None:
        raise _unable("has its host from an SSH configuration file, without `address`")
    if not part(to, "hostKeys"):
        raise _unable("has no `hostKeys` of it")
    if part(login, "certificate"):
        raise _unable("logs in by a certificate")
    return {
        "host": part(to, "address"),
        "port": made_of(lambda port: float(port or SSH_PORT), part(to, "port")),
        "user": made_of(lambda user: user or ROOT, user),
        "private_key": _sealed(part(login, "privateKey")),
        "private_key_password": _sealed(part(login, "passphrase")),
        "host_key": made_of(_asked_for_first, part(to, "hostKeys")),
    }


def _sealed(text: Any) -> Any:
    return None if text is None else Output.secret(text)


def _unable(what: str) -> MissingCommands:
    return MissingCommands(
        f"this site has `bootstrap` commands, which run by the provider pulumi-command, and its connection {what},"
        " which that provider can't do: give what it needs, or run these commands in another way and take them away"
    )


def _asked_for_first(pins: Sequence[str]) -> str:
    return min(pins, key=lambda pin: COMMAND_HOST_KEYS.index(pin.split()[0]))


def _remote() -> Any:
    """pulumi-command's part for SSH: only who has commands of their own needs it. Raises MissingCommands."""
    try:
        from pulumi_command import remote
    except ImportError:
        raise MissingCommands(
            "this site has `bootstrap` commands, which run by the provider pulumi-command, and that is not installed:"
            f" `{sys.executable} -m pip install 'wgnode[bootstrap]'`, or take the commands away"
        ) from None
    return remote
