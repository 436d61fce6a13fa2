"""The way to a host: what its connection says, then the SSH configuration file that has it, then the environment.

Nothing of the last two is in any state, and a key that nothing pins is never accepted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pulumi_wgnode.hosts.host import Connection, HostError, NotPinned, NoWay
from pulumi_wgnode.hosts.ssh import environment, known_hosts, ssh_config
from pulumi_wgnode.hosts.ssh.environment import HOST_KEY_TYPES, ROOT, SSH_PORT, Environment
from pulumi_wgnode.hosts.ssh.known_hosts import Known
from pulumi_wgnode.hosts.ssh.ssh_config import Entry

_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_MOST_JUMPS = 8  # in a row, before they count as leading to one another
_JUMP = re.compile(
    r"(ssh://)?((?P<user>[^@\s]+)@)?(\[(?P<bracketed>[^\]\s]+)\]|(?P<host>[^:\s]+))(:(?P<port>\d{1,5}))?/?"
)


@dataclass(frozen=True)
class Secret:
    """A private key or a certificate: its text, or the file that has it, and how errors call it.

    One that is `asked` for must be usable; a file that only may be there need not.
    """

    said: str
    text: str | None = field(default=None, repr=False)
    file: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    asked: bool = True


@dataclass(frozen=True)
class Way:
    """All that is needed to get in. `names` are those that a host's certificate may be for; `via` is called first.

    `agent`: whether the keys of the running SSH agent are offered, before those of files.
    """

    address: str
    port: int
    user: str
    known: Known
    names: tuple[str, ...]
    keys: tuple[Secret, ...]
    certificates: tuple[Secret, ...]
    agent: bool
    via: Connection | None
    is_jump: bool

    @property
    def name(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.user}@{address}{'' if self.port == SSH_PORT else f':{self.port}'}"


def find(connection: Connection, environ: Mapping[str, str] = os.environ) -> Way:
    """Raises NoWay and NotPinned, by the host's name."""
    try:
        found = _way(connection, environment.read(environ))
        _require_end(found, environ)
    except NoWay as error:
        raise NoWay(f"host {_given_name(connection)}: {error}") from None
    if not found.known.keys and not found.known.authorities:
        raise NotPinned(
            f"host {found.name}: no key of it is pinned, and no host is believed that isn't: fetch its keys with"
            f" `wgnode host scan {found.address}`, compare them on its console, and pin them (`hostKeys`; or"
            f" `hostAuthorities`, or a file of known hosts, by sshHost or {environment.KNOWN_HOSTS}, that has"
            f" {known_hosts.name(found.names[0], found.port)})"
        )
    return found


