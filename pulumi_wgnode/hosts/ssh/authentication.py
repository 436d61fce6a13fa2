"""Logging in: one key after the other, and what a refusal means."""

from __future__ import annotations

import time

import paramiko

from pulumi_wgnode.hosts.host import HostHangs, LoginRefused, NoSsh
from pulumi_wgnode.hosts.ssh import certificates
from pulumi_wgnode.hosts.ssh.credentials import Offer
from pulumi_wgnode.hosts.ssh.way import Way


def log_in(transport: paramiko.Transport, way: Way, offers: list[Offer]) -> None:
    """Raises LoginRefused, or a HostUnreachable where the connection ends at it."""
    for tried, offer in enumerate(offers):
        try:
            if more := transport.auth_publickey(way.user, offer.key):
                raise _refusal(way, f"takes {offer}, but wants {', '.join(more)} too", _ONE_FACTOR)
            return
        except paramiko.BadAuthenticationType as error:
            ways = ", ".join(error.allowed_types) or "nothing"
            raise _refusal(way, f"takes no keys from {way.user}, only {ways}", _KEYS) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            # paramiko has one exception for a refusal and for a connection that went dead at this point.
            refused = isinstance(error, paramiko.AuthenticationException) and "timeout" not in str(error)
            if refused and transport.is_active():
                continue
            if tried and transport.is_authenticated() is False and "timeout" not in str(error):
                what = f"ends the connection after {tried} of {len(offers)} keys (its MaxAuthTries)"
                raise _refusal(way, f"{what}: {_listed(offers[:tried])}", _ONE_KEY) from None
            raise (HostHangs if "timeout" in str(error) else NoSsh)(
                f"host {way.name}: the connection ended at login ({error}); if it does so again, see there"
                f" whether {way.user} may log in at all, or has expired: `journalctl -u ssh` says why"
            ) from None
    raise _refusal(way, f"refuses {_listed(offers)}", _remedy(way, offers))


def _listed(offers: list[Offer]) -> str:
    return ", ".join(map(str, offers))


def _remedy(way: Way, offers: list[Offer]) -> str:
    for offer in offers:
        if offer.certificate and (why := certificates.untimely(offer.certificate, time.time())):
            return f"that certificate {why}: get a new one"
    root = _ROOT if way.user == "root" else ""
    trusted = _TRUSTED if any(offer.certificate for offer in offers) else ""
    return f"add its public half to ~{way.user}/.ssh/authorized_keys there{trusted}{root or _OTHERWISE}"


_ONE_FACTOR = "let keys alone be enough for this user (AuthenticationMethods in its sshd_config)"
_KEYS = "allow PubkeyAuthentication in its sshd_config"
_ONE_KEY = (
    "start an agent with the right key alone, set host.privateKey, or WGNODE_SSH_PRIVATE_KEY_FILE in the environment"
)
_TRUSTED = ", or see that its sshd trusts the certificate's authority (TrustedUserCAKeys) for this user"
_OTHERWISE = "; if it is there, `journalctl -u ssh` says why (AllowUsers, modes of the folders, an unknown shell)"
_ROOT = (
    ", or if it is, see whether its sshd lets root in (PermitRootLogin prohibit-password), or set host.user to a user"
    " with sudo"
)


def _refusal(way: Way, what: str, remedy: str) -> LoginRefused:
    return LoginRefused(f"host {way.name}: {what}; {remedy}")
