"""Through a jump host to the next one, and what it means for that one when the jump host doesn't let us."""

from __future__ import annotations

import paramiko

from pulumi_wgnode.hosts.host import HostError, HostUnreachable, JumpRefused, NoEntry, NotAsked
from pulumi_wgnode.hosts.ssh.way import Way, name_of

_PROHIBITED = 1  # RFC 4254, section 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED


def channel(transport: paramiko.Transport, way: Way, seconds: float) -> paramiko.Channel:
    """From the jump host behind `transport` to what `way` leads to. Raises HostError."""
    jump = _jump(way)
    try:
        return transport.open_channel(
            "direct-tcpip", (way.address, way.port), ("127.0.0.1", 0), timeout=max(0.1, seconds)
        )
    except paramiko.ChannelException as error:
        if error.code == _PROHIBITED:
            raise JumpRefused(
                f"host {way.name}: its jump host {jump} lets us in, but through to {way.address}:{way.port} it lets"
                f" nobody ({error.text}); see AllowTcpForwarding and PermitOpen in its sshd_config, and what precedes"
                " the key in authorized_keys"
            ) from None
        raise HostUnreachable(
            f"host {way.name}: its jump host {jump} cannot connect to {way.address} port {way.port} ({error.text});"
            " check that the host is up, its address as seen from there, and that its firewall lets the jump host in"
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise HostUnreachable(
            f"host {way.name}: no connection through its jump host {jump} in time ({str(error) or 'it ended'}); check"
            f" that the host is up, and what lies between them (`ssh {jump} nc -vz {way.address} {way.port}`)"
        ) from None


def not_let_in(way: Way, error: HostError) -> HostError:
    """What it says of the host behind that its jump host can't be used: nothing of the host itself."""
    jump = _jump(way)
    text = f"host {way.name}: its jump host {jump}: {str(error).removeprefix(f'host {jump}: ')}"
    if isinstance(error, HostUnreachable):
        return NotAsked(text)
    return JumpRefused(text) if isinstance(error, NoEntry) else error


def _jump(way: Way) -> str:
    return name_of(way.via) if way.via else "none"