def pins(connection: Connection, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The host's keys by the files of known hosts, the user's where the environment names none. Raises NotPinned."""
    given = environment.read(environ)
    files = (given.known_hosts,) if given.known_hosts else tuple(map(environment.home, _KNOWN_HOSTS))
    found = known_hosts.of(
        [known_hosts.name(str(connection.address), connection.port or given.port or SSH_PORT)], files
    )
    keys = [key for key in found.keys if key not in found.revoked and key.split()[0] in HOST_KEY_TYPES]
    if not keys:
        where = " and ".join(map(str, files))
        raise NotPinned(
            f"host {_given_name(connection)}: {where} has no key of it; compare those that `wgnode host scan"
            f" {connection.address}` prints with its console, and add them there"
        )
    return keys


def name_of(connection: Connection) -> str:
    """For messages: "root@198.51.100.2", as far as it can be told."""
    try:
        return _way(connection, environment.read(os.environ)).name
    except HostError:
        return _given_name(connection)


def _given_name(connection: Connection) -> str:
    user = f"{connection.user}@" if connection.user else ""
    port = f":{connection.port}" if connection.port not in (None, SSH_PORT) else ""
    return f"{user}{connection.address or connection.ssh_host}{port}"


def _way(connection: Connection, given: Environment) -> Way:
    entry = None
    if connection.ssh_host is not None:
        entry = ssh_config.lookup(connection.ssh_host, given.config, strict=not connection.is_jump)
    port = connection.port or (entry and entry.port) or (not connection.is_jump and given.port) or SSH_PORT
    address = connection.address or (entry.address if entry else str(connection.ssh_host))
    name = (entry and entry.key_alias) or address
    keys, agent = _keys(connection, entry, given)
    return Way(
        address=address,
        port=port,
        user=connection.user or (entry and entry.user) or given.user or ROOT,
        known=_known(connection, entry, given, known_hosts.name(name, port) if name == address else name, name),
        names=(name,),
        keys=keys,
        certificates=_certificates(connection, entry, given),
        agent=agent,
        via=_via(connection, entry, given),
        is_jump=connection.is_jump,
    )


def _known(connection: Connection, entry: Entry | None, given: Environment, name: str, bare: str) -> Known:
    """What is pinned by the connection itself, else by files of known hosts. A certificate counts without the port."""
    files = entry.known_hosts if entry else ()
    if given.known_hosts:
        files = (given.known_hosts, *files)
    elif connection.is_jump and not entry:  # one that the environment names
        files = (environment.home("~/.ssh/known_hosts"),)
    pins, authorities = tuple(map(_bare, connection.host_keys)), tuple(map(_bare, connection.authorities))
    if pins or authorities:
        return Known(pins, authorities)
    found, without_port = known_hosts.of([name], files), known_hosts.of([bare], files)
    revoked = (*found.revoked, *without_port.revoked)
    return Known(found.keys, (*found.authorities, *without_port.authorities), revoked)


def _bare(pin: str) -> str:
    """Without a comment."""
    return " ".join(pin.split()[:2])


def _keys(connection: Connection, entry: Entry | None, given: Environment) -> tuple[tuple[Secret, ...], bool]:
    """The keys to log in with, and whether the agent's are tried too."""
    passphrase = connection.passphrase or given.passphrase
    if connection.private_key is not None:
        return (Secret("its privateKey", text=connection.private_key, passphrase=passphrase),), False
    if connection.agent:
        return (), True
    if entry and entry.keys:
        return tuple(_maybe("IdentityFile", file, passphrase) for file in entry.keys), entry.agent
    if given.agent:
        return (), True
    if given.private_key is not None:
        return (Secret(environment.PRIVATE_KEY, text=given.private_key, passphrase=passphrase),), False
    if (file := given.private_key_file) is not None:
        return (Secret(f"{environment.PRIVATE_KEY_FILE} {file}", file=file, passphrase=passphrase),), False
    if entry:
        files = map(environment.home, ssh_config.DEFAULT_KEYS)
        return tuple(_maybe("the key", file, passphrase) for file in files), entry.agent
    return (), True


def _maybe(what: str, file: Path, passphrase: str | None) -> Secret:
    return Secret(f"{what} {file}", file=file, passphrase=passphrase, asked=False)


def _certificates(connection: Connection, entry: Entry | None, given: Environment) -> tuple[Secret, ...]:
    if connection.certificate is not None:
        return (Secret("its certificate", text=connection.certificate),)
    if entry and entry.certificates:
        return tuple(Secret(f"CertificateFile {file}", file=file, asked=False) for file in entry.certificates)
    if (file := given.certificate_file) is None:
        return ()
    own_key = connection.private_key is not None
    return (Secret(f"{environment.CERTIFICATE_FILE} {file}", file=file, asked=not own_key),)


def _via(connection: Connection, entry: Entry | None, given: Environment) -> Connection | None:
    """The last of the jump hosts, which has those before it as its own."""
    if connection.jumps is not None:
        jumps = [_as_its_host(jump, connection) for jump in connection.jumps]
    elif entry and entry.jumps:
        jumps = _parsed(entry.jumps, "ProxyJump", by_file=True)
    elif given.jumps and not connection.is_jump:
        jumps = [_as_its_host(one, connection) for one in _parsed(given.jumps, environment.JUMP_HOSTS, by_file=False)]
    else:
        return None
    if not jumps:
        return None
    *before, last = jumps
    return replace(last, is_jump=True, jumps=tuple(before) if before else last.jumps)


def _as_its_host(jump: Connection, host: Connection) -> Connection:
    """With the host's login where it has none of its own."""
    jump = replace(jump, user=jump.user or host.user)
    if jump.ssh_host or jump.private_key or jump.agent or jump.certificate:
        return jump
    return replace(
        jump,
        private_key=host.private_key,
        passphrase=jump.passphrase or host.passphrase,
        certificate=host.certificate,
        agent=host.agent,
    )


def _parsed(text: str, said: str, by_file: bool) -> list[Connection]:
    """As ProxyJump has them. Raises NoWay."""
    if text.lower() == "none":
        return []
    jumps = []
    for one in text.split(","):
        if not (found := _JUMP.fullmatch(one.strip())) or not 0 <= int(found["port"] or 0) <= 65535:
            raise NoWay(f"{said} {text}: {one.strip()!r} is not of the form [USER@]HOST[:PORT]")
        host, port = found["bracketed"] or found["host"], int(found["port"]) if found["port"] else None
        made = Connection(None if by_file else host, (), port, found["user"], ssh_host=host if by_file else None)
        jumps.append(replace(made, is_jump=True))
    return jumps


def _require_end(found: Way, environ: Mapping[str, str]) -> None:
    """Raises NoWay where jump hosts lead to one another, as in two entries with a ProxyJump each."""
    given, via = environment.read(environ), found.via
    for _ in range(_MOST_JUMPS):
        if via is None:
            return
        via = _way(via, given).via
    raise NoWay(f"more than {_MOST_JUMPS} jump hosts in a row; do they lead to one another?")
