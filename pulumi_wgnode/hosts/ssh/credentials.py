"""The keys that are offered to a host, one after the other, each with the words that errors have for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.serialization import SSHCertificate

from pulumi_wgnode.hosts.host import LoginRefused
from pulumi_wgnode.hosts.ssh import certificates, environment, private_key
from pulumi_wgnode.hosts.ssh.certificates import SUFFIX, fingerprint
from pulumi_wgnode.hosts.ssh.way import Secret, Way


@dataclass(frozen=True)
class Offer:
    """What is tried. `certificate` is what goes with the key, where one does."""

    key: paramiko.PKey
    said: str
    certificate: SSHCertificate | None = None

    def __str__(self) -> str:
        text = f"the key {fingerprint(_line(self.key))} ({self.said})"
        return text if self.certificate is None else f"{text} with the {certificates.described(self.certificate)}"


@dataclass(frozen=True)
class _Key:
    """`make` gives it anew, so that one can have a certificate and the other none."""

    make: Callable[[], paramiko.PKey]
    said: str
    beside: Path | None = None  # where its certificate may lie


def offers(way: Way) -> list[Offer]:
    """In order: keys with certificates first. Raises LoginRefused where one can't be used, and where there is none."""
    try:
        keys = [*_agents(way), *_of_texts(way)]
        found = [*_certified(way, keys), *(Offer(key.make(), key.said) for key in keys)]
    except ValueError as problem:
        raise LoginRefused(f"host {way.name}: {problem}") from None
    certified = [_of_agent(offer) for offer in found]
    if not certified:
        raise LoginRefused(f"host {way.name}: {_none(way)}")
    return certified


def _none(way: Way) -> str:
    tried = f"none of {', '.join(str(key.file) for key in way.keys)} is there and " if way.keys else ""
    if not way.agent:
        return f"{tried}its SSH configuration takes no agent; make one of them, or set {environment.PRIVATE_KEY_FILE}"
    return (
        f"{tried}no private key given and no SSH agent with keys is running; start one and `ssh-add` the key, or set"
        f" host.privateKey, or {environment.PRIVATE_KEY_FILE} in the environment"
    )


def _agents(way: Way) -> Iterator[_Key]:
    if not way.agent:
        return
    for key in paramiko.Agent().get_keys():
        yield _Key(partial(paramiko.AgentKey, key.agent, key.blob, key.comment), "the agent's")


def _of_texts(way: Way) -> Iterator[_Key]:
    """Raises ValueError."""
    for secret in way.keys:
        text = _read(secret)
        if text is None:
            continue
        try:
            private_key.load(text, secret.passphrase)
        except private_key.KeyProblem as problem:
            raise ValueError(f"{_key_words(secret)} cannot be used: {problem}") from None
        beside = secret.file and secret.file.with_name(f"{secret.file.name}-cert.pub")
        yield _Key(partial(private_key.load, text, secret.passphrase), secret.said, beside)


def _key_words(secret: Secret) -> str:
    return "its private key" if secret.file is None and secret.said == "its privateKey" else f"the key of {secret.said}"


def _certified(way: Way, keys: list[_Key]) -> Iterator[Offer]:
    """Raises ValueError for a certificate that is asked for and is none of these keys'."""
    beside = [Secret(f"{key.beside}", file=key.beside, asked=False) for key in keys if key.beside]
    for secret in (*way.certificates, *beside):
        if (text := _read(secret)) is None:
            continue
        try:
            found = certificates.load_users(text)
        except certificates.CertificateProblem as problem:
            raise ValueError(f"{secret.said} cannot be used: {problem}") from None
        own = [key for key in keys if certificates.is_of(found, _line(key.make()))]
        if not own and secret.asked:
            shown = ", ".join(str(Offer(key.make(), key.said)) for key in keys) or "none"
            raise ValueError(
                f"{secret.said} ({certificates.described(found)}) is of another key than those that there are: {shown}"
            )
        for key in own[:1]:
            made = key.make()
            made.public_blob = paramiko.pkey.PublicBlob.from_string(" ".join(text.split()[:2]))
            yield Offer(made, key.said, found)


def _of_agent(offer: Offer) -> Offer:
    """An agent has certificates as keys of their own, which paramiko would offer by the bare key."""
    key = offer.key
    if not isinstance(key, paramiko.AgentKey) or not key.name.endswith(SUFFIX) or offer.certificate:
        return offer
    line = f"{key.name} {_base64(key.blob)}"
    key.public_blob = paramiko.pkey.PublicBlob.from_string(line)  # type: ignore[assignment]  # its stubs know no such
    return Offer(key, offer.said, certificates.load_users(line))


def _read(secret: Secret) -> str | None:
    """Raises ValueError for a file that is asked for and not to be read."""
    if secret.file is None:
        return secret.text
    try:
        return secret.file.read_text(errors="replace")
    except FileNotFoundError:
        if not secret.asked:
            return None
        raise ValueError(f"{secret.said} is not there; correct the path") from None
    except OSError as error:
        raise ValueError(f"{secret.said} can't be read ({error.strerror})") from None


def _line(key: paramiko.PKey) -> str:
    """ "TYPE BASE64" of the public half alone."""
    blob = key.asbytes()
    kind = paramiko.Message(blob).get_text()
    return f"{kind} {_base64(blob)}"


def _base64(blob: bytes) -> str:
    return base64.b64encode(blob).decode()
