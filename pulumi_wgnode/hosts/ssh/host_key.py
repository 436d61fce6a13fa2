"""Which host is believed: one that shows a key that is pinned, or a certificate of an authority for its name."""

from __future__ import annotations

import base64
import time
from typing import Any

import paramiko

from pulumi_wgnode.hosts.host import HostError, HostKeyMismatch
from pulumi_wgnode.hosts.ssh import certificates
from pulumi_wgnode.hosts.ssh.certificates import SUFFIX, fingerprint
from pulumi_wgnode.hosts.ssh.way import Way

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


class Client(paramiko.Transport):
    """Asks for the kinds of host key that `way` can judge first; paramiko alone would ask for certificates last."""

    def __init__(self, sock: Any, way: Way) -> None:
        super().__init__(sock)
        for pin in way.known.keys:
            _require_form(pin, way)
        pinned = {pin.split()[0] for pin in way.known.keys}
        plain = list(self.get_security_options().key_types)
        wanted = [kind for kind in plain if _family(kind) in pinned]
        certified = [kind + SUFFIX for kind in plain] if way.known.authorities else []
        self._wanted = (*certified, *wanted, *(kind for kind in plain if kind not in wanted))

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self._wanted


def check(shown: paramiko.PKey, way: Way) -> None:
    """Raises HostKeyMismatch; what it says of the way out is for a person who knows the host."""
    line = f"{shown.get_name()} {shown.get_base64()}"
    certificate = getattr(shown, "public_blob", None)
    if line not in way.known.revoked:
        if certificate is not None and way.known.authorities:
            if not (why := _problem(certificate, way)):
                return
            raise HostKeyMismatch(f"host {way.name}: {why}")
        if line in way.known.keys:
            return
    known = ", ".join(f"{pin.split()[0]} {fingerprint(pin)}" for pin in way.known.keys)
    authorities = ", ".join(map(fingerprint, way.known.authorities))
    wanted = [f"pinned is {known}"] if known else []
    wanted += [f"wanted is a certificate by {authorities}"] if authorities else []
    wanted += ["that one is revoked"] if line in way.known.revoked else []
    raise HostKeyMismatch(
        f"host {way.name}: shows host key {shown.get_name()} {fingerprint(line)}, {', '.join(wanted)}; nothing was sent"
        " to it. If the host was reinstalled, fetch its keys with `wgnode host scan`, compare them on its console, and"
        f" pin them in the site's stack file{' (jumpHosts)' if way.is_jump else ''}"
    )


def _problem(shown: Any, way: Way) -> str | None:
    line = f"{shown.key_type} {base64.b64encode(shown.key_blob).decode()}"
    try:
        found = certificates.load(line)
    except certificates.CertificateProblem:
        return "shows a host certificate that can't be read; nothing was sent to it"
    known = way.known
    why = certificates.hosts_problem(found, way.names, known.authorities, time.time(), known.revoked)
    if not why:
        return None
    return (
        f"shows a host certificate that {why} (its id is {found.key_id.decode(errors='replace')!r}); nothing was sent"
        f" to it. A right one is made by `ssh-keygen -h -s AUTHORITY -n {way.names[0]}`, and named as HostCertificate"
        " in its sshd_config"
    )


def _family(kind: str) -> str:
    return "ssh-rsa" if kind in _RSA_SIGNATURES else kind


def _require_form(pin: str, way: Way) -> None:
    try:
        base64.b64decode(pin.split()[1], validate=True)
    except (ValueError, IndexError):
        raise HostError(
            f"host {way.name}: pinned host key {pin!r} is not of the form 'ssh-ed25519 AAAA...'; see `wgnode host scan`"
        ) from None
